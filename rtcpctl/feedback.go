package rtcpctl

import (
	"encoding/binary"
	"time"
)

// Feedback is what a receiver tells a source at once (RFC 4585).
type Feedback struct {
	Media uint32   // the source that it is for
	Lost  []uint16 // the packets to send again, best in ascending order

	KeyFrame  bool  // a key frame is needed, by a picture loss indication
	FullIntra bool  // and by a full intra request, for sources that know nothing else
	Request   uint8 // number of that
}

// maxUndithered is the largest session in which feedback is sent. RFC 4585 lets
// two members send it at once; a third and a fourth, as may be known for a while
// when a call changes hands, do no harm. More would need the dithering and the
// suppression of section 3.5, which is not implemented.
const maxUndithered = 4

// NextFeedback returns from when on AppendFeedback may be called, and false if
// feedback is not to be sent at all: before the start, after the goodbye, and in
// sessions of more than four members.
//
// The rules are those of RFC 4585, section 3.5, for two members (T_dither_max is
// zero), with the regular reports held to [Config.MinInterval] as by
// T_rr_interval: feedback goes out at once, unless a packet of feedback was sent
// less than an interval ago. That interval is the one of RFC 3550 without its
// minimum, so feedback stays within the share of RTCP. With the default
// bandwidth it is about half a second, and less in reduced size.
func (s *Session) NextFeedback() (time.Time, bool) {
	if !s.started || s.left || s.leaving || s.present+1 > maxUndithered {
		return time.Time{}, false
	}
	return s.timer.feedback, true
}

// AppendFeedback appends to dst a datagram with feedback: in a compound behind
// an empty receiver report and our CNAME or, with [Config.ReducedSize], alone. It
// has at most [MaxCompound] bytes; lost packets that do not fit are left out. It
// is taken to be sent, and does not change when the next report is due.
//
// It reports false, and appends nothing, if there is nothing to tell or
// NextFeedback does not allow it at now. A requester is therefore best asked
// only once it does.
func (s *Session) AppendFeedback(dst []byte, now time.Time, f Feedback) ([]byte, bool) {
	if at, ok := s.NextFeedback(); !ok || now.Before(at) || len(f.Lost) == 0 && !f.KeyFrame && !f.FullIntra {
		return dst, false
	}
	start := len(dst)
	if !s.config.ReducedSize {
		dst = appendRRHead(dst, s.config.SSRC, 0)
		dst = AppendSDES(dst, s.config.SSRC, s.cname)
	}
	if f.KeyFrame {
		dst = AppendPLI(dst, s.config.SSRC, f.Media)
	}
	if f.FullIntra {
		dst = AppendFIR(dst, s.config.SSRC, f.Media, f.Request)
	}
	dst, _ = AppendNACK(dst, s.config.SSRC, f.Media, f.Lost, MaxCompound-(len(dst)-start))
	s.measured(len(dst) - start)
	s.timer.feedback = now.Add(s.interval(s.sending(), 0))
	s.spoken = true
	s.stats.Feedback++
	return dst, true
}

// transport reads transport-layer feedback (RFC 4585, section 6.2).
func (s *Session) transport(now time.Time, m Member, fn func(Event)) error {
	if m.Count != formatNACK && m.Count != formatTransport {
		s.other(now, m, fn)
		return nil
	}
	if len(m.Body) < 8+4 || len(m.Body)%4 != 0 && m.Count == formatNACK {
		return errFeedback
	}
	ssrc := binary.BigEndian.Uint32(m.Body)
	if !s.ours(ssrc) {
		s.touchKnown(now, ssrc)
	}
	if binary.BigEndian.Uint32(m.Body[4:]) != s.config.SSRC {
		return nil
	}
	if m.Count == formatTransport {
		_, _, arrived, ok := m.statuses()
		if !ok {
			return errFeedback
		}
		missing := int(binary.BigEndian.Uint16(m.Body[10:])) - arrived
		fn(Event{Kind: TransportReported, SSRC: ssrc, Member: m, Arrived: arrived, Missing: missing})
	} else {
		fn(Event{Kind: Nacked, SSRC: ssrc, Member: m})
	}
	return nil
}
