package room

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
	"github.com/parley-media/parley/video"
)

// A room is what its members have in common.
type room struct {
	people int // guarded by the handler
	began  time.Time
	closed chan struct{}
	mixing sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the mixer
	mixer   *mix.Mixer
	members []*member // in the order in which they came
	floor   floor
	stats   parley.VideoStats
}

// A member is a caller in a room.
type member struct {
	audio *parley.Audio
	video *parley.Video // nil: none
	input *mix.Input
	hears chan *audio.Frame // what was mixed and not sent yet
	spare chan *audio.Frame
	film  *video.Relay // of the video
	codec string

	// Guarded by the room.
	power, loud float64       // of the last frame, and on the average of late
	received    int64         // packets of pictures
	filmed      time.Duration // when there were more of them than before
	films       bool          // that is not long ago
	shift       time.Duration // from the times of the member to those of the room; 0: not known
}

// backlog is how much of the mix waits for a member that is slow; more is dropped.
const backlog = 5

// serve lets a caller in until the call ends.
func (r *room) serve(ctx context.Context, c *parley.Call) error {
	m := r.add(c)
	defer r.remove(m)
	var lines sync.WaitGroup
	start := func(line func() error) {
		lines.Go(func() {
			err := line()
			if _, ended := errors.AsType[*parley.EndError](err); err != nil && err != io.EOF && !ended {
				c.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
			}
		})
	}
	start(func() error { return r.listen(m) })
	start(func() error { return m.speak(ctx) })
	screens := slices.Collect(c.Videos())
	for i, v := range screens {
		start(func() error { return r.show(ctx, m, v, i, len(screens)) })
	}
	lines.Wait()
	return nil
}

func (r *room) add(c *parley.Call) *member {
	format := r.mixer.Format()
	m := &member{audio: c.Audio(), video: c.Video(), hears: make(chan *audio.Frame, backlog), spare: make(chan *audio.Frame, backlog)}
	for range backlog {
		m.spare <- &audio.Frame{Format: format}
	}
	if m.video != nil {
		m.film, m.codec = video.NewRelay(m.video, video.RelayConfig{}), m.video.Codec().Name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.input = r.mixer.Add()
	r.members = append(r.members, m)
	return m
}

func (r *room) remove(m *member) {
	r.mu.Lock()
	m.input.Remove()
	r.members = slices.DeleteFunc(r.members, func(o *member) bool { return o == m })
	r.floor.left(m)
	r.mu.Unlock()
	if m.film != nil {
		m.film.Close()
		m.film.Wait()
	}
}

// listen puts what a member says into the mix.
func (r *room) listen(m *member) error {
	format := r.mixer.Format()
	to, err := audio.NewAdapter(format)
	if err != nil {
		return err
	}
	var f audio.Frame
	said := audio.Frame{Format: format}
	for {
		if err := m.audio.ReadFrame(&f); err != nil {
			return err
		}
		if f.Kind == audio.Silence { // the mixer makes it, without a click
			continue
		}
		if said.Samples, err = to.Append(said.Samples[:0], &f); err != nil {
			return err
		}
		r.mu.Lock()
		err = m.input.WriteFrame(&said)
		m.shift = time.Since(r.began) - f.Time
		m.power = power(said.Samples)
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// speak sends the mix to a member.
func (m *member) speak(ctx context.Context) error {
	for {
		select {
		case f := <-m.hears:
			err := m.audio.WriteLive(f)
			m.spare <- f
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// mix is the clock of the room.
func (r *room) mix() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for n := int64(0); ; {
		select {
		case <-clock.C:
		case <-r.closed:
			return
		}
		// After a pause of this machine the time that is lost is left out.
		due := int64(time.Since(r.began) / tick)
		n = max(n, due-backlog)
		for ; n < due; n++ {
			r.step(time.Duration(n) * tick)
		}
	}
}

func (r *room) step(at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mixer.Mix(r.mixer.Format().Samples(tick))
	if at%look == 0 {
		r.lookLocked(at)
	}
	r.floor.step(r.members, at)
	for _, m := range r.members {
		select {
		case f := <-m.spare:
			f.Samples = m.input.Append(f.Samples[:0])
			f.Time = at
			m.hears <- f
		default:
		}
	}
}
