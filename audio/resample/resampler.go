package resample

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ErrConfig is returned by [New], wrapped with what was wrong.
var ErrConfig = errors.New("resample: bad configuration")

// Rates that can be converted, in Hz.
const (
	MinRate = 1000
	MaxRate = 384000
)

// MaxCorrection is the largest correction, in parts per million, either way.
const MaxCorrection = 5000

// Quality selects the filters, with the bounds in the package documentation.
type Quality uint8

const (
	Default Quality = iota // at least 80 dB
	High                   // at least 100 dB, for up to two fifths more work and a quarter more delay
)

// A Config says what a [Resampler] does.
type Config struct {
	In, Out  int     // rates, MinRate to MaxRate, in Hz
	Channels int     // 1 or 2, interleaved; 0 means 1
	Quality  Quality // the zero value is Default
}

// A Resampler turns a stream of samples at one rate into one at another. It is
// not safe for concurrent use.
type Resampler struct {
	config Config
	first  *stage
	second *stage
	wide   *stage // the one of the two whose step follows the correction

	delay int       // output samples
	block int       // input samples that are worked on at a time
	out   []float32 // one channel of a block's output
	pcm   []int16   // the same, rounded; only for two channels
}

// maxBlock is the longer side of a block: 20 ms at 48 kHz.
const maxBlock = 960

// New returns a resampler for c. It reserves all memory that its methods will
// need, except for what the first SetCorrection may. The error wraps
// [ErrConfig].
func New(c Config) (*Resampler, error) {
	if c.Channels == 0 {
		c.Channels = 1
	}
	for _, rate := range []int{c.In, c.Out} {
		if rate < MinRate || rate > MaxRate {
			return nil, fmt.Errorf("%w: rate %d Hz is outside %d..%d", ErrConfig, rate, MinRate, MaxRate)
		}
	}
	if c.Channels != 1 && c.Channels != 2 {
		return nil, fmt.Errorf("%w: %d channels, want 1 or 2", ErrConfig, c.Channels)
	}
	if int(c.Quality) >= len(designs) {
		return nil, fmt.Errorf("%w: quality %d", ErrConfig, c.Quality)
	}
	r := &Resampler{config: c, block: max(1, maxBlock*c.In/max(c.In, c.Out))}
	if c.Out >= c.In {
		r.up(designs[c.Quality])
	} else {
		r.down(designs[c.Quality])
	}
	return r, nil
}

// up doubles the rate with the sharp filter and goes on to the output rate with
// the wide one.
func (r *Resampler) up(d design) {
	c := r.config
	num, den := reduce(2*c.In, c.Out)
	// Both filters are late by half their length. The wide one starts later by
	// as much as that is short of whole output samples.
	late := (d.sharp.taps + d.wide.taps/2) * den
	r.first = newStage(d.sharp, 1, 2, 0, c.Channels, r.block)
	r.second = newWideStage(d.wide, d.steps, num, den, late%num, c.Channels, 2*r.block)
	r.wide = r.second
	r.delay = late / num
	r.makeOut(most(2*r.block, num, den))
}

// down goes to twice the output rate with the wide filter and halves that with
// the sharp one.
func (r *Resampler) down(d design) {
	c := r.config
	num, den := reduce(c.In, 2*c.Out)
	wide, sharp := d.wide.stretch(c.In, 2*c.Out), d.sharp.stretch(2, 1)
	// The longer the wide filter, the closer are its taps.
	steps := d.steps
	for steps > 1 && steps*c.In > 2*d.steps*2*c.Out {
		steps /= 2
	}
	late := wide.taps / 2 * den
	r.first = newWideStage(wide, steps, num, den, late%num, c.Channels, r.block)
	r.wide = r.first
	middle := most(r.block, num, den)
	late = late/num + sharp.taps/2
	r.second = newStage(sharp, 2, 1, late%2, c.Channels, middle)
	r.delay = late / 2
	r.makeOut(middle/2 + 1)
}

func (r *Resampler) makeOut(n int) {
	r.out = make([]float32, n)
	if r.config.Channels == 2 {
		r.pcm = make([]int16, n)
	}
}

// most returns how many samples n input samples can give at any correction.
func most(n, num, den int) int { return n*den/num + n*den/(100*num) + 2 }

func reduce(a, b int) (int, int) {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x, b / x
}

// Append resamples src, any number of samples of all channels interleaved, and
// appends to dst what is ready. It keeps neither slice; they must not overlap.
// Half a sample of two channels at the end of src is ignored.
//
// After n samples per channel since New, Reset or Flush it has given, as long
// as the correction was zero, n*Out/In samples, rounded up or down.
func (r *Resampler) Append(dst, src []int16) []int16 {
	channels := r.config.Channels
	for len(src) >= channels {
		n := min(len(src)/channels, r.block)
		for c := range channels {
			x := r.first.input(c, n)
			if channels == 1 {
				widen(x, src[:n])
				continue
			}
			for i := range x {
				x[i] = float32(src[2*i+c])
			}
		}
		dst = r.run(dst, n)
		src = src[n*channels:]
	}
	return dst
}

// run takes a block of n samples through both stages.
func (r *Resampler) run(dst []int16, n int) []int16 {
	channels := r.config.Channels
	r.first.have += n
	middle := r.first.ready()
	for c := range channels {
		r.first.filter(r.second.input(c, middle), c)
	}
	r.first.drop(middle)
	r.second.have += middle

	k := r.second.ready()
	at := len(dst)
	dst = slices.Grow(dst, k*channels)[:at+k*channels]
	for c := range channels {
		out := r.out[:k]
		r.second.filter(out, c)
		if channels == 1 {
			narrow(dst[at:], out)
			continue
		}
		narrow(r.pcm, out)
		for i, v := range r.pcm[:k] {
			dst[at+2*i+c] = v
		}
	}
	r.second.drop(k)
	return dst
}

// Flush appends to dst the DelaySamples samples per channel that are still
// under way, as if silence followed, and resets r. All output together, without
// its first DelaySamples, is then as long as the input and in step with it.
func (r *Resampler) Flush(dst []int16) []int16 {
	end := len(dst) + r.delay*r.config.Channels
	for len(dst) < end {
		for c := range r.config.Channels {
			clear(r.first.input(c, r.block))
		}
		dst = r.run(dst, r.block)
	}
	r.Reset()
	return dst[:end]
}

// Reset forgets all input, as if r were new. The correction stays.
func (r *Resampler) Reset() {
	r.first.reset()
	r.second.reset()
}

// Config returns what r was made for.
func (r *Resampler) Config() Config { return r.config }

// DelaySamples returns by how many output samples of each channel the content
// lags behind: a click in input sample n is in output sample n*Out/In +
// DelaySamples. It is exact while the correction is zero.
func (r *Resampler) DelaySamples() int { return r.delay }

// Delay returns DelaySamples as a time.
func (r *Resampler) Delay() time.Duration {
	return time.Duration(r.delay) * time.Second / time.Duration(r.config.Out)
}

// SetCorrection makes the output longer by ppm parts per million, or shorter if
// ppm is negative, from the next sample on. It is clamped to MaxCorrection
// either way; what is not a number counts as zero.
//
// The waveform goes on without a step. The first correction other than zero
// allocates a table, and from then on the shorter of the two filters costs
// twice as much.
func (r *Resampler) SetCorrection(ppm float64) {
	if !(math.Abs(ppm) > 0) && !r.wide.adjustable {
		return
	}
	if math.IsNaN(ppm) {
		ppm = 0
	}
	r.wide.adjust(1 + min(max(ppm, -MaxCorrection), MaxCorrection)/1e6)
}
