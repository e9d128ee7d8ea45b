package bridge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/parley-media/parley"
)

// Options say how calls are joined. The zero value joins all that both have.
type Options struct {
	NoVideo  bool         // join the audio only
	NoDigits bool         // leave keys that are not within forwarded packets to whoever reads them
	Logger   *slog.Logger // nil: no log
}

// ErrNothing is returned for calls that have neither audio nor video in common.
var ErrNothing = errors.New("bridge: the calls have no media in common")

// Join joins two calls, until one of them ends or ctx is cancelled. It closes neither:
// who made them may play something to the one that is left, join it with another, or
// hang up.
//
// The error is nil if one of the far ends has said goodbye, the [*parley.EndError] of
// a call that ended otherwise, that of ctx, or [ErrNothing]. [parley.Call.Err] tells which of the
// calls it was. Meanwhile nobody else may read audio, video or digits of the calls. Keys
// that were pressed before, and that nobody has read, are dropped, unless o has NoDigits.
func Join(ctx context.Context, a, b *parley.Call, o *Options) error {
	return New(a, b, o).Run(ctx)
}

// A Bridge joins two calls, like [Join], and tells how that goes on. It is safe for
// concurrent use.
type Bridge struct {
	a, b    *parley.Call
	options Options
	logger  *slog.Logger
	aToB    *parley.Forwarder // nil: one of them has no audio
	bToA    *parley.Forwarder
}

// New returns a bridge, which begins with [Bridge.Run]. Nil options are the zero ones.
func New(a, b *parley.Call, o *Options) *Bridge {
	bridge := &Bridge{a: a, b: b, logger: slog.New(slog.DiscardHandler)}
	if o != nil {
		bridge.options = *o
		if o.Logger != nil {
			bridge.logger = o.Logger
		}
	}
	if x, y := a.Audio(), b.Audio(); x != nil && y != nil {
		bridge.aToB, bridge.bToA = parley.NewForwarder(y, x), parley.NewForwarder(x, y)
	}
	return bridge
}

// lastWords is how long what a call has said before its end may take to be sent on.
const lastWords = 200 * time.Millisecond

// Run joins the calls as [Join] does. It is called once.
func (b *Bridge) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var lines sync.WaitGroup
	defer lines.Wait()
	defer cancel(nil)
	x := &direction{bridge: b, from: b.a, to: b.b, sound: b.aToB}
	y := &direction{bridge: b, from: b.b, to: b.a, sound: b.bToA}
	if !x.start(ctx, &lines, cancel) || !y.start(ctx, &lines, cancel) {
		return ErrNothing
	}
	last := x
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.a.Done():
	case <-b.b.Done():
		last = y
	}
	select {
	case <-ctx.Done():
	case <-last.said:
	case <-time.After(lastWords):
	}
	end := last.from.Err()
	b.logger.Info("bridge ended", "reason", end)
	if e, ok := errors.AsType[*parley.EndError](end); ok && e.Reason == parley.Bye {
		return nil
	}
	return end
}

// Stats are those of both calls, and of the audio between them.
type Stats struct {
	A, B       parley.Stats
	AToB, BToA parley.ForwardStats
	AToBCoded  bool // packets of a are forwarded as they are
	BToACoded  bool // packets of b are
}

// Stats fills in s.
func (b *Bridge) Stats(s *Stats) {
	*s = Stats{}
	b.a.Stats(&s.A)
	b.b.Stats(&s.B)
	if b.aToB != nil {
		b.aToB.Stats(&s.AToB)
		b.bToA.Stats(&s.BToA)
		s.AToBCoded, s.BToACoded = b.aToB.Coded(), b.bToA.Coded()
	}
}
