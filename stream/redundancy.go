package stream

import (
	"time"

	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/payload"
)

// acceptRedundant takes a packet with copies of earlier ones (RFC 2198). The
// copies get the numbers of the packets that they are copies of, so that they
// are duplicates of those that were received.
func (r *AudioReceiver) acceptRedundant(p *jitter.Packet, d *decoding) Verdict {
	red, err := payload.ParseRED(p.Payload)
	if err != nil {
		return Malformed
	}
	primary := red.Primary()
	of := r.accepted(primary.PayloadType)
	if of == nil || of.kind == redundancy {
		return WrongType
	}
	if p.Payload, p.Type = primary.Payload, primary.PayloadType; len(p.Payload) == 0 {
		return Malformed
	}
	if of.kind == event {
		return r.acceptEvent(p, of)
	}
	r.place(p, d)
	back := int64(red.Len()) - 1
	for b := range red.All() {
		if back == 0 {
			break
		}
		of := r.accepted(b.PayloadType)
		if of != nil && of.kind == spoken && len(b.Payload) > 0 && b.Offset > 0 {
			c := *p
			before := unitsToTime(int64(b.Offset), d.params.ClockRate)
			c.Seq -= r.packetsIn(before, back)
			c.Time -= before
			c.Timestamp -= uint32(b.Offset)
			c.Type, c.Payload, c.Marker, c.Restart, c.Copy = b.PayloadType, b.Payload, false, false, true
			if c.Time >= 0 { // not from before the first packet
				r.store(&c, of)
			}
		}
		back--
	}
	return r.store(p, of)
}

// packetsIn returns how many packets last d. A sender may leave out some of the
// copies, so the place among them is only a guess.
func (r *AudioReceiver) packetsIn(d time.Duration, guess int64) int64 {
	if r.span <= 0 {
		return guess
	}
	return max(1, int64((d+r.span/2)/r.span))
}
