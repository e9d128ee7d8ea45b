package parley

import (
	"context"
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
// error, which is counted. Received packets go to DeliverRTP and
// DeliverRTCP of the [Audio] or [Video], from any goroutine. Close frees what the leg holds and
// waits for its goroutines; no packet may be delivered afterwards. If a leg has a method
// Unheard() string, what that says came and was not heard is part of the reason NoMedia. If
// it has a method Forks() bool, which must not block, and that says so, a goodbye of the
// far end does not end the call within three minutes of the last update of the line, as
// another one may follow.
type Leg interface {
	WriteRTP(b []byte) error
	WriteRTCP(b []byte) error
	Close() error
}

// A BatchLeg is a [Leg] that gains by sending several packets of video at once.
type BatchLeg interface {
	Leg

	// WriteBatch sends RTP packets that lie in b one behind the other, at most 64,
	// each as long as sizes says, by the rules for WriteRTP. It tries all of them,
	// and returns how many it could send, and one of the errors if not all. It is
	// called by one goroutine at a time.
	WriteBatch(b []byte, sizes []int) (sent int, err error)
}

// A PolledLeg is a [Leg] that the call reads on its loop, in place of a goroutine that
// waits for each packet. If it has a method Prefetch(), that is called some time before
// Poll, to ask the processor for the memory that Poll needs.
type PolledLeg interface {
	Leg

	// Poll delivers what has come in, and reports whether there may be more. clocked
	// says that it will be called again within 20 ms in any case; otherwise the leg
	// calls [Call.Wake] when something has come. scratch is memory to use until
	// Poll returns, at least 64 KiB. Poll must not block.
	Poll(clocked bool, scratch []byte) (more bool)
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
	Audio     *AudioConfig // nil: none
	Video     *VideoConfig // nil: none
	Channels  Channels     // nil: none
	Lines     Lines        // nil: this end cannot ask for more
	Deadlines Deadlines

	// Connection says that the legs are those of a connection, which tells by itself when
	// the far end has gone. That its sources say goodbye (RTCP BYE) ends nothing then, as
	// in browsers: it may send from others later.
	Connection bool

	// Logger is told of events. While its handler takes its time for one, the newest 64
	// wait, and nothing else does but the end of Close, which the handler must not call
	// therefore. nil: no log.
	Logger *slog.Logger
}

// A Call is one conversation with one far end: its audio and video, its
// statistics, its lifetime. It is made by session.Open for plain RTP and by a peer for a
// browser. Its methods may be used from any goroutine.
//
// A call ends once, for one [Reason], and then everything that belongs to it is
// released, whoever ended it.
type Call struct {
	logger    *slog.Logger
	deadlines Deadlines
	opened    time.Time
	channels  Channels // nil: none
	adder     Lines    // nil: lines cannot be added
	task      *loop.Task
	done      chan struct{} // closed when the call has ended
	released  chan struct{} // closed when everything has been released

	mu        sync.Mutex
	audios    []*Audio // in the order in which they were added
	videos    []*Video // the same
	lines     []*line  // of all these
	accepted  []Channel
	cname     string
	closing   sync.WaitGroup // legs of lines that were removed
	reserved  *Audio         // memory for the first line of audio, beside that of the call; nil: taken
	cond      sync.Cond      // something changed that a waiting reader or writer looks at
	waiting   int            // goroutines in cond.Wait for anything but media
	scheduled time.Time      // when the task runs next; zero: not scheduled
	running   bool           // it runs, and will see in the end when it has to run next
	persists  bool           // past goodbyes: see Connection of Config
	changes   int32          // how often lines have come, gone, turned or got another label
	connected time.Time
	lastHeard time.Time // any packet of the far end; zero before the first of media
	awake     time.Time // when this machine went on after it had stood still; zero: it has not
	events    ring[Event]
	end       *EndError
}

// New makes a call over the legs in c. It is meant for packages that make legs.
// The call owns the legs from then on, also when New fails.
func New(c Config) (*Call, error) {
	call, reserved := allocate(c.Audio != nil)
	*call = Call{
		reserved:  reserved,
		logger:    slog.New(slog.DiscardHandler),
		deadlines: c.Deadlines,
		channels:  c.Channels,
		adder:     c.Lines,
		persists:  c.Connection,
		opened:    time.Now(),
		done:      make(chan struct{}),
		released:  make(chan struct{}),
		events:    ring[Event]{limit: 32},
	}
	if c.Logger != nil {
		call.logger = slog.New(&backlogHandler{c.Logger.Handler(), new(backlog)})
	}
	call.cond.L = &call.mu
	if err := call.open(&c); err != nil {
		if c.Audio != nil {
			closeUnused(c.Audio.Leg)
		}
		if c.Video != nil {
			closeUnused(c.Video.Leg)
		}
		if c.Channels != nil {
			c.Channels.Close()
		}
		return nil, err
	}
	call.task = loop.Add(call)
	call.mu.Lock()
	call.schedule()
	call.mu.Unlock()
	return call, nil
}

// allocate returns memory for a call, and beside it, for the sake of the caches, for
// its first line of audio.
func allocate(audio bool) (*Call, *Audio) {
	if !audio {
		return new(Call), nil
	}
	both := new(struct {
		call  Call
		audio Audio
	})
	return &both.call, &both.audio
}

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

// WaitConnected blocks until the call is connected: what is written can leave. It
// returns the reason if the call ends before that, or the error of ctx. A session is
// connected at once, also while it has no address to send to, as without Remote: what
// leaves then is lost, and the event [FirstMedia] tells that the far end is there.
func (c *Call) WaitConnected(ctx context.Context) error {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, &c.waiting, func() bool { return !c.connected.IsZero() })
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
// [Audio.Drain] and [Video.Drain] before. Further calls return nil at once or when the first one
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
	lines, byes := c.lines, make([][]byte, len(c.lines))
	for i, l := range lines {
		byes[i] = l.endLocked(time.Now())
		l.life.over()
	}
	close(c.done)
	c.cond.Broadcast()
	c.mu.Unlock()

	c.logger.Info("call ended", "reason", e.Reason, "detail", e.detail(), "after", time.Since(c.opened).Round(time.Millisecond))
	c.task.Stop()
	// A leg may take its time to close, and the loop, from which a deadline
	// ends a call, must not wait for it.
	go func() {
		defer close(c.released)
		for i, l := range lines {
			if len(byes[i]) > 0 {
				l.leg.WriteRTCP(byes[i]) //nolint:errcheck // the far end may be gone
			}
		}
		for _, l := range lines {
			l.closeLeg()
		}
		if c.channels != nil {
			if err := c.channels.Close(); err != nil {
				c.logger.Debug("closing the channels", "error", err)
			}
		}
		c.closing.Wait()
		c.logged()
	}()
}

