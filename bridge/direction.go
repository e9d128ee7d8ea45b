package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
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

// send sends a key as telephone events, or as its tones to a far end that takes none.
func (d *direction) send(ctx context.Context, digit dtmf.Digit) error {
	err := d.to.SendDigits(ctx, digit.String(), nil)
	if !errors.Is(err, stream.ErrNoEvents) {
		return err
	}
	signal, err := tone.DTMF(digit.String(), nil)
	if err != nil {
		return err
	}
	tones, err := tone.NewGenerator(audio.Format{Rate: 8000, Channels: 1}, signal)
	if err != nil {
		return err
	}
	_, err = d.to.Audio().Say(ctx, tones)
	return err
}
