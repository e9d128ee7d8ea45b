package video

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// RelayConfig describes a [Relay]. Its zero value is that of a call's video.
type RelayConfig struct {
	// Queue is how many frames wait for a subscriber that is slow, 1 to 65536; 0
	// means 64. They are 8 MiB together at most, or one frame.
	Queue int

	// Drain keeps the source being read, from the first subscription until Close,
	// while nobody subscribes. What it gives then is dropped.
	Drain bool

	// RequestKeyframe asks the source for a key frame, for a subscriber that is
	// new or has lost frames. It must not block, nor call the relay. If it is nil,
	// the source's method of this name is called, which the video of a call has,
	// and without one subscribers wait for the next key frame.
	RequestKeyframe func()

	// KeyframeInterval is the least time between two such calls; 0 means 500 ms.
	KeyframeInterval time.Duration
}

const (
	maxRelayQueue = 1 << 16
	maxRelayBytes = 8 << 20   // of frames that wait for one subscriber
	keptFrame     = 256 << 10 // memory of a frame that is kept for those to come
)

// A Relay lets many readers have what one source gives: each [Subscription] is a
// [Reader] of its own, with a bounded queue, so that one that is slow or stuck
// harms nobody. Its methods may be used from any goroutine.
//
// What a subscriber reads can be decoded: it begins at a key frame, and where its
// queue was full it goes on at one. The source is asked for it, once the
// subscriber reads again, so that a stuck one costs the others no key frames.
//
// The source is read by one goroutine, and only while somebody subscribes. It
// has to keep to real time by itself, as the video of a call does: a file would
// run away from its readers. Once the last subscriber has gone the source can be
// read by others again, when [Relay.Wait] has returned. If the source has a
// method SetReadDeadline, as the video of a call and a Subscription do, the relay
// lets go of it at once, takes no frame from it any more, and leaves it without
// a deadline. A source without one cannot be interrupted: the frame that it gives
// next is for those who have subscribed until then, or else dropped.
//
// An error of the source, io.EOF too, comes to all who subscribe at that time,
// after what is queued for them. Who subscribes later makes the relay read the
// source again. The relay does not close its source.
type Relay struct {
	source   Reader
	queue    int
	drain    bool
	request  func() // nil: nobody to ask
	interval time.Duration
	err      error // of the configuration

	mu            sync.Mutex
	stopped       sync.Cond // running has become false
	subscriptions []*Subscription
	running       bool // a goroutine reads the source
	interrupted   bool // the source has a deadline of ours
	begun, closed bool
	asked         time.Time // when the source was asked for a key frame
}

// NewRelay returns a relay of what source gives. With a Queue out of range every
// read of its subscriptions fails.
func NewRelay(source Reader, c RelayConfig) *Relay {
	r := &Relay{
		source:   source,
		queue:    cmp.Or(c.Queue, 64),
		drain:    c.Drain,
		request:  c.RequestKeyframe,
		interval: cmp.Or(c.KeyframeInterval, 500*time.Millisecond),
	}
	if k, ok := source.(interface{ RequestKeyframe() }); ok && r.request == nil {
		r.request = k.RequestKeyframe
	}
	if r.queue < 1 || r.queue > maxRelayQueue {
		r.err = fmt.Errorf("video: a queue of %d frames is outside 1..%d", r.queue, maxRelayQueue)
	}
	r.stopped.L = &r.mu
	return r
}

// Subscribe returns a reader of what the source gives from its next key frame
// on. It must be closed.
func (r *Relay) Subscribe() *Subscription {
	s := &Subscription{relay: r, behind: true, asks: true}
	if r.subscribe(s) {
		r.request()
	}
	return s
}

// subscribe reports whether a key frame is to be asked for.
func (r *Relay) subscribe(s *Subscription) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.changed.L = &r.mu
	switch {
	case r.closed:
		s.err = errRelayClosed
		return false
	case r.err != nil:
		s.err = r.err
		return false
	}
	s.ring = make([]Frame, r.queue)
	r.begun = true
	r.subscriptions = append(r.subscriptions, s)
	if !r.running {
		r.running = true
		go r.run()
	}
	return r.asksLocked()
}

// asksLocked reports whether it is time to ask for a key frame that somebody
// waits for, and takes note of it.
func (r *Relay) asksLocked() bool {
	now := time.Now()
	if r.request == nil || !r.asked.IsZero() && now.Sub(r.asked) < r.interval {
		return false
	}
	for _, s := range r.subscriptions {
		if s.behind && s.asks {
			r.asked = now
			return true
		}
	}
	return false
}

// RequestKeyframe asks the source for a key frame, as for a subscriber whose
// decoder has failed. It is heeded as often as those of the relay itself.
func (r *Relay) RequestKeyframe() {
	r.mu.Lock()
	now := time.Now()
	ask := r.request != nil && !r.closed && (r.asked.IsZero() || now.Sub(r.asked) >= r.interval)
	if ask {
		r.asked = now
	}
	r.mu.Unlock()
	if ask {
		r.request()
	}
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

var errRelayClosed = fmt.Errorf("video relay: %w", os.ErrClosed)

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
		ask := false
		switch {
		case err == nil:
			for _, s := range r.subscriptions {
				s.pushLocked(&f)
			}
			ask = r.asksLocked()
		case r.interrupted && errors.Is(err, os.ErrDeadlineExceeded):
			// goesOn decides: somebody may have subscribed again.
		default:
			r.failLocked(err)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if ask {
			r.request()
		}
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
