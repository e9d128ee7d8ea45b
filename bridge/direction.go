package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/dtmf"
)

// A direction is what goes from one call to the other.
type direction struct {
	bridge   *Bridge
	from, to *parley.Call
	sound    *parley.Forwarder // nil: none
	said     chan struct{}     // closed when no more sound comes
}

// start begins to pass things on, and reports whether there is anything. An error
// that is not the end of a call is for fail.
func (d *direction) start(ctx context.Context, lines *sync.WaitGroup, fail context.CancelCauseFunc) bool {
	run := func(line func(context.Context) error) {
		lines.Go(func() {
			err := line(ctx)
			if _, ended := errors.AsType[*parley.EndError](err); err != nil && !ended && ctx.Err() == nil {
				fail(err)
			}
		})
	}
	d.said = make(chan struct{})
	if d.sound == nil {
		close(d.said)
	} else {
		run(func(ctx context.Context) error {
			defer close(d.said)
			return d.sound.Run(ctx)
		})
		if !d.bridge.options.NoDigits {
			run(d.digits)
		}
	}
	from, to := d.from.Video(), d.to.Video()
	if from == nil || to == nil || d.bridge.options.NoVideo {
		return d.sound != nil
	}
	run(func(ctx context.Context) error { return parley.CopyVideo(ctx, to, from) })
	return true
}

// digits sends the keys that do not go over within the packets: the codecs differ, or
// the clocks of the events do. How long a key is held is not known when it is pressed,
// and waiting for that would make it late. Keys of before were for somebody else.
func (d *direction) digits(ctx context.Context) error {
	began := time.Now()
	for {
		r, err := d.from.ReadDigitReport(ctx)
		if err != nil {
			return nil //nolint:nilerr // the end of the call is for others to tell
		}
		if r.End || r.Time.Before(began) || d.sound.ForwardsDigits() {
			continue
		}
		if err := d.send(ctx, r.Digit); err != nil {
			d.bridge.logger.Debug("a digit is not passed on", "error", err)
		}
	}
}

func (d *direction) send(ctx context.Context, digit dtmf.Digit) error {
	return d.to.SendDigits(ctx, digit.String(), nil)
}
