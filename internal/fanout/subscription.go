package fanout

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// A Subscription is one reader of a [Relay]. Its methods may be used from any
// goroutine.
type Subscription[F any] struct {
	relay *Relay[F]

	// Guarded by relay.mu.
	changed  sync.Cond
	queue    Queue[F] // nil when closed
	dropped  int64
	err      error // after what is queued
	deadline time.Time
	timer    *time.Timer // for the deadline
}

// ReadFrame copies the next frame into f. It blocks until there is one. The error
// is that of the source, once what was queued has been read, or wraps
// [os.ErrClosed] or [os.ErrDeadlineExceeded].
func (s *Subscription[F]) ReadFrame(f *F) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	for {
		switch {
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return os.ErrDeadlineExceeded
		case s.queue != nil && s.queue.Pop(f):
			return nil
		case s.err != nil:
			return s.err
		}
		s.changed.Wait()
	}
}

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (s *Subscription[F]) SetReadDeadline(t time.Time) {
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

func (s *Subscription[F]) wake() {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.changed.Broadcast()
}

func (s *Subscription[F]) stopTimerLocked() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// Dropped returns how many frames its queue has dropped.
func (s *Subscription[F]) Dropped() int64 {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	return s.dropped
}

// Close ends the subscription. Reads return [os.ErrClosed] from now on, also one
// that waits, and what is queued is dropped. The error is nil.
func (s *Subscription[F]) Close() error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.closeLocked()
	s.relay.releaseLocked()
	return nil
}

func (s *Subscription[F]) closeLocked() {
	r := s.relay
	if i := slices.Index(r.subscriptions, s); i >= 0 {
		r.subscriptions = slices.Delete(r.subscriptions, i, i+1)
	}
	s.stopTimerLocked()
	s.queue, s.err, s.deadline = nil, r.errClosed, time.Time{}
	s.changed.Broadcast()
}
