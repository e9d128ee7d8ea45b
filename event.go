package parley

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"time"
)

// An EventKind says in a word what an [Event] is about. It is what logs show.
type EventKind string

const (
	FirstMedia    EventKind = "first-media"     // the first packet of media was accepted, from SSRC
	SourceChanged EventKind = "source"          // another SSRC is heard than before
	RemoteChanged EventKind = "remote"          // packets go to another address than before: Addr
	Collision     EventKind = "collision"       // the far end uses our SSRC, or echoes our packets, and is heard from then on; SSRC is our new one
	CircuitBroken EventKind = "circuit-breaker" // the network does not carry what is sent (RFC 8083); Detail says why. See [Video.WriteFrame]

	// KeyframeRequested: the far end needs a key frame of our video. However often
	// it asks, there is one such event in 300 ms at most. See also
	// [Video.KeyframeRequested].
	KeyframeRequested EventKind = "keyframe"

	// BandwidthChanged: the far end says that it can take another bit rate than
	// before, Bitrate, by 5 % or more (REMB). There are two such events in a second
	// at most; an encoder keeps below it. See also [VideoStats].
	BandwidthChanged EventKind = "bandwidth"

	LineAdded   EventKind = "added"       // the call has one more line, with Mid; Detail is its label
	LineRemoved EventKind = "removed"     // either end has taken a line out of the call
	Turned      EventKind = "direction"   // a line has another [Direction] than before, Detail, as for a hold
	Renamed     EventKind = "label"       // the far end has put another track on a line; Detail is its label
	ChannelOpen EventKind = "channel"     // the far end has opened a channel; Detail is its label
	Unreachable EventKind = "unreachable" // the connection does not answer any more; it may come back
	Reconnected EventKind = "reconnected" // it does again
	Muted       EventKind = "muted"       // nothing comes from the source that is heard, as when it pauses or the network is down
	Unmuted     EventKind = "unmuted"     // it goes on
)

// An Event is something that happened to a call while it went on.
type Event struct {
	Kind   EventKind
	Media  string // "audio" or "video", if it is about one of them
	Mid    string // of the line that it is about, if it has one
	Time   time.Time
	SSRC   uint32         // if it is about a source
	Addr   netip.AddrPort // if it is about an address
	Detail string         // in words; may be empty

	Bitrate int64 // in bits per second, if it is about that
}

// ReadEvent returns the next event of the call, and blocks until there is one.
// Events that nobody reads are kept to a number of 32, the newest. It fails as
// [Call.WaitConnected] does, once the events before the end have been read.
func (c *Call) ReadEvent(ctx context.Context) (Event, error) {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	var e Event
	err := c.wait(ctx, &c.waiting, func() (ok bool) {
		e, ok = c.events.pop()
		return ok
	})
	return e, err
}

// Emit adds an event. It is meant for packages that make legs.
func (c *Call) Emit(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emitLocked(e)
}

func (c *Call) emitLocked(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	c.events.push(e)
	level, detail := slog.LevelInfo, e.Detail
	if e.Kind == BandwidthChanged { // all the time
		level, detail = slog.LevelDebug, strconv.FormatInt(e.Bitrate, 10)+" bit/s"
	}
	c.logger.Log(context.Background(), level, "call event", "kind", e.Kind, "media", e.Media, "ssrc", e.SSRC, "addr", e.Addr, "detail", detail)
	if c.waiting > 0 {
		c.cond.Broadcast()
	}
}

// A ring is a bounded queue whose newest element takes the place of the oldest.
type ring[T any] struct {
	Dropped int64
	limit   int
	items   []T
}

func (r *ring[T]) push(item T) {
	if len(r.items) == r.limit {
		copy(r.items, r.items[1:])
		r.items = r.items[:len(r.items)-1]
		r.Dropped++
	}
	r.items = append(r.items, item)
}

func (r *ring[T]) pop() (item T, ok bool) {
	if len(r.items) == 0 {
		return item, false
	}
	item = r.items[0]
	copy(r.items, r.items[1:])
	r.items = r.items[:len(r.items)-1]
	return item, true
}
