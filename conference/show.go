package conference

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// A Show is what one call sends, for many others: the sound and the pictures of the lines
// that [parley.Call.Incoming] gives. When that gives others, it is time for another show.
//
// Who begins to watch sees a key frame first. The far end is asked for one, which encoders
// such as ffmpeg over RTP do not heed: they are best told to send one each second or two
// (-g), and no B-frames (-bf 0), since browsers show only few pictures where there are some.
//
// Sound that this build cannot decode, as the AAC of many cameras, is not heard, and nobody
// is told: those who watch see the pictures. [parley.Audio.Decodes] tells ahead.
type Show struct {
	sound    *audio.Relay // nil: none
	pictures *video.Relay // nil: none
}

// NewShow returns the show of a call, whose media nobody else must read until Close, but by
// [Show.Sound] and [Show.Pictures]. While nobody watches or has subscribed, nothing is read.
func NewShow(c *parley.Call) *Show {
	s := &Show{}
	a, v := c.Incoming()
	if a != nil {
		s.sound = audio.NewRelay(a, audio.RelayConfig{})
	}
	if v != nil {
		s.pictures = video.NewRelay(v, video.RelayConfig{})
	}
	return s
}

// Sound is what the sound of the call is read by, or nil if it has none: a recorder, or
// whoever else has to hear it beside those who watch, subscribes to it.
func (s *Show) Sound() *audio.Relay { return s.sound }

// Pictures is for the pictures what Sound is for the sound.
func (s *Show) Pictures() *video.Relay { return s.pictures }

// Close ends the show for all who watch.
func (s *Show) Close() error {
	if s.sound != nil {
		s.sound.Close()
		s.sound.Wait()
	}
	if s.pictures != nil {
		s.pictures.Close()
		s.pictures.Wait()
	}
	return nil
}

// Watch sends the show to the first lines of a call, live, in pictures that begin at a key
// frame, until the show, the call or ctx ends. Sound is coded for each who watches, pictures are
// passed on as they are, while the call takes their codec. A call that is slow loses
// frames and harms nobody, and one whose network does not carry the pictures goes without
// them for a while, see [parley.Video.WriteFrame]. The error is why a line has failed.
//
// A call may watch one show after another.
func (s *Show) Watch(ctx context.Context, c *parley.Call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines, stopped := 0, make(chan error)
	start := func(line func() error) {
		lines++
		go func() { stopped <- line() }()
	}
	var stats parley.Stats
	c.Stats(&stats)
	t := &times{began: time.Now().Add(-stats.Duration)} // so that the times of several shows go on
	if a := c.Audio(); a != nil && s.sound != nil {
		start(func() error { return s.play(ctx, a, t) })
	}
	if v := c.Video(); v != nil && s.pictures != nil {
		start(func() error { return s.film(ctx, v, t) })
	}
	for done := c.Done(); lines > 0; {
		select {
		case err := <-stopped:
			if lines--; failed(err) {
				cancel(err)
			}
		case <-done:
			cancel(errEnded)
			done = nil
		}
	}
	if err := context.Cause(ctx); err != errEnded {
		return err
	}
	return nil
}

// times puts a show on the timeline of a watcher.
type times struct {
	began time.Time
	once  sync.Once
	shift time.Duration
}

func (t *times) at(source time.Duration) time.Duration {
	t.once.Do(func() { t.shift = time.Since(t.began) - source })
	return source + t.shift
}

func (s *Show) play(ctx context.Context, to *parley.Audio, t *times) error {
	from := s.sound.Subscribe()
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

func (s *Show) film(ctx context.Context, to *parley.Video, t *times) error {
	from := s.pictures.Subscribe()
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
