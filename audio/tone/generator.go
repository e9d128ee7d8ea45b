package tone

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	defaultFrame = 20 * time.Millisecond
	maxFrame     = 10 * time.Second
	maxSegment   = time.Hour

	// rampTime is how long a tone takes to come and to go. DTMF may take 5 ms to
	// reach 90 % (ETSI ES 201 235-2).
	rampTime = 5 * time.Millisecond
)

// A Generator samples a [Signal]. It is an [audio.Reader], and not safe for
// concurrent use.
//
// The phase of each sine runs on through pauses and from frame to frame. Each
// tone rises and falls within its own time, smoothly, over 5 ms.
type Generator struct {
	// FrameDuration is how much ReadFrame makes at a time, up to 10 s. Zero
	// means 20 ms. It may be changed between reads.
	FrameDuration time.Duration

	format   audio.Format
	segments []segment
	ramp     []float64 // rising
	cycles   int       // still to play, with the current one; 0: for ever
	done     bool

	now     int64 // samples made, per channel
	current int   // segment
	pos     int   // in the segment
}

// segment is a Segment at a sampling rate.
type segment struct {
	sines   []oscillator
	samples int // 0: without end
}

// An oscillator's phase after n samples is n*step, of 2^64 to the turn: exact
// for ever, wherever the segment is met.
type oscillator struct {
	step      uint64
	amplitude float64
}

// NewGenerator returns a generator of s, which it copies. The error wraps
// [ErrSignal], or [audio.ErrFormat].
func NewGenerator(format audio.Format, s Signal) (*Generator, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("tone: %w", err)
	}
	if err := s.check(format.Rate); err != nil {
		return nil, err
	}
	g := &Generator{format: format, cycles: s.Count}
	perChannel := audio.Format{Rate: format.Rate, Channels: 1}
	// Segments end at the sample nearest to their end in the cycle, so that
	// rounding does not add up.
	end, endSamples := time.Duration(0), 0
	for _, in := range s.Segments {
		var out segment
		if in.Duration > 0 {
			end += in.Duration
			n := perChannel.Samples(end)
			out.samples = n - endSamples
			endSamples = n
			if out.samples == 0 {
				continue // shorter than a sample
			}
		}
		for _, sine := range in.Sines {
			turns := sine.Frequency / float64(format.Rate)
			out.sines = append(out.sines, oscillator{uint64(math.Round(turns*(1<<53))) << 11, sine.amplitude()})
		}
		g.segments = append(g.segments, out)
	}
	if len(g.segments) == 0 {
		return nil, wrong("it is shorter than a sample")
	}
	g.ramp = make([]float64, max(perChannel.Samples(rampTime), 1))
	for i := range g.ramp {
		g.ramp[i] = 0.5 - 0.5*math.Cos(math.Pi*(float64(i)+0.5)/float64(len(g.ramp)))
	}
	return g, nil
}

// Format returns the shape of the frames that g makes.
func (g *Generator) Format() audio.Format { return g.format }

// ReadFrame fills f with the next g.FrameDuration of the signal, less at its
// end. The error is [io.EOF] at the end.
func (g *Generator) ReadFrame(f *audio.Frame) error {
	d := min(g.FrameDuration, maxFrame)
	if d <= 0 {
		d = defaultFrame
	}
	channels := g.format.Channels
	f.Grow(max(g.format.Samples(d), channels))
	f.Format, f.Kind, f.Captured = g.format, audio.Media, time.Time{}
	f.Time = g.format.Duration(int(g.now) * channels)
	n := 0
	for n < len(f.Samples) && !g.done {
		s := &g.segments[g.current]
		k := (len(f.Samples) - n) / channels
		if s.samples > 0 {
			k = min(k, s.samples-g.pos)
		}
		g.fill(f.Samples[n:n+k*channels], s)
		n += k * channels
		g.now += int64(k)
		g.pos += k
		if g.pos == s.samples {
			g.next()
		}
		// A segment without end needs its position for the ramp only.
		if s.samples == 0 {
			g.pos = min(g.pos, len(g.ramp))
		}
	}
	f.Samples = f.Samples[:n]
	if n == 0 {
		return io.EOF
	}
	return nil
}

// next goes on to the next segment.
func (g *Generator) next() {
	g.pos = 0
	if g.current++; g.current < len(g.segments) {
		return
	}
	g.current = 0
	if g.cycles > 0 {
		g.cycles--
		g.done = g.cycles == 0
	}
}

// fill makes the next samples of s, equal in all channels.
func (g *Generator) fill(out []int16, s *segment) {
	if len(s.sines) == 0 {
		clear(out)
		return
	}
	ramp := g.ramp
	if s.samples > 0 {
		ramp = ramp[:min(len(ramp), s.samples/2)]
	}
	channels := g.format.Channels
	for i := range len(out) / channels {
		sum := 0.0
		for _, o := range s.sines {
			phase := o.step * uint64(g.now+int64(i))
			sum += o.amplitude * math.Sin(float64(int64(phase))*(math.Pi/(1<<63)))
		}
		pos := g.pos + i
		if pos < len(ramp) {
			sum *= ramp[pos]
		} else if left := s.samples - 1 - pos; s.samples > 0 && left < len(ramp) {
			sum *= ramp[left]
		}
		v := int16(math.Floor(sum + 0.5))
		for c := range channels {
			out[i*channels+c] = v
		}
	}
}
