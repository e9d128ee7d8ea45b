package conference

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// A floor is had by the member who speaks.
type floor struct {
	speaker, last *member       // last had it before
	since         time.Duration // when it was taken
}

const (
	quiet   = 1e4         // power below which nobody speaks: -50 dBov
	louder  = 4           // times as loud is who takes the floor from somebody
	holding = time.Second // for which it is not taken
	look    = 100 * time.Millisecond
	dark    = 2 * time.Second // without pictures, after which there is nobody to be shown
)

// lookLocked finds out who sends pictures, and in which codec: a line alone does not
// say so.
func (r *Room) lookLocked(at time.Duration) {
	for _, m := range r.members {
		if m.video == nil {
			continue
		}
		m.video.Stats(&r.stats)
		m.codec = cmp.Or(r.stats.Codec, m.codec)
		seen := r.stats.Received - r.stats.Unwanted // what comes on hold shows nothing
		if seen > m.received {
			m.filmed, m.films = at, true
		} else if at-m.filmed > dark {
			m.films = false
		}
		m.received = seen
	}
}

// step gives the floor to who speaks clearly louder than the speaker.
func (f *floor) step(members []*member, at time.Duration) {
	var loudest *member
	for _, m := range members {
		m.loud += (m.power - m.loud) / 10
		m.power = 0
		if m.films && (loudest == nil || m.loud > loudest.loud) {
			loudest = m
		}
	}
	switch {
	case loudest == nil || loudest == f.speaker || loudest.loud < quiet:
	case f.speaker == nil || loudest.loud > louder*f.speaker.loud && at-f.since >= holding:
		f.speaker, f.last, f.since = loudest, f.speaker, at
	}
}

func (f *floor) left(m *member) {
	if f.last == m {
		f.last = nil
	}
	if f.speaker == m {
		f.speaker, f.last = f.last, nil
	}
}

// power returns the mean square of samples.
func power(samples []int16) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += float64(s) * float64(s)
	}
	return sum / float64(max(1, len(samples)))
}

// shown returns whom a screen of m shows, the ith of n, or nil, and by how much
// their times differ from those of the room, or 0.
func (r *Room) shown(m *member, screen *parley.Video, i, n int) (*member, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := make([]*member, 0, 16)
	for _, o := range r.members {
		if o != m && o.films && screen.Accepts(o.codec) {
			others = append(others, o)
		}
	}
	if len(others) > n {
		for _, first := range []*member{r.floor.last, r.floor.speaker} {
			if k := slices.Index(others, first); k >= 0 {
				copy(others[1:], others[:k])
				others[0] = first
			}
		}
	}
	if i >= len(others) {
		return nil, 0
	}
	return others[i], others[i].shift
}

// show shows others on a screen of m, the ith of n, until the call or line ends.
func (r *Room) show(ctx context.Context, m *member, screen *parley.Video, i, n int) error {
	wait := time.NewTicker(look)
	defer wait.Stop()
	for ctx.Err() == nil {
		other, _ := r.shown(m, screen, i, n)
		if other == nil {
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
			continue
		}
		pictures := other.film.Subscribe()
		err := r.watch(ctx, m, screen, i, n, other, pictures)
		pictures.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// watch shows one of the others until it is somebody else's turn.
func (r *Room) watch(ctx context.Context, m *member, screen *parley.Video, i, n int, other *member, pictures *video.Subscription) error {
	var f video.Frame
	var began time.Duration // shift, while none is known
	for ctx.Err() == nil {
		pictures.SetReadDeadline(time.Now().Add(look))
		err := pictures.ReadFrame(&f)
		now, shift := r.shown(m, screen, i, n)
		switch {
		case now != other:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil: // the other one is about to leave
			select {
			case <-time.After(look):
			case <-ctx.Done():
			}
			return nil
		}
		if began == 0 {
			began = time.Since(r.began) - f.Time
		}
		if shift == 0 {
			shift = began
		}
		f.Time += shift
		if !f.Key && screen.KeyframeRequested() {
			pictures.RequestKeyframe()
		}
		if err := screen.WriteFrame(&f); err != nil && !errors.Is(err, payload.ErrFrame) {
			return err
		}
	}
	return nil
}
