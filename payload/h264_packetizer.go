package payload

import "encoding/binary"

// An H264Packetizer is the [VideoPacketizer] of H.264 (RFC 6184): a NAL unit in
// a packet of its own, several small ones, such as parameter sets, together in a
// STAP-A, and one that is too large in fragments, FU-A. The zero value is ready.
type H264Packetizer struct {
	// MaxPayload is the largest payload in bytes, 3..65535. 0 is
	// [DefaultMaxPayload].
	MaxPayload int

	// SingleUnits is packetization-mode 0: each NAL unit has a packet of its
	// own. The encoder has to keep them small; Begin refuses a frame with one
	// that does not fit.
	SingleUnits bool

	max int

	// What comes after unit: the rest of a byte stream, or units.
	stream []byte
	units  [][]byte

	unit []byte // the next to be sent; nil after the last
	sent int    // bytes of it that were, its header included
}

// Begin implements [VideoPacketizer]. The frame is an access unit as a byte
// stream, see [AnnexB]. One without NAL units, or with one that a decoder could
// take for a packet of RFC 6184, is refused.
func (p *H264Packetizer) Begin(frame []byte) error {
	return p.begin(frame, nil)
}

// BeginUnits begins a frame as Begin does, of NAL units without start codes.
// Empty ones are left out.
func (p *H264Packetizer) BeginUnits(units [][]byte) error {
	return p.begin(nil, units)
}

func (p *H264Packetizer) begin(stream []byte, units [][]byte) error {
	p.max = maxPayload(p.MaxPayload)
	p.stream, p.units = stream, units
	err := p.check()
	p.stream, p.units = stream, units
	if err != nil {
		p.stream, p.units, p.unit = nil, nil, nil
		return err
	}
	p.advance()
	return nil
}

func (p *H264Packetizer) check() error {
	if p.max <= fuHeader {
		return unsendable("H.264 in payloads of %d bytes", p.max)
	}
	if p.advance(); p.unit == nil {
		return unsendable("H.264 without NAL units")
	}
	for ; p.unit != nil; p.advance() {
		if t := H264TypeOf(p.unit); t == 0 || t > h264LastType {
			return unsendable("H.264 unit of type %d", t)
		}
		if p.SingleUnits && len(p.unit) > p.max {
			return unsendable("H.264 unit of %d bytes in a packet of its own, at most %d", len(p.unit), p.max)
		}
	}
	return nil
}

// advance makes the next unit that is not empty the current one.
func (p *H264Packetizer) advance() {
	p.sent = 0
	if p.stream != nil {
		p.unit, p.stream = nextUnit(p.stream)
		return
	}
	p.unit = nil
	for len(p.unit) == 0 && len(p.units) > 0 {
		p.unit, p.units = p.units[0], p.units[1:]
	}
	if len(p.unit) == 0 {
		p.unit = nil
	}
}

// AppendPayload implements [VideoPacketizer].
func (p *H264Packetizer) AppendPayload(dst []byte) (payload []byte, more bool) {
	switch {
	case p.unit == nil:
	case len(p.unit) > p.max:
		dst = p.appendFragment(dst)
	default:
		dst = p.appendUnits(dst)
	}
	return dst, p.unit != nil
}

func (p *H264Packetizer) appendFragment(dst []byte) []byte {
	header := p.unit[0]
	fu := header & h264TypeMask
	if p.sent == 0 {
		fu |= fuStart
		p.sent = 1
	}
	n := min(p.max-fuHeader, len(p.unit)-p.sent)
	body := p.unit[p.sent : p.sent+n]
	if p.sent += n; p.sent == len(p.unit) {
		fu |= fuEnd
		p.advance()
	}
	return append(append(dst, header&^h264TypeMask|byte(h264FuA), fu), body...)
}

// appendUnits appends the current unit, and those after it that fit beside it.
func (p *H264Packetizer) appendUnits(dst []byte) []byte {
	first := p.unit
	p.advance()
	size := stapHeader + stapLength + len(first)
	if p.SingleUnits || p.unit == nil || size+stapLength+len(p.unit) > p.max {
		return append(dst, first...)
	}
	// The header has the greatest importance and any forbidden bit of the units
	// (RFC 6184, 5.7.1).
	at := len(dst)
	dst = append(dst, byte(h264StapA))
	ref := byte(0)
	for unit := first; ; p.advance() {
		ref = max(ref, unit[0]&h264RefMask)
		dst[at] |= unit[0] & h264ForbidMask
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(unit)))
		dst = append(dst, unit...)
		if unit = p.unit; unit == nil || len(dst)-at+stapLength+len(unit) > p.max {
			break
		}
	}
	dst[at] |= ref
	return dst
}
