package stretch

import (
	"math"

	"github.com/parley-media/parley/audio"
)

const (
	window  = 30   // ms that two of the longest periods need
	highest = 400  // Hz, the pitch of the shortest period
	coarse  = 4000 // Hz at which a pitch is looked for first

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
	factor         int       // samples for one of low
	mix            []float32 // the mean of the channels
	low            []float32 // mix at about coarse Hz

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
	s := &Stretcher{rate: rate, channels: channels, factor: max(1, rate/coarse), least: math.Inf(1), before: -1}
	s.mix = make([]float32, 0, s.Window())
	s.low = make([]float32, 0, s.Window()/s.factor)
	return s, nil
}

// Window returns how many samples per channel Compress and Expand want: 30 ms.
// From fewer, only shorter periods can be taken; of more, only a window in the
// middle is looked at.
func (s *Stretcher) Window() int { return s.rate * window / 1000 }

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

// Expand appends pcm to dst with one pitch period more, and returns how many
// samples per channel were inserted: at most most, and 0 if the passage is not
// fit, when it appends pcm as it is. Fast mode is that of Compress. dst and pcm
// must not overlap.
func (s *Stretcher) Expand(dst, pcm []int16, most int, fast bool) (out []int16, inserted int) {
	middle, lag, alike := s.find(pcm, most, fast)
	dst = append(dst, pcm[:middle*s.channels]...)
	if lag > 0 {
		at := len(dst)
		before, after := pcm[(middle-lag)*s.channels:], pcm[middle*s.channels:]
		dst = append(dst, after[:lag*s.channels]...)
		s.fade(dst[at:], after, before, lag, alike)
	}
	return append(dst, pcm[middle*s.channels:]...), lag
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
	s.fill(pcm[(middle-half)*s.channels : (middle+half)*s.channels])
	calm := s.calm(half == s.Window()/2)
	if longest < least {
		return middle, 0, 0
	}
	lag, alike = s.period(least, longest)
	switch {
	case calm:
		// There is no voice whose periods could be missed.
		if lag = longest / lag * lag; alike < similar {
			lag = longest
		}
		alike = s.correlation(lag)
	case fast:
		if several := longest / lag * lag; several > lag {
			if c := s.correlation(several); c > similar {
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

// calm reports whether there is only background in mix, and takes it into
// account if it is whole.
func (s *Stretcher) calm(whole bool) bool {
	power := float64(energy(s.mix)) / float64(max(1, len(s.mix)))
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

// fill sets mix and low from pcm. What is constant is no sound.
func (s *Stretcher) fill(pcm []int16) {
	n := len(pcm) / s.channels
	s.mix = s.mix[:n]
	var sum float32
	if s.channels == 1 {
		for i := range s.mix {
			s.mix[i] = float32(pcm[i])
			sum += s.mix[i]
		}
	} else {
		for i := range s.mix {
			s.mix[i] = (float32(pcm[2*i]) + float32(pcm[2*i+1])) / 2
			sum += s.mix[i]
		}
	}
	mean := sum / float32(max(1, n))
	for i := range s.mix {
		s.mix[i] -= mean
	}
	s.low = s.low[:n/s.factor]
	for i := range s.low {
		var v float32
		for _, x := range s.mix[i*s.factor : (i+1)*s.factor] {
			v += x
		}
		s.low[i] = v
	}
}

// period returns the shortest of the lags between the given ones at which mix is
// most like itself around its middle, and how much that is.
func (s *Stretcher) period(least, most int) (lag int, alike float32) {
	low, middle := s.low, len(s.low)/2
	var curve [window*coarse/2000 + 64]float32
	from, to := max(1, least/s.factor), min(middle, most/s.factor, len(curve)-1)
	best := float32(-1)
	for l := from; l <= to; l++ {
		curve[l] = normal(low[middle-l:middle], low[middle:middle+l])
		best = max(best, curve[l])
	}
	at := from
	for l := from; l <= to; l++ {
		if curve[l] >= best-0.04 {
			for at = l; at < to && curve[at+1] > curve[at]; at++ {
			}
			break
		}
	}
	alike = -1
	for l := max(least, (at-1)*s.factor); l <= min(most, (at+1)*s.factor); l++ {
		if c := s.correlation(l); c > alike {
			lag, alike = l, c
		}
	}
	if lag == 0 {
		lag = least
	}
	return lag, alike
}

// correlation returns that of the lag samples before the middle and those after
// it.
func (s *Stretcher) correlation(lag int) float32 {
	middle := len(s.mix) / 2
	return normal(s.mix[middle-lag:middle], s.mix[middle:middle+lag])
}

// normal returns the normalised correlation of two passages, -1 to 1. Two of
// silence are alike.
func normal(a, b []float32) float32 {
	var ab, aa, bb float32
	b = b[:len(a)]
	for i, x := range a {
		y := b[i]
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 && bb == 0 {
		return 1
	}
	return ab / float32(math.Sqrt(float64(aa)*float64(bb)+1e-9))
}

func energy(a []float32) float32 {
	var sum float32
	for _, x := range a {
		sum += x * x
	}
	return sum
}
