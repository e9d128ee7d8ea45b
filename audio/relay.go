package audio

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
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

const maxRelayQueue = 1 << 16

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
type Relay struct {
	source Reader
	queue  int
	drain  bool
	err    error // of the configuration

	mu            sync.Mutex
	stopped       sync.Cond // running has become false
	subscriptions []*Subscription
	running       bool // a goroutine reads the source
	interrupted   bool // the source has a deadline of ours
	begun, closed bool
}

// NewRelay returns a relay of what source gives. With a Queue out of range every
// read of its subscriptions fails.
func NewRelay(source Reader, c RelayConfig) *Relay {
	r := &Relay{source: source, queue: cmp.Or(c.Queue, 50), drain: c.Drain}
	if r.queue < 1 || r.queue > maxRelayQueue {
		r.err = fmt.Errorf("audio: a queue of %d frames is outside 1..%d", r.queue, maxRelayQueue)
	}
	r.stopped.L = &r.mu
	return r
}

// Subscribe returns a reader of what the source gives from now on. It must be
// closed.
func (r *Relay) Subscribe() *Subscription {
	s := &Subscription{relay: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.changed.L = &r.mu
	switch {
	case r.closed:
		s.err = errRelayClosed
		return s
	case r.err != nil:
		s.err = r.err
		return s
	}
	s.ring = make([]Frame, r.queue)
	r.begun = true
	r.subscriptions = append(r.subscriptions, s)
	if !r.running {
		r.running = true
		go r.run()
	}
	return s
}

// Subscribers returns how many subscriptions there are.
func (r *Relay) Subscribers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.subscriptions)
}

// Wait blocks until the relay does not read the source: after the last
// subscription has been closed, or the source has failed, and with Drain after
// Close.
func (r *Relay) Wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.running {
		r.stopped.Wait()
	}
}

// Close ends all subscriptions, whose reads return [os.ErrClosed] at once. It
// does not wait for the source: see [Relay.Wait].
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		for len(r.subscriptions) > 0 {
			r.subscriptions[0].closeLocked()
		}
		r.releaseLocked()
	}
	return nil
}

var errRelayClosed = fmt.Errorf("audio relay: %w", os.ErrClosed)

// wantedLocked reports whether the source has to be read.
func (r *Relay) wantedLocked() bool {
	return len(r.subscriptions) > 0 || r.drain && r.begun && !r.closed
}

// A deadliner can be interrupted.
type deadliner interface{ SetReadDeadline(time.Time) }

// releaseLocked makes a read of the source return that nobody wants any more.
func (r *Relay) releaseLocked() {
	if d, ok := r.source.(deadliner); ok && r.running && !r.interrupted && !r.wantedLocked() {
		r.interrupted = true
		d.SetReadDeadline(time.Unix(1, 0))
	}
}

// run reads the source while somebody wants it.
func (r *Relay) run() {
	var f Frame
	for r.goesOn() {
		err := r.source.ReadFrame(&f)
		r.mu.Lock()
		switch {
		case err == nil:
			for _, s := range r.subscriptions {
				s.pushLocked(&f)
			}
		case r.interrupted && errors.Is(err, os.ErrDeadlineExceeded):
			// goesOn decides: somebody may have subscribed again.
		default:
			r.failLocked(err)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

// goesOn reports whether the source is to be read once more. If not, the relay
// has let go of it.
func (r *Relay) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wantedLocked() {
		r.restoreLocked()
		return true
	}
	r.endLocked()
	return false
}

// restoreLocked takes our deadline off the source.
func (r *Relay) restoreLocked() {
	if r.interrupted {
		r.interrupted = false
		r.source.(deadliner).SetReadDeadline(time.Time{})
	}
}

func (r *Relay) endLocked() {
	r.restoreLocked()
	r.running = false
	r.stopped.Broadcast()
}

// failLocked hands an error of the source to all.
func (r *Relay) failLocked(err error) {
	for _, s := range r.subscriptions {
		s.err = err
		s.changed.Broadcast()
	}
	clear(r.subscriptions)
	r.subscriptions = r.subscriptions[:0]
	r.endLocked()
}

// A Subscription is a [Reader] of what the source of a [Relay] gives. Its
// methods may be used from any goroutine.
type Subscription struct {
	relay *Relay

	// Guarded by relay.mu.
	changed  sync.Cond
	ring     []Frame // each with memory of its own
	first    int
	count    int
	dropped  int64
	err      error // after what is queued
	deadline time.Time
	timer    *time.Timer // for the deadline
}

// pushLocked queues a copy of f.
func (s *Subscription) pushLocked(f *Frame) {
	if s.count == len(s.ring) {
		s.first = (s.first + 1) % len(s.ring)
		s.count--
		s.dropped++
	}
	s.ring[(s.first+s.count)%len(s.ring)].set(f)
	s.count++
	s.changed.Broadcast()
}

// set copies f, reusing the memory of samples.
func (dst *Frame) set(f *Frame) {
	samples := append(dst.Samples[:0], f.Samples...)
	*dst = *f
	dst.Samples = samples
}

// ReadFrame copies the next frame into f, reusing the memory of its samples. It
// blocks until there is one. Frames that were dropped show as a gap between the
// times of frames. The error is that of the source, once what was queued has been
// read, or wraps [os.ErrClosed] or [os.ErrDeadlineExceeded].
func (s *Subscription) ReadFrame(f *Frame) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	for {
		switch {
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return os.ErrDeadlineExceeded
		case s.count > 0:
			f.set(&s.ring[s.first])
			s.first = (s.first + 1) % len(s.ring)
			s.count--
			return nil
		case s.err != nil:
			return s.err
		}
		s.changed.Wait()
	}
}

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (s *Subscription) SetReadDeadline(t time.Time) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if errors.Is(s.err, os.ErrClosed) {
		return
	}
	s.stopTimerLocked()
	s.deadline = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		s.timer = time.AfterFunc(wait, s.wake)
	}
	s.changed.Broadcast()
}

func (s *Subscription) wake() {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.changed.Broadcast()
}

func (s *Subscription) stopTimerLocked() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// Dropped returns how many frames found no room in the queue.
func (s *Subscription) Dropped() int64 {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	return s.dropped
}

// Close ends the subscription. Reads return [os.ErrClosed] from now on, also one
// that waits, and what is queued is dropped.
func (s *Subscription) Close() error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.closeLocked()
	s.relay.releaseLocked()
	return nil
}

func (s *Subscription) closeLocked() {
	r := s.relay
	if i := slices.Index(r.subscriptions, s); i >= 0 {
		r.subscriptions = slices.Delete(r.subscriptions, i, i+1)
	}
	s.stopTimerLocked()
	s.err, s.deadline = errRelayClosed, time.Time{}
	s.ring, s.count = nil, 0
	s.changed.Broadcast()
}
