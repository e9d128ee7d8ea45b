package parley

import (
	"math/rand/v2"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// What follows makes Audio a medium.

func (a *Audio) pushed(now time.Time, v stream.Verdict) {
	if r := a.receiver.Reception(); r != nil && r.SSRC() == a.packet.SSRC && uint16(r.Seq()) == a.packet.SequenceNumber {
		if o := r.Order(); o != rtcpctl.Stray && o != rtcpctl.Duplicate { // whose number does not hold, or is decided
			a.fates.packet(r.SSRC(), r.Seq(), v)
		}
	}
	if f := a.forwarder.Load(); f != nil && v == stream.TooLate && a.receiver.Diverts() {
		f.stats.Withheld++
	}
	a.digitsLocked(now)
	if a.waiting.packet > 0 && a.coded.Len() > 0 {
		a.call.cond.Broadcast()
	}
}

func (a *Audio) hole(now time.Time, n int, r *rtcpctl.Reception) rtcpctl.Hole {
	var s stream.ReceiverStats
	a.receiver.Stats(&s)
	_, ptime := a.speech()
	h := rtcpctl.Hole{
		First:    r.Seq() - int64(n),
		Count:    n,
		Wait:     max(ptime/2, 2*r.Jitter()),
		Deadline: now.Add(max(s.Delay, s.Target) - time.Duration(n)*ptime),
		Spacing:  ptime,
	}
	if a.inOrder { // what came behind them waits for all of them together
		h.Deadline, h.Spacing = now.Add(a.maxDelay), 0
	}
	return h
}

func (a *Audio) resume() {
	a.receiver.Rejoin()
	a.fates.resume()
}

func (a *Audio) heed(_ time.Time, e rtcpctl.Event) {
	if e.Kind == rtcpctl.Reported {
		a.sender.SetLoss(float64(e.Block.FractionLost) / 256)
	}
}

func (a *Audio) goodbye() { a.receiver.Pause() }

func (a *Audio) broken(time.Time, rtcpctl.Trip) {}

func (a *Audio) rename(now time.Time, ssrc uint32, sequence uint16) {
	a.sender.SetSSRC(now, ssrc, sequence, rand.Uint32())
}

func (a *Audio) appendMedia(dst []byte, now time.Time) ([]byte, bool) {
	room, digits := a.sender.Room(), a.sender.PendingDigits()
	b, ok := a.sender.AppendPacket(dst, now)
	if a.replies != nil {
		a.replies.leaves(now, a.sender.Played())
	}
	if ok && len(a.taps) > 0 {
		a.tapLocked(a.dueAtLocked(now), b[len(dst):])
	}
	// On hold time goes on without a packet, and a frame may have several.
	if ok || a.sender.Room() != room || a.sender.PendingDigits() != digits {
		if a.waiting.room > 0 || a.waiting.digits > 0 || a.waiting.drain > 0 {
			a.call.cond.Broadcast()
		}
	}
	return b, ok
}

func (a *Audio) idle(now time.Time) { a.digitsLocked(now) }

func (a *Audio) next() time.Time {
	next := a.receiver.NextDigit()
	if a.clocked {
		next = earliest(next, a.asked.Add(pollInterval))
	}
	if a.handler != nil {
		next = earliest(next, a.receiver.Next())
	}
	return next
}

func (a *Audio) readers() time.Time {
	next := a.deadlinesLocked()
	if a.waiting.frame > 0 || a.waiting.forward > 0 {
		next = earliest(next, a.receiver.Next())
	}
	if a.waiting.drain > 0 {
		next = earliest(next, a.sender.Drained())
	}
	return next
}
