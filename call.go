package parley

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/parley-media/parley/internal/loop"
)

// A Leg is the path of one media line's packets to the far end: sockets, or a
// browser's peer connection. Packages that make calls implement it; handlers
// never see it.
//
// The write methods send one packet each, do not keep b, and must not block:
// they run on a loop that other calls share. A packet that cannot be sent is an
// error, which is counted. Received packets go to [Audio.DeliverRTP] and
// [Audio.DeliverRTCP], from any goroutine. Close frees what the leg holds and
// waits for its goroutines; no packet may be delivered afterwards.
type Leg interface {
	WriteRTP(b []byte) error
	WriteRTCP(b []byte) error
	Close() error
}

// Deadlines end a call by itself. Zero means never. RTCP counts as a sign of
// life for Silence, but not as media.
type Deadlines struct {
	Connect    time.Duration // from the making of the call to [Call.Connected]
	FirstMedia time.Duration // from Connected to the first packet of media
	Silence    time.Duration // without any packet, after the first
}

// Config describes a [Call].
type Config struct {
	Audio     *AudioConfig
	Deadlines Deadlines
	Logger    *slog.Logger // nil: no log
}

// A Call is one conversation with one far end: its audio, its statistics, its
// lifetime. It is made by session.Open for plain RTP and by a peer for a
// browser. Its methods may be used from any goroutine.
//
// A call ends once, for one [Reason], and then everything that belongs to it is
// released, whoever ended it.
type Call struct {
	logger    *slog.Logger
	deadlines Deadlines
	opened    time.Time
	audio     *Audio
	task      *loop.Task
	done      chan struct{} // closed when the call has ended
	released  chan struct{} // closed when everything has been released

	mu        sync.Mutex
	cond      *sync.Cond // something changed that a waiting reader or writer looks at
	waiting   waiters
	scheduled time.Time // when the task runs next; zero: not scheduled
	connected time.Time
	lastHeard time.Time // any packet of the far end; zero before the first of media
	events    ring[Event]
	end       *EndError
}

// waiters counts the goroutines in cond.Wait by what they wait for.
type waiters struct{ frame, packet, room, drain, digits, other int }

// New makes a call over the legs in c. It is meant for packages that make legs.
// The call owns the legs from then on, also when New fails.
func New(c Config) (*Call, error) {
	call := &Call{
		logger:    c.Logger,
		deadlines: c.Deadlines,
		opened:    time.Now(),
		done:      make(chan struct{}),
		released:  make(chan struct{}),
		events:    ring[Event]{limit: 32},
	}
	if call.logger == nil {
		call.logger = slog.New(slog.DiscardHandler)
	}
	call.cond = sync.NewCond(&call.mu)
	if c.Audio == nil {
		return nil, errors.New("parley: a call needs a media line")
	}
	audio, err := newAudio(call, c.Audio)
	if err != nil {
		c.Audio.Leg.Close()
		return nil, err
	}
	call.audio = audio
	call.task = loop.Add(call)
	call.mu.Lock()
	call.schedule()
	call.mu.Unlock()
	return call, nil
}

// Audio returns the audio of the call.
func (c *Call) Audio() *Audio { return c.audio }

// Connected tells the call that its legs can carry packets: from now on the
// deadline for the first media runs. It is meant for packages that make legs.
func (c *Call) Connected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.connected.IsZero() {
		c.connected = time.Now()
		c.schedule()
		c.cond.Broadcast()
	}
}

// WaitConnected blocks until the call is connected. It returns the reason if
// the call ends before that, or the error of ctx.
func (c *Call) WaitConnected(ctx context.Context) error {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, &c.waiting.other, func() bool { return !c.connected.IsZero() })
}

// Done returns a channel that is closed when the call has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Err returns why the call ended, always an [*EndError], or nil if it has not.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return nil
	}
	return c.end
}

// Close ends the call, telling the far end, and returns when everything that
// belongs to it has been released. What waits to be sent is dropped; use
// [Audio.Drain] before. Further calls return nil at once or when the first one
// is done.
func (c *Call) Close() error {
	c.EndWith(&EndError{Reason: Closed})
	<-c.released
	return nil
}

// EndWith ends the call for the given reason, unless it has ended before. It
// does not wait until everything has been released. It is meant for packages
// that make legs or serve calls.
func (c *Call) EndWith(e *EndError) {
	c.mu.Lock()
	if c.end != nil {
		c.mu.Unlock()
		return
	}
	c.end = e
	bye := c.audio.endLocked(time.Now())
	close(c.done)
	c.cond.Broadcast()
	c.mu.Unlock()

	c.logger.Info("call ended", "reason", e.Reason, "detail", e.detail(), "after", time.Since(c.opened).Round(time.Millisecond))
	c.task.Stop()
	// A leg may take its time to close, and the loop, from which a deadline
	// ends a call, must not wait for it.
	go func() {
		defer close(c.released)
		if len(bye) > 0 {
			c.audio.leg.WriteRTCP(bye) //nolint:errcheck // the far end may be gone
		}
		if err := c.audio.leg.Close(); err != nil {
			c.logger.Debug("closing a leg", "error", err)
		}
	}()
}