// Run is the call's timed work; it is called by the loop only.
func (c *Call) Run(now time.Time, scratch []byte) (next time.Time) {
	exits := true
	defer func() {
		if exits { // or has panicked, which is on record by then
			c.EndWith(exited())
		}
	}()
	defer c.guard(nil)
	next = c.run(now, scratch)
	exits = false
	return next
}

func (c *Call) run(now time.Time, scratch []byte) (next time.Time) {
	more := c.poll(now, scratch)
	for {
		l, b, what, next, end := c.step(now, scratch[:0])
		switch {
		case end != nil:
			c.EndWith(end)
			return time.Time{}
		case what == nothing && more:
			return now
		case what == nothing:
			return next
		case what == received:
			now = l.of.(*Audio).handle() // what it has written is due by now
		default:
			l.send(b, what)
		}
	}
}

// guard, deferred, ends the call after a panic, as of a codec. That is in err then,
// unless it is nil.
func (c *Call) guard(err *error) {
	v := recover()
	if v == nil {
		return
	}
	c.logger.Error("call panicked", "panic", v, "stack", string(debug.Stack()))
	c.EndWith(&EndError{Reason: Panicked, Detail: fmt.Sprint(v)})
	if err != nil {
		*err = c.Err()
	}
}

// step appends the packet that is due at now to dst, and says on which line, or
// that there is nothing to do before next, or why the call has to end.
func (c *Call) step(now time.Time, dst []byte) (l *line, b []byte, what protocol, next time.Time, end *EndError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return nil, nil, nothing, next, c.end
	}
	c.stallLocked(now)
	for _, l := range c.lines {
		l.leaving = false
	}
	for _, a := range c.audios {
		a.polls = false
		if a.takeLocked(now) {
			return &a.line, nil, received, next, nil
		}
	}
	if next = c.nextLocked(); !next.IsZero() && !now.Before(next) {
		for _, l := range c.lines {
			if b, what = l.dueLocked(now, dst); what != nothing {
				return l, b, what, next, nil
			}
		}
		if at, limit, reason := c.deadlineLocked(); !at.IsZero() && !now.Before(at) {
			return nil, nil, nothing, next, c.overdueLocked(limit, reason)
		}
		next = c.nextLocked()
	}
	c.running, c.scheduled = false, next
	return nil, nil, nothing, next, nil
}

// nextLocked returns when Run has something to do.
func (c *Call) nextLocked() time.Time {
	next, _, _ := c.deadlineLocked()
	for _, l := range c.lines {
		next = earliest(next, l.nextLocked())
	}
	return next
}

// schedule makes the loop run the call when it has something to do. It is
// called after every change of what that depends on, with the lock held.
func (c *Call) schedule() {
	if c.task == nil || c.end != nil || c.running {
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
	return c.waitUntil(ctx, func() *EndError { return c.end }, waiting, ready)
}

// waitUntil is wait for what may be over before the call is.
func (c *Call) waitUntil(ctx context.Context, over func() *EndError, waiting *int, ready func() bool) error {
	if ready() {
		return nil
	}
	for over() == nil && ctx.Err() == nil {
		*waiting++
		c.schedule()
		c.cond.Wait()
		*waiting--
		if ready() {
			return nil
		}
	}
	if end := over(); end != nil {
		return end
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
