package file

import (
	"time"

	"github.com/parley-media/parley/stream"
)

const (
	// orderPackets and orderTime bound how long packets wait for one before them.
	orderPackets = 32
	orderTime    = 200 * time.Millisecond
)

// A packetOrder gives packets, which come as they were received, the order and
// the times in which they were sent.
type packetOrder struct {
	begun    bool
	anew     bool // the next packet is the first of its run
	timed    bool // packets of this run have a Time
	timeline uint64
	rate     int

	// What times a run without them has counts from its first packet.
	base        time.Duration
	units       int64
	stamp       uint32
	lastTime    time.Duration // the highest
	lastArrival time.Duration

	next  int64 // the number that comes next
	held  [orderPackets]heldPacket
	count int
}

type heldPacket struct {
	seq     int64
	at      time.Duration // in the file
	arrival time.Duration
	data    []byte
}

// time returns the time of a packet: its own, or if the packets of its run have
// none, which are all 0 then, one on a timeline that goes on when that of the
// packets begins anew. It is the one place where that is concluded from numbers
// and arrival.
func (o *packetOrder) time(p *stream.Packet, arrival time.Duration) time.Duration {
	if o.fresh(p) {
		if o.begun {
			o.base = o.lastTime + max(arrival-o.lastArrival, 0)
		}
		o.begun, o.anew, o.timed = true, true, false
		o.timeline, o.rate = p.Timeline, max(p.Codec.ClockRate, 1)
		o.units, o.stamp = 0, p.Timestamp
		o.lastTime, o.lastArrival = o.base, arrival
	}
	o.units += int64(int32(p.Timestamp - o.stamp))
	o.stamp = p.Timestamp
	at := o.base + samplesToTime(o.units, o.rate)
	if o.timed = o.timed || p.Time != 0; o.timed {
		at = p.Time
	}
	if at >= o.lastTime {
		o.lastTime, o.lastArrival = at, arrival
	}
	return at
}

// fresh reports whether p begins a run, before which all that is held has to go.
func (o *packetOrder) fresh(p *stream.Packet) bool {
	return !o.begun || p.Timeline != o.timeline || max(p.Codec.ClockRate, 1) != o.rate
}

// push holds a copy of a packet whose turn it may not be yet. It reports false
// for one that comes too late, or for the second time.
func (o *packetOrder) push(seq int64, at, arrival time.Duration, data []byte) bool {
	if o.anew {
		o.anew, o.next = false, seq
	}
	if seq < o.next {
		return false
	}
	i := o.count
	for i > 0 && o.held[i-1].seq >= seq {
		if i--; o.held[i].seq == seq {
			return false
		}
	}
	free := o.held[o.count].data
	copy(o.held[i+1:o.count+1], o.held[i:o.count])
	o.held[i] = heldPacket{seq, at, arrival, append(free[:0], data...)}
	o.count++
	return true
}

// pop calls give with the packets whose turn it is, or that have waited enough,
// or all.
func (o *packetOrder) pop(now time.Duration, all bool, give func(h *heldPacket) error) error {
	for o.count > 0 {
		h := &o.held[0]
		if !all && h.seq != o.next && o.count < orderPackets-1 && now-h.arrival < orderTime {
			return nil
		}
		o.next = h.seq + 1
		err := give(h)
		first := *h
		copy(o.held[:], o.held[1:o.count])
		o.count--
		o.held[o.count] = first // for its memory
		if err != nil {
			return err
		}
	}
	return nil
}
