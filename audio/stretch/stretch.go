package stretch

import (
	"math"

	"github.com/parley-media/parley/audio"
)

const (
	length  = 30  // ms that two of the longest periods need
	highest = 400 // Hz, the pitch of the shortest period

	periodic = 0.9 // normalised correlation of two periods that are alike
	similar  = 0.5 // the same in fast mode

	// quiet is how much more power than the background still has no voice in it,
	// and how much less than the loudest it has to be: a sound that never
	// changes is not background.
	quiet = 4

	// In squares of sample units, what is quiet whatever the background is, -70
	// dBov, and whatever the loudest is, -50 dBov.
	unheard, faint = 10 * 10, 100 * 100

	// The background is the least of the last one or two spans of so many
	// windows. The loudest fades by 1 dB a second.
	span, fading = 50, 0.993
)

// A Stretcher shortens and lengthens audio by whole pitch periods. It is not
// safe for concurrent use.
type Stretcher struct {
	rate, channels int

	// Power of the windows.
	least, before float64 // the least of this span, and of the one before
	loudest       float64
	seen          int // windows of this span
}

// New returns a stretcher for PCM of the given shape, or an error that wraps
// [audio.ErrFormat].
func New(rate, channels int) (*Stretcher, error) {
	if err := (audio.Format{Rate: rate, Channels: channels}).Check(); err != nil {
		return nil, err
	}
	return &Stretcher{rate: rate, channels: channels, least: math.Inf(1), before: -1}, nil
}

// Window returns how many samples per channel Compress and Expand want: 30 ms.
// From fewer, only shorter periods can be taken; of more, only a window in the
// middle is looked at.
func (s *Stretcher) Window() int { return s.rate * length / 1000 }

// Compress removes one pitch period from pcm, in place, and returns what is
// left of it and how many samples per channel were removed: at most most, and 0
// if the passage is not fit. In fast mode it takes passages that are less
// periodic, and removes as many periods at once as there are in 15 ms; where it
// is quiet it always does that.
func (s *Stretcher) Compress(pcm []int16, most int, fast bool) (rest []int16, removed int) {
	middle, lag, alike := s.find(pcm, most, fast)
	if lag == 0 {
		return pcm, 0
	}
	before, after := pcm[(middle-lag)*s.channels:], pcm[middle*s.channels:]
	s.fade(before[:lag*s.channels], before, after, lag, alike)
	n := copy(after, after[lag*s.channels:])
	return pcm[:middle*s.channels+n], lag
}

// Expand inserts one pitch period into pcm, in the midst of pcm[from:to], and returns
// it, in its own memory if that has room, and how many samples per channel were
// inserted: at most most, and 0 if the passage is not fit. Fast mode is that of
// Compress.
func (s *Stretcher) Expand(pcm []int16, from, to, most int, fast bool) (longer []int16, inserted int) {
	middle, lag, alike := s.find(pcm[from:to], most, fast)
	if lag == 0 {
		return pcm, 0
	}
	at, n := from+middle*s.channels, lag*s.channels
	pcm = append(pcm, pcm[len(pcm)-n:]...)
	copy(pcm[at+n:], pcm[at:len(pcm)-n])
	s.fade(pcm[at:], pcm[at+n:], pcm[at-n:], lag, alike)
	return pcm, lag
}

// fade writes a cross-fade from one passage to the other, lag samples per
// channel long, that keeps the power of two passages as alike as the given
// correlation.
func (s *Stretcher) fade(dst, from, to []int16, lag int, alike float32) {
	for i := range lag {
		w := (float32(i) + 0.5) / float32(lag)
		u := 1 - w
		if alike < 0.99 {
			scale := 1 / float32(math.Sqrt(float64(u*u+w*w+2*u*w*alike)))
			u, w = u*scale, w*scale
		}
		for c := i * s.channels; c < (i+1)*s.channels; c++ {
			dst[c] = round(u*float32(from[c]) + w*float32(to[c]))
		}
	}
}

func round(v float32) int16 {
	if v < 0 {
		return int16(max(v-0.5, math.MinInt16))
	}
	return int16(min(v+0.5, math.MaxInt16))
}

// find returns the middle of pcm, and how many samples per channel before it are
// so much like those after it, or both so quiet, that they can be exchanged: 0
// if none. alike is their normalised correlation, 0 to 1.
func (s *Stretcher) find(pcm []int16, most int, fast bool) (middle, lag int, alike float32) {
	n := len(pcm) / s.channels
	middle = n / 2
	half := min(middle, s.Window()/2)
	longest := min(half, most)
	least := s.rate / highest
	w := windows.Get().(*window)
	defer windows.Put(w)
	power := w.fill(pcm[(middle-half)*s.channels:(middle+half)*s.channels], s.channels, max(1, s.rate/coarse))
	calm := s.calm(power, half == s.Window()/2)
	if longest < least {
		return middle, 0, 0
	}
	lag, alike = w.period(least, longest)
	switch {
	case calm:
		// There is no voice whose periods could be missed.
		if lag = longest / lag * lag; alike < similar {
			lag = longest
		}
		alike = w.correlation(lag)
	case fast:
		if several := longest / lag * lag; several > lag {
			if c := w.correlation(several); c > similar {
				lag, alike = several, c
			}
		}
		if alike <= similar {
			return middle, 0, 0
		}
	case alike <= periodic:
		return middle, 0, 0
	}
	return middle, lag, max(0, alike)
}

// calm reports whether there is only background in a window of the given power, and
// takes it into account if it is whole.
func (s *Stretcher) calm(power float64, whole bool) bool {
	if whole {
		s.loudest = max(power, s.loudest*fading)
		s.least = min(s.least, power)
		if s.seen++; s.seen == span {
			s.before, s.least, s.seen = s.least, power, 0
		}
	}
	background := s.before
	if background < 0 && s.seen > span/3 || s.least < background {
		background = s.least
	}
	return power <= unheard || power <= quiet*background && (power <= faint || power*quiet <= s.loudest)
}
