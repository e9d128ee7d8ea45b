package mix

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/stretch"
)

// A Config says what a [Mixer] does.
type Config struct {
	Format audio.Format  // of all inputs and outputs
	Queue  time.Duration // bound of each input's queue; 0 means 200 ms, at most 10 s
}

// A Mixer adds up inputs. It is not safe for concurrent use.
type Mixer struct {
	format audio.Format
	queue  int // samples, all channels
	ramp   int // samples per channel of a fade

	inputs  []*Input
	n       int // samples of the last step, all channels
	sum     []int32
	scratch []int32
	limiter limiter // of Append
}

const (
	rampTime     = 5 * time.Millisecond
	queueDefault = 200 * time.Millisecond
	queueLimit   = 10 * time.Second
)

// New returns a mixer without inputs. The error wraps [audio.ErrFormat].
func New(c Config) (*Mixer, error) {
	if err := c.Format.Check(); err != nil {
		return nil, fmt.Errorf("mix: %w", err)
	}
	if c.Queue <= 0 {
		c.Queue = queueDefault
	}
	return &Mixer{
		format:  c.Format,
		queue:   max(2, c.Format.Samples(min(c.Queue, queueLimit))/c.Format.Channels) * c.Format.Channels,
		ramp:    c.Format.Samples(rampTime) / c.Format.Channels,
		limiter: newLimiter(c.Format),
	}, nil
}

// Format returns the format of all inputs and outputs.
func (m *Mixer) Format() audio.Format { return m.format }

// Add returns a new input, with a gain of one.
func (m *Mixer) Add() *Input {
	stretcher, err := stretch.New(m.format.Rate, m.format.Channels)
	if err != nil {
		panic(err) // of a format that New has checked
	}
	in := &Input{
		mixer:     m,
		queue:     make([]int16, 0, m.queue),
		stretcher: stretcher,
		gain:      1,
		target:    1,
		limiter:   newLimiter(m.format),
	}
	in.begin()
	m.inputs = append(m.inputs, in)
	return in
}

// Inputs returns how many inputs there are, with those that are fading out.
func (m *Mixer) Inputs() int { return len(m.inputs) }

// Mix takes the next n samples of each channel from all inputs and adds them up.
// An input that has less is silent for the rest. It allocates only when n is
// larger than before.
func (m *Mixer) Mix(n int) {
	m.n = max(0, n) * m.format.Channels
	m.sum = slices.Grow(m.sum[:0], m.n)[:m.n]
	m.scratch = slices.Grow(m.scratch[:0], m.n)[:m.n]
	clear(m.sum)
	if m.n == 0 {
		return
	}
	for _, in := range m.inputs {
		in.take(m.n)
		for i, v := range in.own {
			m.sum[i] += v
		}
	}
	m.inputs = slices.DeleteFunc(m.inputs, func(in *Input) bool { return in.leaving && len(in.own) == 0 })
}

// Append appends to dst the sum of all inputs in the last step, as for a
// recording. It should be called once for each step, or not at all: its limiter
// goes on with each call.
func (m *Mixer) Append(dst []int16) []int16 { return m.limiter.append(dst, m.sum) }

// An Input is one participant's way into a mixer and out of it. It belongs to
// the goroutine of the mixer.
type Input struct {
	mixer   *Mixer
	queue   []int16
	dropped int
	spilled int // samples that have found no room since the last step
	leaving bool

	surplus   surplus
	stretcher *stretch.Stretcher

	own     []int32 // its part in the last step; empty if it had none
	limiter limiter

	gain, target, step float64 // step is per sample while gain is on its way

	// Fades count samples per channel. While in falls to zero, the samples are
	// faded in (or out, if the input is leaving); while out does, the last
	// sample before a break fades out.
	in, out int
	playing bool
	last    [2]float64 // what was given last
	tail    [2]float64 // what fades out
}

// MaxGain is the largest gain of an [Input].
const MaxGain = 16

// SetGain changes the input's gain, within 5 ms. It is linear, and clamped to
// 0..MaxGain.
func (in *Input) SetGain(gain float64) {
	if math.IsNaN(gain) {
		gain = 0
	}
	in.target = min(max(gain, 0), MaxGain)
	in.step = (in.target - in.gain) / float64(max(1, in.mixer.ramp))
}

