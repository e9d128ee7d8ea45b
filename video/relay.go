package video

import (
	"cmp"
	"sync"
	"time"

	"github.com/parley-media/parley/internal/fanout"
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
// run away from its readers. If it has a method SkipUnread, as the video of a call
// does, that is called when reading begins, so that nobody is late by what came while
// nobody subscribed. Once the last subscriber has gone the source can be
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
	core     *fanout.Relay[Frame]
	request  func() // nil: nobody to ask
	interval time.Duration
	awaited  bool // somebody waits for a key frame; for the one who reads the source

	mu    sync.Mutex
	asked time.Time // when the source was asked for a key frame
}

// NewRelay returns a relay of what source gives. With a Queue out of range every
// read of its subscriptions fails.
func NewRelay(source Reader, c RelayConfig) *Relay {
	r := &Relay{request: c.RequestKeyframe, interval: cmp.Or(c.KeyframeInterval, 500*time.Millisecond)}
	if k, ok := source.(interface{ RequestKeyframe() }); ok && r.request == nil {
		r.request = k.RequestKeyframe
	}
	r.core = fanout.New(source, fanout.Config[Frame]{
		Name: "video", Frames: cmp.Or(c.Queue, 64), Queue: r.newQueue, Drain: c.Drain, Delivered: r.delivered,
	})
	return r
}

// Subscribe returns a reader of what the source gives from its next key frame
// on. It must be closed.
func (r *Relay) Subscribe() *Subscription {
	s := &Subscription{relay: r, core: r.core.Subscribe()}
	r.RequestKeyframe()
	return s
}

// RequestKeyframe asks the source for a key frame, as for a subscriber whose
// decoder has failed. It is heeded as often as those of the relay itself.
func (r *Relay) RequestKeyframe() {
	if r.request != nil && r.core.Err() == nil && r.due(time.Now()) {
		r.request()
	}
}

// due reports whether it is time to ask for a key frame, and takes note of it.
func (r *Relay) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked.IsZero() && now.Sub(r.asked) < r.interval {
		return false
	}
	r.asked = now
	return true
}

// delivered asks for the key frame that queues have missed.
func (r *Relay) delivered() {
	if r.awaited {
		r.awaited = false
		r.RequestKeyframe()
	}
}

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
type Subscription struct {
	relay *Relay
	core  *fanout.Subscription[Frame]
}

// ReadFrame copies the next frame into f, reusing the memory of its data. It
// blocks until there is one. The error is that of the source, once what was
// queued has been read, or wraps [os.ErrClosed] or [os.ErrDeadlineExceeded].
func (s *Subscription) ReadFrame(f *Frame) error { return s.core.ReadFrame(f) }

// RequestKeyframe asks the source for a key frame, as [Relay.RequestKeyframe]
// does.
func (s *Subscription) RequestKeyframe() { s.relay.RequestKeyframe() }

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (s *Subscription) SetReadDeadline(t time.Time) { s.core.SetReadDeadline(t) }

// Dropped returns how many frames this subscriber did not get: those for which
// there was no room, and those before a key frame.
func (s *Subscription) Dropped() int64 { return s.core.Dropped() }

// Close ends the subscription. Reads return [os.ErrClosed] from now on, also one
// that waits, and what is queued is dropped.
func (s *Subscription) Close() error { return s.core.Close() }
