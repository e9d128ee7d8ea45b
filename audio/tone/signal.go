package tone

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrSignal is wrapped, with what is wrong, by the error for a signal that
// cannot be generated.
var ErrSignal = errors.New("tone: wrong signal")

// A Sine is a sine wave.
type Sine struct {
	Frequency float64 // in Hz, above 0 and below half the sampling rate
	Level     float64 // in dBm0; 0 is loud, -10 usual
}

// amplitude returns the height of the peaks.
func (s Sine) amplitude() float64 {
	return math.MaxInt16 * math.Pow(10, (s.Level-FullScale)/20)
}

// A Segment is a part of a cadence: sines together, or a pause if there are
// none.
type Segment struct {
	Sines    []Sine
	Duration time.Duration // 0, for the last segment of a signal: without end
}

// A Signal is a cadence: segments one after another, Count times over. The zero
// Count is for ever.
type Signal struct {
	Segments []Segment
	Count    int
}

// Duration returns how long s lasts, and false if it has no end.
func (s Signal) Duration() (time.Duration, bool) {
	var d time.Duration
	for _, g := range s.Segments {
		if g.Duration == 0 {
			return 0, false
		}
		d += g.Duration
	}
	return time.Duration(s.Count) * d, s.Count != 0
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSignal, fmt.Sprintf(format, args...))
}

// check returns what keeps s from being sampled at a rate.
func (s Signal) check(rate int) error {
	if len(s.Segments) == 0 {
		return wrong("it has no segments")
	}
	if s.Count < 0 {
		return wrong("its count is %d", s.Count)
	}
	for i, g := range s.Segments {
		if g.Duration < 0 || g.Duration > maxSegment {
			return wrong("segment %d lasts %v, want 0 to %v", i, g.Duration, maxSegment)
		}
		if g.Duration == 0 && i < len(s.Segments)-1 {
			return wrong("segment %d has no end, but another after it", i)
		}
		sum := 0.0
		for _, sine := range g.Sines {
			if !(sine.Frequency > 0 && sine.Frequency < float64(rate)/2) {
				return wrong("%g Hz at a sampling rate of %d Hz", sine.Frequency, rate)
			}
			sum += sine.amplitude()
		}
		if !(sum <= math.MaxInt16) {
			return wrong("segment %d is %.2f dB above full scale", i, 20*math.Log10(sum/math.MaxInt16))
		}
	}
	return nil
}
