package conceal

import "math"

const (
	memory = 80 // ms of the past that an extension can be made of

	// Pitch periods in tenths of a millisecond.
	shortestLag, longestLag = 25, 160

	coarse = 8000 // Hz at which a pitch is looked for first

	// template is how much of the end has to be alike, in ms. Longer ones find
	// the pitch more surely, shorter ones the likest period.
	template = 8

	// A part of the lag that is likest is the period, if it is almost as good.
	periodic, asGood = 0.5, 0.9

	// A pitch that glides goes on with so much of its slope, until it is so many
	// times what it was, or a part of it.
	lasting, further = 0.75, 1.2

	// smoothing is how fast the step at the beginning decays, in seconds.
	smoothing = 0.0005
)

// A source continues a passage of audio for ever, by repeating its end.
type source struct {
	rate, channels int
	passage        []int16 // interleaved, oldest first or, if backwards, latest; not the source's own
	backwards      bool
	length         int // of the passage, samples per channel
	random         random

	lag    int     // the pitch period in samples, or one that is as good as any
	period float32 // the same, more precisely, in the middle of where it was found
	trend  float32 // by how much it grows with each sample
	alike  float32 // how periodic the passage is at the end, 0 to 1
	steady bool    // the period is repeated as it is, however long it lasts

	now  float32       // the period that is made
	part float32       // where between the two taps in the middle the next sample is
	taps [2][4]float32 // what was repeated last

	at     int // where in the passage the next tap comes from
	jump   int // by how much at goes back at the end of the passage
	fade   int // samples of the cross-fade before that
	age    int // taps made
	offset [2]float32
	decay  float32 // of the offset, in each sample
}

func newSource(rate, channels int) source {
	return source{rate: rate, channels: channels, decay: float32(math.Exp(-1 / (smoothing * float64(rate))))}
}

// start takes the passage, oldest first, or latest first if it is to be continued
// backwards, and gets ready for next. The passage has to stay what it is.
func (s *source) start(passage []int16, backwards bool, seed uint32, w *workspace) {
	n := len(passage) / s.channels
	s.passage, s.backwards, s.length = passage, backwards, n
	s.random = random(seed | 1)
	s.age = 0
	s.steady = false
	s.findPitch(w)
	s.jump = s.lag
	s.at = n - s.lag
	s.fade = s.overlap()
	for c := range s.channels {
		s.offset[c] = 0
		if n > s.lag {
			s.offset[c] = s.sample(n-1, c) - s.sample(n-1-s.lag, c)
		}
		if n > 0 {
			s.taps[c][3] = s.sample(n-1, c)
		}
	}
	s.part = 0
	if n > 0 && s.jump > 0 {
		for range 3 {
			s.repeat()
		}
	}
}

// sample returns the sample of the passage at i, from the oldest on, of a channel.
func (s *source) sample(i, c int) float32 {
	if s.backwards {
		i = s.length - 1 - i
	}
	return float32(s.passage[i*s.channels+c])
}

// mean returns the mean of the channels at i.
func (s *source) mean(i int) float32 {
	if s.channels == 2 {
		return (s.sample(i, 0) + s.sample(i, 1)) / 2
	}
	return s.sample(i, 0)
}

// overlap returns the length of the cross-fade before a jump: a quarter of a
// period.
func (s *source) overlap() int {
	return max(0, min(s.lag/4, s.length-s.jump))
}

// next writes the next samples of each channel to dst.
func (s *source) next(dst *[2][]float32, n int) {
	if s.length == 0 || s.jump == 0 {
		for c := range s.channels {
			clear(dst[c][:n])
		}
		return
	}
	for i := range n {
		for ; s.part >= 1; s.part-- {
			s.repeat()
		}
		for c := range s.channels {
			t := &s.taps[c]
			dst[c][i] = t[1]
			if s.part > 0 {
				dst[c][i] = between(t[0], t[1], t[2], t[3], s.part)
			}
		}
		s.part += float32(s.lag) / s.now
		s.now = min(max(s.period/further, s.now+s.trend), s.period*further)
	}
}

// straighten makes the period an exact number of samples, lag, from now on.
func (s *source) straighten() {
	s.now, s.trend, s.period = float32(s.lag), 0, float32(s.lag)
}

// repeat takes the next tap from the passage.
func (s *source) repeat() {
	u := float32(0)
	if left := s.length - s.at; left <= s.fade {
		u = 1 - (float32(left)-0.5)/float32(s.fade)
	}
	for c := range s.channels {
		v := s.sample(s.at, c)
		if u > 0 {
			v += u * (s.sample(s.at-s.jump, c) - v)
		}
		taps := &s.taps[c]
		taps[0], taps[1], taps[2], taps[3] = taps[1], taps[2], taps[3], v+s.offset[c]
		s.offset[c] *= s.decay
	}
	s.at++
	s.age++
	if s.at == s.length {
		s.at -= s.jump
		s.vary()
	}
}

