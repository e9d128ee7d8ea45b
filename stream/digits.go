package stream

import (
	"time"

	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/jitter"
)

// digits is what is known of telephone events.
type digits struct {
	playing bool // the packet played last was one
	heard   bool // one was received, and there may be something to report
}

// PullDigit returns the next report of a key that the far end pressed or
// released, if there is one at now.
func (r *AudioReceiver) PullDigit(now time.Time) (dtmf.Report, bool) {
	if !r.digits.heard { // as at most times
		return dtmf.Report{}, false
	}
	for _, d := range r.events {
		if report, ok := d.digits.Pull(now); ok {
			return report, true
		}
	}
	r.digits.heard = !r.NextDigit().IsZero()
	return dtmf.Report{}, false
}

// NextDigit returns when [AudioReceiver.PullDigit] has the next report, which
// may be in the past. The zero Time means not before the next Push.
func (r *AudioReceiver) NextDigit() time.Time {
	var next time.Time
	if !r.digits.heard {
		return next
	}
	for _, d := range r.events {
		if t := d.digits.Next(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// acceptEvent takes a packet of a telephone event. Its report does not wait for
// playout, and comes also while packets are taken coded; in the buffer it only says that its sequence number is not lost.
func (r *AudioReceiver) acceptEvent(p *jitter.Packet, d *decoding) Verdict {
	r.place(p, d)
	r.digits.heard = true
	err := d.digits.Push(p.Arrival, uint16(p.Seq), p.Timestamp, p.Payload)
	if r.queue != nil {
		return r.enqueue(p, d)
	}
	p.Payload = nil
	v := r.store(p, d)
	if err != nil {
		return Malformed
	}
	if v == TooLate {
		return Accepted // its time was that of its arrival
	}
	return v
}

// isKey reports whether a packet of telephone events is about a key, of which there is a
// report, and no other event.
func isKey(payload []byte) bool {
	e, _, err := dtmf.ParseEvent(payload)
	if err != nil {
		return false
	}
	_, ok := dtmf.DigitOf(e.Code)
	return ok
}
