package mix

import (
	"math"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
)

// A limiter keeps one output within 16 bits. It knows the peak of a step before
// it gives its first sample, and so can turn all of it down.
type limiter struct {
	gain    float32
	channel int
	attack  int     // samples per channel in which the gain falls
	release float32 // by which it rises at most, per sample
}

const (
	knee    = 23197 // -3 dB of full scale: below, nothing is changed
	ceiling = 29204 // -1 dB: what the gain aims at for the highest peaks
	full    = 32767

	attackTime  = time.Millisecond
	releaseTime = 500 * time.Millisecond
)

func newLimiter(f audio.Format) limiter {
	return limiter{
		gain:    1,
		channel: f.Channels,
		attack:  max(1, f.Samples(attackTime)/f.Channels),
		release: float32(f.Channels) / float32(f.Samples(releaseTime)),
	}
}

// append appends x, limited.
func (l *limiter) append(dst []int16, x []int32) []int16 {
	at := len(dst)
	dst = slices.Grow(dst, len(x))[:at+len(x)]
	out := dst[at:]
	var low, high int32
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	peak := max(high, -low)
	if l.gain == 1 && peak <= knee {
		for i, v := range x {
			out[i] = int16(v)
		}
		return dst
	}
	target := aim(peak)
	step := l.release
	if target < l.gain {
		step = (target - l.gain) / float32(min(l.attack, len(x)/l.channel))
	}
	for i := 0; i < len(x); i += l.channel {
		if l.gain != target {
			l.gain += step
			if (step < 0) == (l.gain < target) {
				l.gain = target
			}
		}
		for c := range l.channel {
			out[i+c] = bend(float32(x[i+c]) * l.gain)
		}
	}
	return dst
}

// aim returns the gain for a peak: one below the knee, and above it such that
// all peaks come out between knee and ceiling, in their order.
func aim(peak int32) float32 {
	if peak <= knee {
		return 1
	}
	const room = ceiling - knee
	p := float64(peak)
	return float32((knee + room*(1-math.Exp(-(p-knee)/room))) / p)
}

// bend rounds what is below the ceiling, and lets what is above approach full
// scale.
func bend(v float32) int16 {
	const room = full - ceiling
	switch {
	case v > ceiling:
		v = full - room*room/(v-ceiling+room)
	case v < -ceiling:
		v = -full - room*room/(v+ceiling-room)
	}
	return int16(math.RoundToEven(float64(v)))
}