// between returns what is at part of the way, 0 to 1, from b to c on a cubic
// spline through four samples.
func between(a, b, c, d, part float32) float32 {
	return b + part/2*(c-a+part*(2*a-5*b+4*c-d+part*(3*(b-c)+d-a)))
}

// vary chooses how far to go back next: further the longer it lasts, unless it
// is to be steady, and by something else than a period where there is none.
func (s *source) vary() {
	ms := s.age * 1000 / s.rate
	if s.steady {
		ms = 0
	}
	periods := 1
	switch {
	case ms >= 20:
		periods = 2 + int(s.random.next()>>31)
	case ms >= 10:
		periods = 2
	}
	jump := periods * s.lag
	if s.alike < 0.5 {
		jump += int(s.random.next()>>8) % (s.lag + 1)
	} else if ms >= 20 {
		spread := s.lag / 50
		jump += int(s.random.next()>>8)%(2*spread+1) - spread
	}
	// The cross-fade reads before the jump's end, and the passage has a beginning.
	most := s.length - s.lag/4
	for jump > most && jump > s.lag {
		jump -= s.lag
	}
	if jump > s.length || jump < 1 {
		jump = s.lag
	}
	s.jump = jump
	s.fade = s.overlap()
}

// findPitch sets lag, period and alike: the lag at which the end of the passage
// was most like itself.
func (s *source) findPitch(w *workspace) {
	n := s.length
	mix := w.mix[:n]
	for i := range mix {
		mix[i] = s.mean(i)
	}
	factor := max(1, s.rate/coarse)
	low := w.low[:0]
	for i := n % factor; i+factor <= n; i += factor {
		var v float32
		for _, x := range mix[i : i+factor] {
			v += x
		}
		low = append(low, v)
	}
	length := min(len(low)/3, s.rate/factor*template/1000)
	least := max(1, s.rate*shortestLag/10000/factor)
	most := min(s.rate*longestLag/10000/factor, len(low)-length)
	s.lag, s.period, s.now, s.trend, s.alike = n, float32(n), float32(n), 0, 0
	if length < 2 || most < least {
		return
	}
	at, best := likest(low, length, least, most)
	for parts := 4; parts > 1; parts-- {
		l, alike := likest(low, length, max(least, at/parts-1), at/parts+2)
		if alike > max(periodic, asGood*best) {
			at, best = l, alike
			break
		}
	}
	s.lag, s.alike = at*factor, max(0, best)
	precise := float32(at) + peak(low, length, at)
	if s.alike >= voiced {
		// The period before that tells where it goes.
		before := low[:len(low)-at]
		least, most := max(least, at-at/8-1), min(at+at/8+1, len(before)-length)
		if l, alike := likest(before, length, least, most); alike >= voiced && l > least && l < most {
			s.trend = lasting * (precise - float32(l) - peak(before, length, l)) / precise
		}
	}
	if factor > 1 {
		length *= factor
		s.lag, _ = likest(mix, length, max(1, (at-1)*factor), min((at+1)*factor, n-length))
	}
	s.period, s.now = float32(s.lag), float32(s.lag)
	if s.alike >= voiced {
		s.period = precise * float32(factor)
		s.now = s.period + s.trend*(s.period+float32(length))/2
	}
}

// peak returns by how much more than lag the lag is at which a parabola through
// the correlations at lag and beside it has its top, -0.5 to 0.5.
func peak(x []float32, length, lag int) float32 {
	if lag < 2 || lag+1+length > len(x) {
		return 0
	}
	end, x := x[len(x)-length:], x[len(x)-length-lag-1:]
	less, here, more := normal(end, x[2:]), normal(end, x[1:]), normal(end, x)
	curve := less - 2*here + more
	if curve > -1e-6 {
		return 0
	}
	return min(max(-0.5, (less-more)/2/curve), 0.5)
}

// likest returns the lag from least to most at which the end of x, of the given
// length, is most like what is before it, and how much.
func likest(x []float32, length, least, most int) (lag int, alike float32) {
	lag, alike = least, -1
	if most < least {
		return lag, alike
	}
	end := x[len(x)-length:]
	for l := least; l <= most; l++ {
		if r := normal(end, x[len(x)-length-l:]); r > alike {
			lag, alike = l, r
		}
	}
	return lag, alike
}

// normal returns the normalised correlation of a and as much of b.
func normal(a, b []float32) float32 {
	var ab, aa, bb float32
	b = b[:len(a)]
	for i, x := range a {
		y := b[i]
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / float32(math.Sqrt(float64(aa)*float64(bb)))
}

// random is a generator of numbers that need not be any better.
type random uint32

func (r *random) next() uint32 {
	x := uint32(*r)
	x ^= x << 13
	x ^= x >> 17
	x ^= x << 5
	*r = random(x)
	return x
}

// sound returns white noise with a power of 1.
func (r *random) sound() float32 {
	return float32(int32(r.next())) * (1.7320508 / (1 << 31))
}