// Run is the call's timed work; it is called by the loop only.
func (c *Call) Run(now time.Time, scratch []byte) (next time.Time) {
	defer func() {
		if v := recover(); v != nil { // in a codec
			c.logger.Error("call panicked", "panic", v, "stack", string(debug.Stack()))
			c.EndWith(&EndError{Reason: Panicked, Detail: fmt.Sprint(v)})
			next = time.Time{}
		}
	}()
	for {
		b, what, next, end := c.step(now, scratch[:0])
		switch {
		case end != nil:
			c.EndWith(end)
			return time.Time{}
		case what == nothing:
			return next
		}
		c.audio.send(b, what)
	}
}

// step appends the packet that is due at now to dst, or says that there is
// nothing to do before next, or why the call has to end.
func (c *Call) step(now time.Time, dst []byte) (b []byte, what protocol, next time.Time, end *EndError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return nil, nothing, next, c.end
	}
	c.audio.leaving = false
	if b, what = c.audio.dueLocked(now, dst); what != nothing {
		return b, what, next, nil
	}
	if at, limit, reason := c.deadlineLocked(); !at.IsZero() && !now.Before(at) {
		return nil, nothing, next, c.overdueLocked(limit, reason)
	}
	c.scheduled = c.nextLocked()
	return nil, nothing, c.scheduled, nil
}

// deadlineLocked returns when the call ends by itself if nothing happens, and
// by which limit.
func (c *Call) deadlineLocked() (at time.Time, limit time.Duration, reason Reason) {
	d := &c.deadlines
	begin := c.lastHeard
	switch {
	case !c.audio.byeAt.IsZero():
		begin, limit, reason = c.audio.byeAt, byeGrace, Bye
	case c.connected.IsZero():
		begin, limit, reason = c.opened, d.Connect, NotConnected
	case !c.audio.direction.Receives():
		return time.Time{}, 0, ""
	case begin.IsZero():
		begin, limit, reason = later(c.connected, c.audio.expected), d.FirstMedia, NoMedia
	default:
		begin, limit, reason = later(begin, c.audio.expected), d.Silence, Silent
	}
	if limit <= 0 {
		return time.Time{}, 0, ""
	}
	return begin.Add(limit), limit, reason
}

// overdueLocked says in words that a limit has passed.
func (c *Call) overdueLocked(limit time.Duration, reason Reason) *EndError {
	e := &EndError{Reason: reason}
	switch reason {
	case Bye:
		e.Detail = c.audio.byeReason
	case NotConnected:
		e.Detail = fmt.Sprintf("not connected within %v", limit)
	case NoMedia:
		e.Detail = fmt.Sprintf("no media within %v", limit)
	case Silent:
		e.Detail = fmt.Sprintf("nothing heard for %v", limit)
	}
	return e
}

// nextLocked returns when Run has something to do.
func (c *Call) nextLocked() time.Time {
	next, _, _ := c.deadlineLocked()
	return earliest(next, c.audio.nextLocked())
}

// schedule makes the loop run the call when it has something to do. It is
// called after every change of what that depends on, with the lock held.
func (c *Call) schedule() {
	if c.task == nil || c.end != nil {
		return
	}
	next := c.nextLocked()
	if next.IsZero() || !c.scheduled.IsZero() && !next.Before(c.scheduled) {
		return
	}
	c.scheduled = next
	c.task.Wake(next)
}

// watch makes goroutines that wait look at ctx when it is cancelled, until the
// returned function is called.
func (c *Call) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		c.mu.Lock()
		c.cond.Broadcast()
		c.mu.Unlock()
	})
}

// wait blocks, without the lock, until ready reports true, after which it is not
// called again, and counts itself in waiting meanwhile. It returns the reason if
// the call ends, or the error of ctx, first. The caller has to watch ctx.
func (c *Call) wait(ctx context.Context, waiting *int, ready func() bool) error {
	if ready() {
		return nil
	}
	for c.end == nil && ctx.Err() == nil {
		*waiting++
		c.schedule()
		c.cond.Wait()
		*waiting--
		if ready() {
			return nil
		}
	}
	if c.end != nil {
		return c.end
	}
	return ctx.Err()
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// earliest returns the earlier of two times, of which the zero one is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
