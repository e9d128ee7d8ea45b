package rtcpctl

import (
	"encoding/binary"
	"math"
	"time"
)

// Formats of payload-specific feedback.
const (
	formatPLI         = 1  // RFC 4585, section 6.3.1
	formatFIR         = 4  // RFC 5104, section 4.3.1
	formatApplication = 15 // RFC 4585, section 6.4; of these, REMB is read
)

// remb begins the body of a receiver's estimate of its bandwidth, behind the two
// sources (draft-alvestrand-rmcat-remb-03, section 2.2).
const remb = "REMB"

// AppendPLI appends a picture loss indication to dst: source ssrc cannot go on
// decoding what source media sends (RFC 4585, section 6.3.1).
func AppendPLI(dst []byte, ssrc, media uint32) []byte {
	dst = appendHeader(dst, TypePSFB, formatPLI, 8)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	return binary.BigEndian.AppendUint32(dst, media)
}

// AppendFIR appends a full intra request to dst, with which source ssrc commands
// source media to send a key frame (RFC 5104, section 4.3.1). A repetition of a
// request has its number, a new one the next number.
func AppendFIR(dst []byte, ssrc, media uint32, number uint8) []byte {
	dst = appendHeader(dst, TypePSFB, formatFIR, 16)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, media)
	return append(dst, number, 0, 0, 0)
}

// picture reads payload-specific feedback.
func (s *Session) picture(now time.Time, m Member, fn func(Event)) error {
	switch {
	case m.Count != formatPLI && m.Count != formatFIR && m.Count != formatApplication:
		s.other(now, m, fn)
		return nil
	case len(m.Body) < 8:
		return errFeedback
	}
	ssrc := binary.BigEndian.Uint32(m.Body)
	if !s.ours(ssrc) {
		s.touchKnown(now, ssrc)
	}
	switch rest := m.Body[8:]; m.Count {
	case formatPLI:
		if binary.BigEndian.Uint32(m.Body[4:]) == s.config.SSRC {
			fn(Event{Kind: KeyFrameWanted, SSRC: ssrc})
		}
	case formatFIR:
		if len(rest) == 0 || len(rest)%8 != 0 {
			return errFeedback
		}
		for ; len(rest) > 0; rest = rest[8:] {
			if binary.BigEndian.Uint32(rest) == s.config.SSRC && s.newFIR(ssrc, rest[4]) {
				fn(Event{Kind: KeyFrameWanted, SSRC: ssrc})
			}
		}
	default:
		bitrate, ours, ok := s.readREMB(rest)
		switch {
		case !ok:
			fn(Event{Kind: Other, SSRC: ssrc, Member: m})
		case ours:
			fn(Event{Kind: BandwidthEstimated, SSRC: ssrc, Bitrate: bitrate})
		}
	}
	return nil
}

// newFIR reports whether a full intra request is not the repetition of the one
// before. Those of sources that are not members are always taken for new.
func (s *Session) newFIR(ssrc uint32, number uint8) bool {
	m := s.member(ssrc)
	if m == nil {
		return true
	}
	again := m.asked && m.fir == number
	m.asked, m.fir = true, number
	return !again
}

// readREMB reads an estimate in bits per second, and whether it is for us.
func (s *Session) readREMB(b []byte) (bitrate int64, ours, ok bool) {
	if len(b) < 8 || string(b[:4]) != remb || len(b) < 8+4*int(b[4]) {
		return 0, false, false
	}
	mantissa, exponent := int64(b[5]&3)<<16|int64(binary.BigEndian.Uint16(b[6:])), b[5]>>2
	bitrate = mantissa << exponent
	if bitrate>>exponent != mantissa || bitrate < 0 {
		bitrate = math.MaxInt64
	}
	for i := range int(b[4]) {
		ours = ours || binary.BigEndian.Uint32(b[8+4*i:]) == s.config.SSRC
	}
	return bitrate, ours, true
}