// WriteFrame queues the samples of f, of any number. It does not keep f, and
// pays no attention to its time or kind. Frames should come as fast as time goes by:
// when for a second the queue has not fallen to what one step takes, what is more is
// left out, by pitch periods where that goes unheard, otherwise after half a second
// more in one piece with a short cross-fade. When the queue is full, its older half is
// dropped at once. The error wraps [audio.ErrFormat].
func (in *Input) WriteFrame(f *audio.Frame) error {
	if err := f.Check(); err != nil {
		return err
	}
	m := in.mixer
	if f.Format != m.format {
		return fmt.Errorf("%w: frame is %v, the mixer takes %v", audio.ErrFormat, f.Format, m.format)
	}
	if in.leaving {
		return nil
	}
	samples := f.Samples
	if more := len(in.queue) + len(samples) - m.queue; more > 0 {
		half := m.queue / 2 / m.format.Channels * m.format.Channels
		drop := min(max(more, half), len(in.queue)+len(samples))
		in.dropped += drop / m.format.Channels
		in.spilled += drop
		old := min(drop, len(in.queue))
		in.queue = in.queue[:copy(in.queue, in.queue[old:])]
		samples = samples[drop-old:]
		in.pause()
	}
	in.queue = append(in.queue, samples...)
	return nil
}

// Queued returns how much is waiting in the queue.
func (in *Input) Queued() time.Duration { return in.mixer.format.Duration(len(in.queue)) }

// Dropped returns how many samples of each channel have been left out so far: because
// the queue was full or longer than is needed, or by Skip.
func (in *Input) Dropped() int { return in.dropped }

// Remove takes the input out of the mixer, after a fade. What is written
// afterwards is ignored.
func (in *Input) Remove() {
	if in.leaving {
		return
	}
	in.leaving = true
	if !in.playing {
		in.queue = in.queue[:0]
		return
	}
	in.in = in.mixer.ramp - in.in
}

// Append appends to dst the sum of all other inputs in the last step: as many
// samples of each channel as Mix was called for. It should be called once for
// each step.
func (in *Input) Append(dst []int16) []int16 {
	m := in.mixer
	if len(in.own) == 0 {
		return in.limiter.append(dst, m.sum)
	}
	others := m.scratch[:len(m.sum)]
	own := in.own[:len(others)]
	for i, v := range m.sum {
		others[i] = v - own[i]
	}
	return in.limiter.append(dst, others)
}

// pause lets the last sample fade out, and the next one fade in.
func (in *Input) pause() {
	if in.playing {
		in.tail, in.out = in.last, in.mixer.ramp
		in.last = [2]float64{}
	}
	in.playing = false
}

// take fills own with the next n samples from the queue.
func (in *Input) take(n int) {
	in.spilled = 0
	if len(in.queue) == 0 && !in.playing && in.out == 0 {
		in.own = in.own[:0]
		return
	}
	in.own = slices.Grow(in.own[:0], n)[:n]
	have := min(n, len(in.queue))
	if in.playing && in.in == 0 && in.out == 0 && in.gain == in.target && have == n && n > 0 && !in.leaving {
		in.steady()
	} else {
		in.fading(have)
	}
	in.queue = in.queue[:copy(in.queue, in.queue[have:])]
	if in.leaving && !in.playing {
		in.queue = in.queue[:0]
	}
	in.keepShort(n)
}

// steady is the ordinary case of take: nothing changes.
func (in *Input) steady() {
	own := in.own
	queue := in.queue[:len(own)]
	if in.gain == 1 {
		for i, v := range queue {
			own[i] = int32(v)
		}
	} else {
		gain := float32(in.gain)
		for i, v := range queue {
			own[i] = int32(math.RoundToEven(float64(gain * float32(v))))
		}
	}
	channels := in.mixer.format.Channels
	for c := range channels {
		in.last[c] = float64(own[len(own)-channels+c])
	}
}

// fading is take with the fades, of which have samples come from the queue.
func (in *Input) fading(have int) {
	channels, ramp := in.mixer.format.Channels, float64(in.mixer.ramp)
	for i := 0; i < len(in.own); i += channels {
		level := 0.0
		if i < have && !(in.leaving && !in.playing) {
			if !in.playing {
				in.playing, in.in = true, in.mixer.ramp
			}
			level = in.level(ramp)
		} else {
			in.pause()
		}
		for c := range channels {
			v := 0.0
			if in.playing {
				v = float64(in.queue[i+c]) * level
				in.last[c] = v
			}
			if in.out > 0 {
				v += in.tail[c] * float64(in.out) / ramp
			}
			in.own[i+c] = int32(math.RoundToEven(v))
		}
		in.out = max(0, in.out-1)
		if in.leaving && in.in == 0 {
			in.playing = false
			in.last = [2]float64{}
		}
	}
}

// level returns the factor for the next sample, and moves it on.
func (in *Input) level(ramp float64) float64 {
	if in.gain != in.target {
		in.gain += in.step
		if (in.gain-in.target)*in.step >= 0 {
			in.gain = in.target
		}
	}
	if in.in > 0 {
		in.in--
	}
	if in.leaving {
		return in.gain * float64(in.in) / ramp
	}
	return in.gain * (1 - float64(in.in)/ramp)
}
