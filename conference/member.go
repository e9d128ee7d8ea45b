package conference

import (
	"context"
	"slices"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
	"github.com/parley-media/parley/video"
)

// A member is a caller in a room.
type member struct {
	ear   *parley.Audio // that the mix is sent to
	audio *parley.Audio // that the member sends
	video *parley.Video // that the member sends; nil: none
	input *mix.Input
	hears chan *audio.Frame // what was mixed and not sent yet
	spare chan *audio.Frame
	film  *video.Relay // of the video

	// Guarded by the room.
	codec       string        // of what the video shows
	power, loud float64       // of the last frame, and on the average of late
	received    int64         // packets of pictures
	filmed      time.Duration // when there were more of them than before
	films       bool          // that is not long ago
	shift       time.Duration // from the times of the member to those of the room; 0: not known
}

// backlog is how much of the mix waits for a member that is slow; more is dropped.
const backlog = 5

func (r *Room) add(c *parley.Call) *member {
	format := r.mixer.Format()
	m := &member{ear: c.Audio(), hears: make(chan *audio.Frame, backlog), spare: make(chan *audio.Frame, backlog)}
	for range backlog {
		m.spare <- &audio.Frame{Format: format}
	}
	if m.audio, m.video = c.Incoming(); m.video != nil {
		m.film, m.codec = video.NewRelay(m.video, video.RelayConfig{}), m.video.Codec().Name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.input = r.mixer.Add()
	r.members = append(r.members, m)
	return m
}

func (r *Room) remove(m *member) {
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
func (r *Room) listen(m *member) error {
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
		m.shift = r.next + m.input.Queued() - f.Time
		err = m.input.WriteFrame(&said)
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
			err := m.ear.WriteLive(f)
			m.spare <- f
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
