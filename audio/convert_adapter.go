package audio

import (
	"fmt"
	"math"

	"github.com/parley-media/parley/audio/resample"
)

// An Adapter turns frames of any format into samples of one. The format of the
// frames may change from each to the next; where it does, the samples go on in
// step. It pays no attention to the times of the frames: see [Converter] for
// that. It is not safe for concurrent use.
//
// A rate is changed by package resample, at its default quality, without its
// delay: sample n of the output belongs to the time of the input, but comes only
// when up to 51 further samples of the lower rate are known (6 ms at 8 kHz).
// Two channels are averaged into one; one is copied to both.
type Adapter struct {
	out, in   Format
	resampler *resample.Resampler // nil while the rates are equal
	skip      int                 // samples of all channels that it has yet to give in vain

	tail      []int16 // the resampler's last input, as long as its delay
	mono, low []int16 // before and after the resampler
}

// NewAdapter returns an adapter to f. The error wraps [ErrFormat].
func NewAdapter(f Format) (*Adapter, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	return &Adapter{out: f}, nil
}

// Format returns the format of the output.
func (a *Adapter) Format() Format { return a.out }

// Append appends to dst what f has added to the output; f may be of any length.
// It does not keep f. The error wraps [ErrFormat]; dst is then returned
// unchanged.
func (a *Adapter) Append(dst []int16, f *Frame) ([]int16, error) {
	if err := f.Check(); err != nil {
		return dst, err
	}
	if len(f.Samples) == 0 {
		return dst, nil
	}
	samples := f.Samples
	if f.Format.Channels > a.out.Channels {
		a.mono = AppendMono(a.mono[:0], samples)
		samples = a.mono
	}
	channels := min(f.Format.Channels, a.out.Channels)
	if f.Format != a.in {
		dst = a.change(dst, f.Format, samples)
	}
	if a.resampler == nil {
		return a.widen(dst, samples, channels), nil
	}
	a.low = a.resampler.Append(a.low[:0], samples)
	if n := cap(a.tail) - len(samples); n <= 0 {
		a.tail = append(a.tail[:0], samples[-n:]...)
	} else {
		old := max(0, len(a.tail)-n)
		a.tail = append(a.tail[:copy(a.tail, a.tail[old:])], samples...)
	}
	return a.deliver(dst), nil
}

// deliver appends what the resampler has just given.
func (a *Adapter) deliver(dst []int16) []int16 {
	n := min(a.skip, len(a.low))
	a.skip -= n
	return a.widen(dst, a.low[n:], a.resampler.Config().Channels)
}

// widen appends samples in the channels of the output.
func (a *Adapter) widen(dst, samples []int16, channels int) []int16 {
	if channels < a.out.Channels {
		return AppendStereo(dst, samples)
	}
	return append(dst, samples...)
}

// change sets a up for another input format, which begins with samples. The old
// input is carried on until the end of the filter, and the new one backwards to
// its beginning: to end and begin with zeros would be heard as a gap.
func (a *Adapter) change(dst []int16, f Format, samples []int16) []int16 {
	channels := min(f.Channels, a.out.Channels)
	begun := a.in != Format{}
	if begun && f.Rate == a.in.Rate && channels == min(a.in.Channels, a.out.Channels) {
		a.in = f
		return dst
	}
	if old := a.resampler; old != nil {
		c := old.Config().Channels
		a.low = old.Append(a.low[:0], after(a.tail, c))
		a.low = a.low[:min(len(a.low), old.DelaySamples()*c)]
		dst = a.deliver(dst)
	}
	a.resampler, a.skip, a.in = nil, 0, f
	if f.Rate == a.out.Rate {
		return dst
	}
	r, err := resample.New(resample.Config{In: f.Rate, Out: a.out.Rate, Channels: channels})
	if err != nil {
		// Both packages have the same limits, which have been checked.
		panic(fmt.Sprintf("audio: %v", err))
	}
	a.resampler = r
	a.skip = r.DelaySamples() * channels
	delay := (r.DelaySamples()+1)*f.Rate/a.out.Rate + 2
	a.tail = make([]int16, 0, delay*channels)
	if begun {
		// A whole number of output samples keeps the new input in place.
		if whole := f.Rate / gcd(f.Rate, a.out.Rate); whole <= 1000 {
			delay += whole - delay%whole
		}
		a.low = r.Append(a.low[:0], before(samples, channels, delay)) // not delivered
	}
	return dst
}

// after returns samples to follow s, as many as s can hold: its point reflection
// in its last one, which goes on at the same level and slope.
func after(s []int16, channels int) []int16 {
	n := cap(s)
	out := make([]int16, n)
	for i := range out {
		edge := len(s) - channels + i%channels
		from := max(edge-(i/channels+1)*channels, i%channels)
		out[i] = reflect(s[edge], s[from])
	}
	return out
}

// before returns n samples of each channel to come before s.
func before(s []int16, channels, n int) []int16 {
	out := make([]int16, n*channels)
	for i := range out {
		from := min((n-i/channels)*channels+i%channels, len(s)-channels+i%channels)
		out[i] = reflect(s[i%channels], s[from])
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func reflect(edge, v int16) int16 {
	return int16(min(max(2*int(edge)-int(v), math.MinInt16), math.MaxInt16))
}

// Flush appends to dst the samples that are still under way, as if silence
// followed. All output is then as long as all input was. The adapter is as new.
func (a *Adapter) Flush(dst []int16) []int16 {
	if a.resampler != nil {
		a.low = a.resampler.Flush(a.low[:0])
		dst = a.deliver(dst)
	}
	a.resampler, a.skip, a.in = nil, 0, Format{}
	return dst
}
