package video

import "github.com/parley-media/parley/internal/fanout"

const (
	maxQueueBytes = 8 << 20   // of frames that wait for one subscriber
	keptFrame     = 256 << 10 // memory of a frame that is kept for those to come
)

// A queue holds frames that can be decoded: from a key frame on.
type queue struct {
	relay  *Relay
	ring   []Frame // each with memory of its own
	first  int
	count  int
	bytes  int
	behind bool // no key frame has come since it began, or since frames were dropped
	asks   bool // the source is asked for one: not for a subscriber that does not read
}

func (r *Relay) newQueue(frames int) fanout.Queue[Frame] {
	return &queue{relay: r, ring: make([]Frame, frames), behind: true, asks: true}
}

func (q *queue) at(i int) *Frame { return &q.ring[(q.first+i)%len(q.ring)] }

func (q *queue) Push(f *Frame) (dropped int) {
	for q.count == len(q.ring) || q.count > 0 && q.bytes+len(f.Data) > maxQueueBytes {
		dropped += q.skip()
	}
	if q.behind && !f.Key {
		q.relay.awaited = q.relay.awaited || q.asks
		return dropped + 1
	}
	q.behind = false
	q.at(q.count).set(f)
	q.count++
	q.bytes += len(f.Data)
	return dropped
}

// skip drops the first frame and those that follow it up to a key frame.
func (q *queue) skip() (dropped int) {
	for dropped == 0 || q.count > 0 && !q.at(0).Key {
		q.drop()
		dropped++
	}
	q.behind = q.count == 0
	q.asks = false
	return dropped
}

func (q *queue) drop() {
	f := q.at(0)
	q.bytes -= len(f.Data)
	if cap(f.Data) > keptFrame {
		f.Data = nil
	}
	q.first = (q.first + 1) % len(q.ring)
	if q.count--; q.count == 0 {
		q.first = 0 // who keeps up needs the memory of one frame
	}
}

func (q *queue) Pop(f *Frame) bool {
	if q.count == 0 {
		q.asks = true
		return false
	}
	f.set(q.at(0))
	q.drop()
	return true
}

// set copies f, reusing the memory of data.
func (dst *Frame) set(f *Frame) {
	data := append(dst.Data[:0], f.Data...)
	*dst = *f
	dst.Data = data
}
