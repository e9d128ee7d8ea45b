package main

import (
	"time"

	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/stream"
)

// An opusOrder puts coded packets in order, and gives them times from 0 on.
type opusOrder struct {
	wait time.Duration // for a packet that is missing

	runs   []opusRun // the first one is read, the others wait for their turn
	begun  bool
	time   time.Duration // of the packet given out last
	length time.Duration // and how long it lasts
	seen   time.Time     // and when it came
	data   []byte
}

// An opusRun has the packets of one timeline.
type opusRun struct {
	timeline  uint64
	buffer    *jitter.Buffer
	begun     bool
	next      int64 // number of the packet that is given out next
	timestamp uint32
	over      bool // nothing more comes
}

// An opusPacket is one in its place. Its data is good until the next is asked for.
type opusPacket struct {
	time    time.Duration
	arrival time.Time
	data    []byte
}

// push takes a packet, of which it keeps a copy.
func (o *opusOrder) push(p *stream.Packet) {
	n := len(o.runs)
	if n == 0 || o.runs[n-1].timeline != p.Timeline {
		o.end()
		o.runs = append(o.runs, opusRun{timeline: p.Timeline, buffer: &jitter.Buffer{}})
		n++
	}
	o.runs[n-1].buffer.Push(&jitter.Packet{Seq: p.Seq, Arrival: p.Arrival, Timestamp: p.Timestamp, Payload: p.Payload})
}

// end says that nothing more comes of what was pushed.
func (o *opusOrder) end() {
	if n := len(o.runs); n > 0 {
		o.runs[n-1].over = true
	}
}

// pop returns the next packet, if it is known at now to be that.
func (o *opusOrder) pop(now time.Time) (opusPacket, bool) {
	for len(o.runs) > 0 {
		r := &o.runs[0]
		p := r.buffer.First()
		switch {
		case p == nil && r.over && len(o.runs) > 1:
			o.runs = o.runs[1:]
			continue
		case p == nil || r.begun && p.Seq != r.next && !r.over && now.Sub(p.Arrival) < o.wait:
			return opusPacket{}, false
		}
		q := r.buffer.Pop()
		switch {
		case !o.begun:
		case !r.begun: // what comes after a break has its place by its arrival
			o.time += max(o.length, q.Arrival.Sub(o.seen))
		default:
			o.time += time.Duration(int64(int32(q.Timestamp-r.timestamp))) * time.Second / 48000
		}
		o.begun, r.begun = true, true
		r.next, r.timestamp = q.Seq+1, q.Timestamp
		o.seen, o.length = q.Arrival, opusDuration(q.Payload)
		o.data = append(o.data[:0], q.Payload...)
		return opusPacket{max(0, o.time), q.Arrival, o.data}, true
	}
	return opusPacket{}, false
}
