package stretch

import (
	"math"
	"slices"
	"sync"
)

const (
	coarse    = 4000 // Hz at which a pitch is looked for first
	cancelled = 10   // power of two channels that cancel each other out, to that of their mean
)

// A window is what a stretcher looks at while it is looked at.
type window struct {
	mix    []float32 // the mean of the channels, or the louder one where that is nearly nothing
	low    []float32 // mix at about coarse Hz, behind it in the same memory
	factor int       // samples for one of low
}

// windows are those that nobody looks at: a cache, so that a thousand streams need
// the memory of a few.
var windows = sync.Pool{New: func() any { return new(window) }}

// fill sets w from pcm, with so many samples for one of low, and returns the power
// of the channels. What is constant is no sound.
func (w *window) fill(pcm []int16, channels, factor int) (power float64) {
	n := len(pcm) / channels
	w.factor = factor
	both := slices.Grow(w.mix[:0], n+n/factor)[:n+n/factor]
	w.mix, w.low = both[:n], both[n:]
	if channels == 1 {
		for i := range w.mix {
			w.mix[i] = float32(pcm[i])
		}
		w.center()
		power = w.power()
	} else {
		power = w.fillStereo(pcm)
	}
	for i := range w.low {
		var v float32
		for _, x := range w.mix[i*factor : (i+1)*factor] {
			v += x
		}
		w.low[i] = v
	}
	return power
}

// fillStereo sets the mix of two channels. Where they cancel each other out, as
// those of a balanced source do, the louder one stands for both.
func (w *window) fillStereo(pcm []int16) (power float64) {
	var sums, squares [2]int64
	for i := range w.mix {
		left, right := int64(pcm[2*i]), int64(pcm[2*i+1])
		w.mix[i] = float32(left+right) / 2
		sums[0] += left
		sums[1] += right
		squares[0] += left * left
		squares[1] += right * right
	}
	w.center()
	n := float64(max(1, len(w.mix)))
	var powers [2]float64
	for c := range powers {
		mean := float64(sums[c]) / n
		powers[c] = float64(squares[c])/n - mean*mean
	}
	power = (powers[0] + powers[1]) / 2
	if cancelled*w.power() < power {
		louder := 0
		if powers[1] > powers[0] {
			louder = 1
		}
		for i := range w.mix {
			w.mix[i] = float32(pcm[2*i+louder])
		}
		w.center()
	}
	return power
}

// center takes what is constant out of the mix.
func (w *window) center() {
	var sum float32
	for _, x := range w.mix {
		sum += x
	}
	mean := sum / float32(max(1, len(w.mix)))
	for i := range w.mix {
		w.mix[i] -= mean
	}
}

// period returns the shortest of the lags between the given ones at which mix is
// most like itself around its middle, and how much that is.
func (w *window) period(least, most int) (lag int, alike float32) {
	low, middle := w.low, len(w.low)/2
	var curve [length*coarse/2000 + 64]float32
	from, to := max(1, least/w.factor), min(middle, most/w.factor, len(curve)-1)
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
	for l := max(least, (at-1)*w.factor); l <= min(most, (at+1)*w.factor); l++ {
		if c := w.correlation(l); c > alike {
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
func (w *window) correlation(lag int) float32 {
	middle := len(w.mix) / 2
	return normal(w.mix[middle-lag:middle], w.mix[middle:middle+lag])
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

// power returns that of the mix.
func (w *window) power() float64 {
	var sum float32
	for _, x := range w.mix {
		sum += x * x
	}
	return float64(sum) / float64(max(1, len(w.mix)))
}
