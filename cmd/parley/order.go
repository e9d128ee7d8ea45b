package main

import (
	"time"

	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/stream"
)

// A packetOrder puts coded packets of a call in order.
type packetOrder struct {
	wait time.Duration // for a packet that is missing

	buffer jitter.Buffer
	begun  bool
	next   int64 // number of the packet that is given out next
}

// push takes a packet, of which it keeps a copy.
func (o *packetOrder) push(p *stream.Packet) {
	o.buffer.Push(&jitter.Packet{Seq: p.Seq, Time: p.Time, Arrival: p.Arrival, Payload: p.Payload})
}

// pop returns the next packet if it is known at now to be that, or if over says that
// no more come, else nil. It is good until the next push or pop.
func (o *packetOrder) pop(now time.Time, over bool) *jitter.Packet {
	first := o.buffer.First()
	if first == nil || o.begun && first.Seq != o.next && !over && now.Sub(first.Arrival) < o.wait {
		return nil
	}
	p := o.buffer.Pop()
	o.begun, o.next = true, p.Seq+1
	return p
}
