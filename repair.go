package parley

import (
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/rtcpctl"
)

// repair is retransmission both ways (RFC 4585, section 6.2.1): what is asked of
// the far end, and what it asks for.
type repair struct {
	requester *rtcpctl.Requester
	history   *rtcpctl.History
	lost      []uint16
	again     ring[[]byte] // packets to send again
	outrun    int64
}

// maxAgain bounds the packets of audio that wait to be sent again. The far end
// asks anew for those that are dropped.
const maxAgain = 32

func newRepair(c rtcpctl.HistoryConfig, again int) *repair {
	return &repair{
		requester: rtcpctl.NewRequester(rtcpctl.RequesterConfig{}),
		history:   rtcpctl.NewHistory(c),
		again:     ring[[]byte]{limit: again},
	}
}

// resend queues the packets that the far end asks for.
func (p *repair) resend(now time.Time, rtt time.Duration, m rtcpctl.Member) {
	for seq := range m.Lost() {
		if b, ok := p.history.Again(now, rtt, seq); ok {
			p.again.push(append([]byte(nil), b...))
		}
	}
}

// admits prepares what is known of the source for a packet that may be one that was
// asked for. It reports false if the packet is a copy of one, or comes when it was
// given up, and the source has gone on so far that it would be taken for the
// beginning of another sequence.
func (p *repair) admits(now time.Time, r *rtcpctl.Reception, packet *rtp.Packet) bool {
	if r == nil || r.SSRC() != packet.SSRC || int16(packet.SequenceNumber-uint16(r.Highest())) > 0 {
		return true
	}
	if seq, ok := p.requester.Asked(packet.SequenceNumber); ok {
		r.Expect(seq)
		return true
	}
	if p.requester.Past(now, packet.SequenceNumber) && !r.Fits(packet.SequenceNumber) {
		p.outrun++
		return false
	}
	return true
}

// pictures asks for key frames, and numbers the commands of RFC 5104, section
// 4.3.1: what is repeated until it is answered keeps its number.
type pictures struct {
	*rtcpctl.KeyFrameRequester
	loss   bool // by picture loss indication
	full   bool // by full intra request
	number uint8
	open   bool
}

// nextRepairLocked returns when there is something to ask for or to send again.
func (l *line) nextRepairLocked() time.Time {
	var next time.Time
	if l.repair != nil {
		if len(l.repair.again.items) > 0 {
			return l.call.opened
		}
		next = l.repair.requester.Next()
	}
	if _, heard := l.in.Heard(); heard && l.pictures != nil && (l.pictures.loss || l.pictures.full) {
		next = earliest(next, l.pictures.Next())
	}
	if next.IsZero() {
		return next
	}
	allowed, ok := l.rtcp.NextFeedback()
	switch {
	case !ok:
		return time.Time{}
	case allowed.After(next):
		return allowed
	}
	return next
}

// repairLocked appends a packet that is to be sent again, or a request for
// packets or for a key frame.
func (l *line) repairLocked(now time.Time, dst []byte) ([]byte, protocol) {
	if l.repair != nil {
		if b, ok := l.repair.again.pop(); ok {
			return append(dst, b...), media
		}
	}
	if next := l.nextRepairLocked(); next.IsZero() || now.Before(next) {
		return dst, nothing
	}
	var f rtcpctl.Feedback
	f.Media, _ = l.in.Heard()
	if l.repair != nil {
		l.repair.lost = l.repair.requester.Append(l.repair.lost[:0], now, l.rtcp.RTT())
		f.Lost = l.repair.lost
	}
	p := l.pictures
	if p != nil {
		next := p.Next()
		due := !next.IsZero() && !now.Before(next)
		f.KeyFrame, f.FullIntra = due && p.loss, due && p.full
		if f.FullIntra && !p.open {
			p.open = true
			p.number++
		}
		f.Request = p.number
	}
	b, ok := l.rtcp.AppendFeedback(dst, now, f)
	if !ok {
		return dst, nothing
	}
	if f.KeyFrame || f.FullIntra {
		p.Asked(now, l.rtcp.RTT())
	}
	return b, control
}
