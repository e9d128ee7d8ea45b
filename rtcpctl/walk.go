package rtcpctl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// ErrMalformed is returned, wrapped with what was wrong, for RTCP that cannot
// be parsed.
var ErrMalformed = errors.New("rtcpctl: malformed RTCP")

// These are made once, so that a flood of broken packets costs no allocation.
var (
	errHeader   = fmt.Errorf("%w: less than a header is left", ErrMalformed)
	errVersion  = fmt.Errorf("%w: version is not 2", ErrMalformed)
	errLength   = fmt.Errorf("%w: length goes past the end", ErrMalformed)
	errPadding  = fmt.Errorf("%w: padding count", ErrMalformed)
	errPadded   = fmt.Errorf("%w: padding before the last packet", ErrMalformed)
	errBlocks   = fmt.Errorf("%w: fewer report blocks than counted", ErrMalformed)
	errSources  = fmt.Errorf("%w: fewer sources than counted", ErrMalformed)
	errReason   = fmt.Errorf("%w: reason goes past the end", ErrMalformed)
	errItem     = fmt.Errorf("%w: SDES item goes past the end", ErrMalformed)
	errSource   = fmt.Errorf("%w: no source", ErrMalformed)
	errXRBlock  = fmt.Errorf("%w: XR block goes past the end", ErrMalformed)
	errXRSize   = fmt.Errorf("%w: XR block of a wrong size", ErrMalformed)
	errFeedback = fmt.Errorf("%w: feedback without entries", ErrMalformed)
	errTerminal = fmt.Errorf("%w: SDES chunk has no end", ErrMalformed)
)

// A Type is the packet type of a member of a compound.
type Type uint8

// Packet types (IANA registry "RTCP Control Packet Types").
const (
	TypeSR    Type = 200 // sender report, RFC 3550
	TypeRR    Type = 201 // receiver report
	TypeSDES  Type = 202 // source description
	TypeBYE   Type = 203 // goodbye
	TypeAPP   Type = 204 // application-defined
	TypeRTPFB Type = 205 // transport-layer feedback, RFC 4585
	TypePSFB  Type = 206 // payload-specific feedback, RFC 4585
	TypeXR    Type = 207 // extended report, RFC 3611
)

// String returns the abbreviation that the RFCs use.
func (t Type) String() string {
	switch t {
	case TypeSR:
		return "SR"
	case TypeRR:
		return "RR"
	case TypeSDES:
		return "SDES"
	case TypeBYE:
		return "BYE"
	case TypeAPP:
		return "APP"
	case TypeRTPFB:
		return "RTPFB"
	case TypePSFB:
		return "PSFB"
	case TypeXR:
		return "XR"
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// A Member is one packet of a compound. Its slices point into the compound.
type Member struct {
	Type  Type
	Count uint8  // the five bits after the padding bit: blocks, sources or format
	Raw   []byte // the whole packet, header and padding included
	Body  []byte // what is between the header and the padding
}

const headerSize = 4

// Members yields the packets of a compound in order. A packet with a fault of
// its own comes with an error that wraps [ErrMalformed], and the ones after it
// still come; after a fault that makes it unknown where the next packet begins,
// the sequence ends. A compound need not begin with a report: that is for the
// reader to judge.
//
// There is at most one member per four bytes, and nothing is allocated.
func Members(compound []byte) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		for rest := compound; len(rest) > 0; {
			m, n, err := cut(rest)
			if !yield(m, err) || n == 0 {
				return
			}
			rest = rest[n:]
		}
	}
}

// cut returns the first packet of b and its length; the length is zero if it
// cannot be known.
func cut(b []byte) (m Member, n int, err error) {
	if len(b) < headerSize {
		return Member{Raw: b}, 0, errHeader
	}
	m = Member{Type: Type(b[1]), Count: b[0] & 0x1f, Raw: b}
	if b[0]>>6 != 2 {
		return m, 0, errVersion
	}
	n = headerSize + 4*int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return m, 0, errLength
	}
	m.Raw = b[:n]
	m.Body = m.Raw[headerSize:]
	if b[0]&0x20 == 0 {
		return m, n, nil
	}
	// Transport-wide feedback fills up its last word with padding, wherever it
	// stands.
	words := m.Type != TypeRTPFB || m.Count != formatTransport
	if n != len(b) && words {
		return m, n, errPadded
	}
	if len(m.Body) == 0 {
		return m, n, errPadding
	}
	padding := int(m.Body[len(m.Body)-1])
	if padding == 0 || padding%4 != 0 && words || padding > len(m.Body) {
		return m, n, errPadding
	}
	m.Body = m.Body[:len(m.Body)-padding]
	return m, n, nil
}
