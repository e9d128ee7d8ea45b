// Package fanout lets many readers have the frames of one source. It is what the
// relays of audio and of video have in common, and documents to their makers only
// what these do not.
package fanout

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

const maxFrames = 1 << 16

// A Source gives frames, in real time. It can be interrupted if it has a method
// SetReadDeadline. One that keeps frames while nobody reads has a method SkipUnread.
type Source[F any] interface{ ReadFrame(*F) error }

// A Queue holds the frames that wait for one subscriber. Its methods are called
// with the relay locked, and must not call it.
type Queue[F any] interface {
	// Push queues a copy of f, or drops f or others, and returns how many it has
	// dropped.
	Push(f *F) int

	// Pop copies the first frame into f, with memory of f's own, and removes it.
	// With false there is none, and the subscriber waits for it.
	Pop(f *F) bool
}

// Config describes a [Relay].
type Config[F any] struct {
	Name   string             // for errors: that of the package
	Frames int                // room of a queue, 1 to 65536
	Queue  func(int) Queue[F] // makes one with room for that many frames
	Drain  bool               // read also while nobody subscribes, from the first subscription until Close

	// Delivered is called after each read of the source by the one who reads, with
	// nothing locked. It may be nil.
	Delivered func()
}

// A Relay reads its source, in a goroutine, while somebody subscribes. Its
// methods may be used from any goroutine.
type Relay[F any] struct {
	source    Source[F]
	config    Config[F]
	errClosed error

	mu            sync.Mutex
	err           error     // why nobody can subscribe
	stopped       sync.Cond // running has become false
	subscriptions []*Subscription[F]
	running       bool // a goroutine reads the source
	interrupted   bool // the source has a deadline of ours
	begun         bool // somebody has subscribed, since the source failed
}

// New returns a relay of what source gives. With Frames out of range every read
// of its subscriptions fails.
func New[F any](source Source[F], c Config[F]) *Relay[F] {
	r := &Relay[F]{source: source, config: c, errClosed: fmt.Errorf("%s relay: %w", c.Name, os.ErrClosed)}
	if c.Frames < 1 || c.Frames > maxFrames {
		r.err = fmt.Errorf("%s: a queue of %d frames is outside 1..%d", c.Name, c.Frames, maxFrames)
	}
	r.stopped.L = &r.mu
	return r
}

// Subscribe returns a reader of what the source gives from now on.
func (r *Relay[F]) Subscribe() *Subscription[F] {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Subscription[F]{relay: r, err: r.err}
	s.changed.L = &r.mu
	if s.err != nil {
		return s
	}
	s.queue = r.config.Queue(r.config.Frames)
	r.begun = true
	r.subscriptions = append(r.subscriptions, s)
	if !r.running {
		r.running = true
		go r.run()
	}
	return s
}

// Err returns why nobody can subscribe: the queue is out of range, or the error
// wraps [os.ErrClosed].
func (r *Relay[F]) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Subscribers returns how many subscriptions there are.
func (r *Relay[F]) Subscribers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.subscriptions)
}

// Wait blocks until the relay does not read the source.
func (r *Relay[F]) Wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.running {
		r.stopped.Wait()
	}
}

// Close ends all subscriptions. It does not wait for the source. The error is nil.
func (r *Relay[F]) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = r.errClosed
	for len(r.subscriptions) > 0 {
		r.subscriptions[0].closeLocked()
	}
	r.releaseLocked()
	return nil
}

// wantedLocked reports whether the source has to be read.
func (r *Relay[F]) wantedLocked() bool {
	return len(r.subscriptions) > 0 || r.config.Drain && r.begun && r.err == nil
}

// A deadliner can be interrupted.
type deadliner interface{ SetReadDeadline(time.Time) }

// A skipper has frames from the time when nobody read it, which are not of now.
type skipper interface{ SkipUnread() }

// releaseLocked makes a read of the source return that nobody wants any more.
func (r *Relay[F]) releaseLocked() {
	if d, ok := r.source.(deadliner); ok && r.running && !r.interrupted && !r.wantedLocked() {
		r.interrupted = true
		d.SetReadDeadline(time.Unix(1, 0))
	}
}

// run reads the source while somebody wants it.
func (r *Relay[F]) run() {
	if s, ok := r.source.(skipper); ok {
		s.SkipUnread()
	}
	var f F
	for r.goesOn() {
		r.deliver(&f, r.source.ReadFrame(&f))
		if r.config.Delivered != nil {
			r.config.Delivered()
		}
	}
}

// goesOn takes our deadline off the source, and reports whether it is to be read
// once more.
func (r *Relay[F]) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interrupted {
		r.interrupted = false
		r.source.(deadliner).SetReadDeadline(time.Time{})
	}
	if r.running = r.wantedLocked(); !r.running {
		r.stopped.Broadcast()
	}
	return r.running
}

// deliver hands a frame of the source, or its error, to all. It is not an error
// to have been interrupted: somebody may have subscribed again since.
func (r *Relay[F]) deliver(f *F, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interrupted && errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	for _, s := range r.subscriptions {
		if s.err = err; err == nil {
			s.dropped += int64(s.queue.Push(f))
		}
		s.changed.Broadcast()
	}
	if err != nil {
		r.subscriptions, r.begun = nil, false
	}
}
