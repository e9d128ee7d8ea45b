package rtcpctl

import (
	"net/netip"
	"slices"
	"time"
)

// maxConflicts is how many addresses are remembered from which our own source
// was heard.
const maxConflicts = 16

// conflictIntervals is for how many intervals such an address is remembered
// after it was heard last (RFC 3550, section 8.2).
const conflictIntervals = 10

type conflict struct {
	from netip.AddrPort
	at   time.Time
}

// Collided takes notice that a packet with our own SSRC, RTP or RTCP, came from an
// address (RFC 3550, section 8.2). It reports true if that is a collision, and
// the sender is to take a new SSRC: see AppendRename. It reports false if it is a
// loop, because the address has done so before and not been silent for ten
// intervals since; or if the SSRC was changed less than an interval ago, so that
// whoever forges addresses cannot make it change for ever. Except as Looped says, the
// packet is not to be used.
//
// The address is only compared, and may be the zero value where there is none.
func (s *Session) Collided(now time.Time, from netip.AddrPort) bool {
	td := s.interval(false, defaultMinimum)
	s.conflicts = slices.DeleteFunc(s.conflicts, func(c conflict) bool { return now.Sub(c.at) > conflictIntervals*td })
	i := slices.IndexFunc(s.conflicts, func(c conflict) bool { return c.from == from })
	if i >= 0 {
		s.conflicts[i].at = now
	}
	if i >= 0 || len(s.conflicts) == maxConflicts || !s.renamed.IsZero() && now.Sub(s.renamed) < td {
		s.stats.Loops++
		return false
	}
	s.conflicts = append(s.conflicts, conflict{from, now})
	s.stats.Collisions++
	return true
}

// Looped reports whether our own packets come back from an address: it has collided
// with our source, and still does now that this has another SSRC. Where it is the far
// end of a call, that is all that it sends: it echoes, as test tools and numbers to test
// with do, and its media can be heard. Its reports are our own.
func (s *Session) Looped(from netip.AddrPort) bool {
	return slices.ContainsFunc(s.conflicts, func(c conflict) bool { return c.from == from })
}

// AppendRename appends to dst a compound that says goodbye to our source, if it
// has ever been heard, and makes ssrc the source of what is sent from now on, as
// SetSSRC does. It reports whether there is something to send.
func (s *Session) AppendRename(dst []byte, ssrc uint32, now time.Time) ([]byte, bool) {
	const reason = "SSRC collision"
	say := s.started && !s.left && !s.leaving && !s.silent()
	if say {
		start := len(dst)
		dst = s.appendCompound(dst, now, byeSize(reason))
		dst = AppendBYE(dst, s.config.SSRC, reason)
		s.measured(len(dst) - start)
	}
	s.renamed = now
	s.SetSSRC(ssrc)
	return dst, say
}

// SetSSRC makes ssrc the source that this end sends with, and reports as. What
// was counted of the packets sent, what the far end has reported on them, the
// round trip and the circuit breaker begin anew; the time of the next report and
// what is known of others stay.
func (s *Session) SetSSRC(ssrc uint32) {
	s.config.SSRC = ssrc
	s.packets, s.octets = 0, 0
	s.lastSent, s.reference, s.timestamp = time.Time{}, time.Time{}, 0
	s.sentSRs, s.sentReferences = [8]uint32{}, [8]uint32{}
	s.spoken, s.reportsBefore = false, s.reports
	s.remote = Remote{}
	s.breaker = breaker{}
}

// silent reports whether nothing was ever sent with our SSRC.
func (s *Session) silent() bool {
	return s.packets == 0 && s.reports == s.reportsBefore && !s.spoken
}
