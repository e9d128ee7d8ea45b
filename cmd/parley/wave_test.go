package main

import (
	"io"
	"math"
	"math/cmplx"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// toneHz has no whole number of periods in any packet, so that audio which is
// left out, repeated or swapped shows as a jump of the phase.
const toneHz = 437.3

// toneWAV writes a file with a tone, at half of full scale, and returns its name.
func toneWAV(t *testing.T, format audio.Format, d time.Duration) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tone.wav")
	w, err := file.CreateWAV(name, format)
	if err != nil {
		t.Fatal(err)
	}
	f := audio.Frame{Format: format, Samples: make([]int16, format.Samples(d))}
	for i := range f.Samples {
		at := float64(i/format.Channels) / float64(format.Rate)
		f.Samples[i] = int16(math.Round(16384 * math.Sin(2*math.Pi*toneHz*at)))
	}
	if err := w.WriteFrame(&f); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// A sound is the first channel of a recording.
type sound struct {
	format  audio.Format
	samples []float64
}

func readSound(t *testing.T, name string) sound {
	t.Helper()
	r, err := file.OpenWAV(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := sound{format: r.Format()}
	var f audio.Frame
	for {
		err := r.ReadFrame(&f)
		if err == io.EOF {
			return s
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(f.Samples); i += f.Format.Channels {
			s.samples = append(s.samples, float64(f.Samples[i]))
		}
	}
}

func (s sound) duration() time.Duration {
	return s.format.Duration(len(s.samples) * s.format.Channels)
}

// quiet is the level below which a sample is near to silence.
func (s sound) quiet() float64 {
	var peak float64
	for _, x := range s.samples {
		peak = max(peak, math.Abs(x))
	}
	return peak / 50
}

// trimmed returns s without silence at both ends.
func (s sound) trimmed() sound {
	first, last, quiet := len(s.samples), 0, s.quiet()
	for i, x := range s.samples {
		if math.Abs(x) > quiet {
			first, last = min(first, i), i+1
		}
	}
	s.samples = s.samples[min(first, last):last]
	return s
}

// gap returns the longest run of near-silence.
func (s sound) gap() time.Duration {
	longest, run, quiet := 0, 0, s.quiet()
	for _, x := range s.samples {
		if run++; math.Abs(x) > quiet {
			run = 0
		}
		longest = max(longest, run)
	}
	return s.format.Duration(longest * s.format.Channels)
}

// joined returns s without its gaps of 10 ms and more, and how long these were
// together.
func (s sound) joined() (sound, time.Duration) {
	least, quiet := s.format.Samples(10*time.Millisecond)/s.format.Channels, s.quiet()
	all, run := s.samples, 0
	s.samples = nil
	for _, x := range all {
		s.samples = append(s.samples, x)
		if math.Abs(x) <= quiet {
			run++
			continue
		}
		if run >= least {
			s.samples = append(s.samples[:len(s.samples)-1-run], x)
		}
		run = 0
	}
	return s, s.format.Duration((len(all) - len(s.samples)) * s.format.Channels)
}

// power returns which part of the sound is a sine of the given frequency, 0 to 1.
func (s sound) power(hz float64) float64 {
	var sum complex128
	var all float64
	turn, at := cmplx.Rect(1, 2*math.Pi*hz/float64(s.format.Rate)), complex(1, 0)
	for _, x := range s.samples {
		sum += complex(x, 0) * at
		at *= turn
		all += x * x
	}
	if all == 0 {
		return 0
	}
	return 2 * (real(sum)*real(sum) + imag(sum)*imag(sum)) / float64(len(s.samples)) / all
}

// tone returns the frequency of the strongest sine within 20 Hz of toneHz, and
// which part of the sound it is.
func (s sound) tone() (hz, part float64) {
	for _, grid := range []struct{ around, reach, step float64 }{{toneHz, 20, 0.1}, {0, 0.1, 0.005}} {
		if grid.around == 0 {
			grid.around = hz
		}
		for f := grid.around - grid.reach; f <= grid.around+grid.reach; f += grid.step {
			if p := s.power(f); p > part {
				hz, part = f, p
			}
		}
	}
	return hz, part
}

// check fails unless s is the tone, whole and nothing else, for d within
// tolerance.
func (s sound) check(t *testing.T, format audio.Format, d, tolerance time.Duration) {
	t.Helper()
	hz, part := s.tone()
	gap := s.gap()
	t.Logf("%v of %v, %.2f Hz (%.2f %% of the power), longest near-silence %.1f ms", s.duration(), s.format, hz, part*100, milliseconds(gap))
	if s.format != format {
		t.Errorf("format %v, want %v", s.format, format)
	}
	if (s.duration() - d).Abs() > tolerance {
		t.Errorf("it lasts %v, want %v ± %v", s.duration(), d, tolerance)
	}
	if math.Abs(hz-toneHz) > 2 || part < 0.99 {
		t.Errorf("tone of %.2f Hz with %.2f %% of the power, want %v Hz with more than 99 %%", hz, part*100, toneHz)
	}
	if gap > 5*time.Millisecond {
		t.Errorf("a gap of %v", gap)
	}
}
