package parley

import (
	"time"

	"github.com/parley-media/parley/rtcpctl"
)

// repair is retransmission both ways (RFC 4585, section 6.2.1): what is asked of
// the far end, and what it asks for.
type repair struct {
	requester *rtcpctl.Requester
	history   *rtcpctl.History
	lost      []uint16
	again     ring[[]byte] // packets to send again
}

// maxAgain bounds the packets that wait to be sent again. The far end asks anew
// for those that are dropped.
const maxAgain = 32

func newRepair() *repair {
	return &repair{
		requester: rtcpctl.NewRequester(rtcpctl.RequesterConfig{}),
		history:   rtcpctl.NewHistory(rtcpctl.HistoryConfig{}),
		again:     ring[[]byte]{limit: maxAgain},
	}
}

// missed notes what the packet that r took last has shown to be missing.
func (p *repair) missed(now time.Time, rtt, ptime, delay time.Duration, r *rtcpctl.Reception) {
	n := r.Skipped()
	if n == 0 {
		p.requester.Arrived(r.Seq())
		return
	}
	p.requester.Missing(now, rtt, rtcpctl.Hole{
		First:    r.Seq() - int64(n),
		Count:    n,
		Wait:     max(ptime/2, 2*r.Jitter()),
		Deadline: now.Add(delay - time.Duration(n)*ptime),
		Spacing:  ptime,
	})
}

// resend queues the packets that the far end asks for.
func (p *repair) resend(now time.Time, rtt time.Duration, m rtcpctl.Member) {
	for seq := range m.Lost() {
		if b, ok := p.history.Again(now, rtt, seq); ok {
			p.again.push(append([]byte(nil), b...))
		}
	}
}

// nextRepairLocked returns when there is something to ask for or to send again.
func (a *Audio) nextRepairLocked() time.Time {
	if a.repair == nil {
		return time.Time{}
	}
	if len(a.repair.again.items) > 0 {
		return a.call.opened
	}
	next := a.repair.requester.Next()
	if next.IsZero() {
		return next
	}
	allowed, ok := a.rtcp.NextFeedback()
	switch {
	case !ok:
		return time.Time{}
	case allowed.After(next):
		return allowed
	}
	return next
}

// repairLocked appends a packet that is to be sent again, or a request for
// packets.
func (a *Audio) repairLocked(now time.Time, dst []byte) ([]byte, protocol) {
	if b, ok := a.repair.again.pop(); ok {
		return append(dst, b...), media
	}
	if next := a.nextRepairLocked(); next.IsZero() || now.Before(next) {
		return dst, nothing
	}
	ssrc, _ := a.receiver.Heard()
	a.repair.lost = a.repair.requester.Append(a.repair.lost[:0], now, a.rtcp.RTT())
	if b, ok := a.rtcp.AppendFeedback(dst, now, rtcpctl.Feedback{Media: ssrc, Lost: a.repair.lost}); ok {
		return b, control
	}
	return dst, nothing
}
