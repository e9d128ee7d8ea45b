package stream

import (
	"math"
	"time"

	"github.com/parley-media/parley/codec"
)

// A Packet is a coded audio packet on its way from a receiver to a sender, a
// file or an application, without being decoded.
type Packet struct {
	Codec codec.Params

	// Timeline names the run of sequence numbers and timestamps that this
	// packet belongs to. When it changes, nothing can be concluded from the
	// difference to earlier numbers.
	Timeline uint64

	Seq       int64  // extended sequence number, which does not wrap
	Timestamp uint32 // RTP timestamp, in units of Codec.ClockRate
	Marker    bool
	Arrival   time.Time

	// Time is the position on the timeline that an [audio.Frame] of the same call
	// would have, and [video.Frame] has. Writers to whom it means nothing leave it
	// at 0 in all packets.
	Time time.Duration

	Payload []byte
}

// omitted closes the gaps that padding leaves in the numbers of coded packets:
// whoever passes these on would take them for losses.
type omitted struct {
	timeline uint64
	newest   int64 // number of a coded packet or an omission
	first    int64 // of the last omissions in a row
	before   int64 // omissions before these
	oldest   int64 // number for which what was omitted before it is known: first of the row before
	all      int64
}

// add takes notice of a packet that is not passed on. One that comes late stays a
// gap.
func (o *omitted) add(seq int64, timeline uint64) {
	if o.timeline != timeline {
		return // nothing was passed on yet
	}
	if seq <= o.newest {
		return
	}
	if seq != o.first+o.all-o.before {
		o.oldest, o.first, o.before = o.first, seq, o.all
	}
	o.all++
	o.newest = seq
}

// number returns the number to pass a packet on with. It reports false for one that
// comes so late that its number is not known any more.
func (o *omitted) number(seq int64, timeline uint64) (n int64, ok bool) {
	if o.timeline != timeline {
		*o = omitted{timeline: timeline, newest: seq, first: math.MinInt64, oldest: math.MinInt64}
	}
	o.newest = max(o.newest, seq)
	if seq < o.first {
		return seq - o.before, seq >= o.oldest
	}
	return seq - o.all, true
}

// set copies q into p, reusing the memory of p.Payload.
func (p *Packet) set(q *Packet) {
	payload := append(p.Payload[:0], q.Payload...)
	*p = *q
	p.Payload = payload
}

// A PacketQueue is a bounded queue of coded packets. A packet that finds it
// full takes the place of the oldest, which is counted in Dropped. The zero
// value holds 64 packets. It is not safe for concurrent use.
type PacketQueue struct {
	Dropped int64

	ring  [64]Packet
	first int
	count int
}

// Push appends a copy of p.
func (q *PacketQueue) Push(p *Packet) {
	if q.count == len(q.ring) {
		q.first = (q.first + 1) % len(q.ring)
		q.count--
		q.Dropped++
	}
	q.ring[(q.first+q.count)%len(q.ring)].set(p)
	q.count++
}

// Pop removes the oldest packet and copies it into p, reusing the memory of
// p.Payload. It reports false if the queue is empty.
func (q *PacketQueue) Pop(p *Packet) bool {
	if q.count == 0 {
		return false
	}
	p.set(&q.ring[q.first])
	q.first = (q.first + 1) % len(q.ring)
	if q.count--; q.count == 0 {
		q.first = 0 // who keeps up needs the memory of one packet
	}
	return true
}

// Len returns the number of packets in the queue.
func (q *PacketQueue) Len() int { return q.count }
