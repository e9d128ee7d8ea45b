package video

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// A Subscription is a [Reader] of what the source of a [Relay] gives. Its
// methods may be used from any goroutine.
type Subscription struct {
	relay *Relay

	// Guarded by relay.mu.
	changed  sync.Cond
	ring     []Frame // each with memory of its own
	first    int
	count    int
	bytes    int
	behind   bool // no key frame has come since it began, or since frames were dropped
	asks     bool // the source is asked for one: not for a subscriber that does not read
	dropped  int64
	err      error // after what is queued
	deadline time.Time
	timer    *time.Timer // for the deadline
}

func (s *Subscription) at(i int) *Frame { return &s.ring[(s.first+i)%len(s.ring)] }

// pushLocked queues a copy of f, if it can be decoded.
func (s *Subscription) pushLocked(f *Frame) {
	for s.count == len(s.ring) || s.count > 0 && s.bytes+len(f.Data) > maxRelayBytes {
		s.skipLocked()
	}
	if s.behind && !f.Key {
		s.dropped++
		return
	}
	s.behind = false
	s.at(s.count).set(f)
	s.count++
	s.bytes += len(f.Data)
	s.changed.Broadcast()
}

// skipLocked drops the first frame and those that follow it up to a key frame.
func (s *Subscription) skipLocked() {
	s.dropLocked()
	s.dropped++
	for s.count > 0 && !s.at(0).Key {
		s.dropLocked()
		s.dropped++
	}
	s.behind = s.count == 0
	s.asks = false
}

func (s *Subscription) dropLocked() {
	f := s.at(0)
	s.bytes -= len(f.Data)
	if cap(f.Data) > keptFrame {
		f.Data = nil
	}
	s.first = (s.first + 1) % len(s.ring)
	s.count--
}

// set copies f, reusing the memory of data.
func (dst *Frame) set(f *Frame) {
	data := append(dst.Data[:0], f.Data...)
	*dst = *f
	dst.Data = data
}

// ReadFrame copies the next frame into f, reusing the memory of its data. It
// blocks until there is one. The error is that of the source, once what was
// queued has been read, or wraps [os.ErrClosed] or [os.ErrDeadlineExceeded].
func (s *Subscription) ReadFrame(f *Frame) error {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	for {
		switch {
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return os.ErrDeadlineExceeded
		case s.count > 0:
			f.set(s.at(0))
			s.dropLocked()
			return nil
		case s.err != nil:
			return s.err
		}
		s.asks = true
		s.changed.Wait()
	}
}

// RequestKeyframe asks the source for a key frame, as [Relay.RequestKeyframe]
// does.
func (s *Subscription) RequestKeyframe() { s.relay.RequestKeyframe() }

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

// Dropped returns how many frames this subscriber did not get: those for which
// there was no room, and those before a key frame.
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
	s.ring, s.count, s.bytes = nil, 0, 0
	s.changed.Broadcast()
}
