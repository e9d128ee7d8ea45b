package audio

import (
	"cmp"
	"time"

	"github.com/parley-media/parley/internal/fanout"
)

// RelayConfig describes a [Relay]. Its zero value is that of a conversation.
type RelayConfig struct {
	// Queue is how many frames wait for a subscriber that is slow, 1 to 65536; 0
	// means 50, which is a second of frames of 20 ms. A frame that finds the queue
	// full takes the place of the oldest.
	Queue int

	// Drain keeps the source being read, from the first subscription until Close,
	// while nobody subscribes. What it gives then is dropped.
	Drain bool
}

// A Relay lets many readers have what one source gives: each [Subscription] is a
// [Reader] of its own, with a bounded queue, so that one that is slow or stuck
// harms nobody. Its methods may be used from any goroutine.
//
// The source is read by one goroutine, and only while somebody subscribes. It
// has to keep to real time by itself, as the audio of a call does: a file would
// run away from its readers. Once the last subscriber has gone the source can be
// read by others again, when [Relay.Wait] has returned. If the source has a
// method SetReadDeadline, as the audio of a call and a Subscription do, the relay
// lets go of it at once, takes no frame from it any more, and leaves it without
// a deadline. A source without one cannot be interrupted: the frame that it gives
// next is for those who have subscribed until then, or else dropped.
//
// An error of the source, io.EOF too, comes to all who subscribe at that time,
// after what is queued for them. Who subscribes later makes the relay read the
// source again. The relay does not close its source.
type Relay struct{ core *fanout.Relay[Frame] }

// NewRelay returns a relay of what source gives. With a Queue out of range every
// read of its subscriptions fails.
func NewRelay(source Reader, c RelayConfig) *Relay {
	return &Relay{fanout.New(source, fanout.Config[Frame]{
		Name: "audio", Frames: cmp.Or(c.Queue, 50), Queue: newQueue, Drain: c.Drain,
	})}
}

// Subscribe returns a reader of what the source gives from now on. It must be
// closed.
func (r *Relay) Subscribe() *Subscription { return &Subscription{r.core.Subscribe()} }

// Subscribers returns how many subscriptions there are.
func (r *Relay) Subscribers() int { return r.core.Subscribers() }

// Wait blocks until the relay does not read the source: after the last
// subscription has been closed, or the source has failed, and with Drain after
// Close.
func (r *Relay) Wait() { r.core.Wait() }

// Close ends all subscriptions, whose reads return [os.ErrClosed] at once. It
// does not wait for the source: see [Relay.Wait].
func (r *Relay) Close() error { return r.core.Close() }

// A Subscription is a [Reader] of what the source of a [Relay] gives. Its
// methods may be used from any goroutine.
type Subscription struct{ core *fanout.Subscription[Frame] }

// ReadFrame copies the next frame into f, reusing the memory of its samples. It
// blocks until there is one. Frames that were dropped show as a gap between the
// times of frames. The error is that of the source, once what was queued has been
// read, or wraps [os.ErrClosed] or [os.ErrDeadlineExceeded].
func (s *Subscription) ReadFrame(f *Frame) error { return s.core.ReadFrame(f) }

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (s *Subscription) SetReadDeadline(t time.Time) { s.core.SetReadDeadline(t) }

// Dropped returns how many frames found no room in the queue.
func (s *Subscription) Dropped() int64 { return s.core.Dropped() }

// Close ends the subscription. Reads return [os.ErrClosed] from now on, also one
// that waits, and what is queued is dropped.
func (s *Subscription) Close() error { return s.core.Close() }

// A queue drops the oldest frame for one that finds it full.
type queue struct {
	ring  []Frame // each with memory of its own
	first int
	count int
}

func newQueue(frames int) fanout.Queue[Frame] { return &queue{ring: make([]Frame, frames)} }

func (q *queue) Push(f *Frame) (dropped int) {
	if q.count == len(q.ring) {
		q.drop()
		dropped = 1
	}
	q.ring[(q.first+q.count)%len(q.ring)].set(f)
	q.count++
	return dropped
}

func (q *queue) Pop(f *Frame) bool {
	if q.count == 0 {
		return false
	}
	f.set(&q.ring[q.first])
	q.drop()
	return true
}

func (q *queue) drop() {
	q.first = (q.first + 1) % len(q.ring)
	q.count--
}

// set copies f, reusing the memory of samples.
func (dst *Frame) set(f *Frame) {
	samples := append(dst.Samples[:0], f.Samples...)
	*dst = *f
	dst.Samples = samples
}
