package relay

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// A performance is what one publisher sends.
type performance struct {
	sound    *audio.Relay // nil: none
	pictures *video.Relay // nil: none
	codec    string       // of the pictures
}

func perform(c *parley.Call) *performance {
	p := &performance{}
	if a := c.Audio(); a != nil {
		p.sound = audio.NewRelay(a, audio.RelayConfig{})
	}
	if v := c.Video(); v != nil {
		p.pictures, p.codec = video.NewRelay(v, video.RelayConfig{}), v.Codec().Name
	}
	return p
}

// end ends it for all watchers.
func (p *performance) end() {
	if p.sound != nil {
		p.sound.Close()
		p.sound.Wait()
	}
	if p.pictures != nil {
		p.pictures.Close()
		p.pictures.Wait()
	}
}

// show sends it to a watcher until it ends, or the watcher's call does. Of several
// performances in one call the times go on, counted from when that began.
func (p *performance) show(ctx context.Context, c *parley.Call, began time.Time) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var lines sync.WaitGroup
	start := func(line func() error) {
		lines.Go(func() {
			err := line()
			if _, ended := errors.AsType[*parley.EndError](err); err != nil && !ended {
				cancel(err)
			}
		})
	}
	t := &times{began: began}
	if a := c.Audio(); a != nil && p.sound != nil {
		start(func() error { return p.play(ctx, a, t) })
	}
	if v := c.Video(); v != nil && p.pictures != nil && strings.EqualFold(v.Codec().Name, p.codec) {
		start(func() error { return p.film(ctx, v, t) })
	}
	lines.Wait()
	return context.Cause(ctx)
}

// times puts a performance on the timeline of a watcher.
type times struct {
	began time.Time
	once  sync.Once
	shift time.Duration
}

func (t *times) at(source time.Duration) time.Duration {
	t.once.Do(func() { t.shift = time.Since(t.began) - source })
	return source + t.shift
}

func (p *performance) play(ctx context.Context, to *parley.Audio, t *times) error {
	from := p.sound.Subscribe()
	defer from.Close()
	defer context.AfterFunc(ctx, func() { from.Close() })()
	var f audio.Frame
	for from.ReadFrame(&f) == nil {
		if f.Kind == audio.Silence {
			continue
		}
		f.Time = t.at(f.Time)
		if err := to.WriteLive(&f); err != nil {
			return err
		}
	}
	return nil
}

func (p *performance) film(ctx context.Context, to *parley.Video, t *times) error {
	from := p.pictures.Subscribe()
	defer from.Close()
	defer context.AfterFunc(ctx, func() { from.Close() })()
	var f video.Frame
	for from.ReadFrame(&f) == nil {
		if !f.Key && to.KeyframeRequested() {
			from.RequestKeyframe()
		}
		f.Time = t.at(f.Time)
		if err := to.WriteFrame(&f); err != nil && !errors.Is(err, payload.ErrFrame) {
			return err
		}
	}
	return nil
}
