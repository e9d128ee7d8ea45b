package quality

import (
	"math"
	"testing"
	"time"
)

// tone returns a sine of a whole number of periods in 20 ms.
func tone(n, rate int, hz, peak float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(peak * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

func TestCompare(t *testing.T) {
	const rate, gap = 8000, 320
	sent := tone(3200, rate, 400, 8000)
	at := span{1600, 1600, gap}
	for _, c := range []struct {
		name     string
		spoil    func(heard []int16)
		snr, pct float64
	}{
		{"nothing", func([]int16) {}, mostSNR, 0},
		{"silence", func(h []int16) { clear(h) }, 0, 0},
		{"half as loud", func(h []int16) { scale(h, 0.5) }, 6.02, 0},
		{"upside down", func(h []int16) { scale(h, -1) }, -6.02, 0},
		{"upside down and thrice as loud", func(h []int16) { scale(h, -3) }, leastSNR, 0},
		{"with steps at both ends", func(h []int16) { shift(h, 9000) }, -4.03, 100},
		{"with a step at one end", func(h []int16) { shift(h[:160], 9000) }, 15.48, 50},
	} {
		heard := append([]int16(nil), sent...)
		c.spoil(heard[at.heard:][:at.n])
		got := compare(sent, heard, rate, []span{at})
		if math.Abs(got.SegSNR-c.snr) > 0.02 {
			t.Errorf("%s: segmental SNR %v dB, want %v", c.name, got.SegSNR, c.snr)
		}
		if got.Clicks != c.pct || got.Gaps != 1 {
			t.Errorf("%s: %v %% clicks in %d gaps, want %v", c.name, got.Clicks, got.Gaps, c.pct)
		}
	}
}

func shift(pcm []int16, by int16) {
	for i := range pcm {
		pcm[i] += by
	}
}

func scale(pcm []int16, by float64) {
	for i, v := range pcm {
		pcm[i] = int16(math.Round(by * float64(v)))
	}
}

// The distance of two spectra that differ by a factor is that factor, where
// anything can be heard; silence is as far away as what can be heard is loud.
func TestDistance(t *testing.T) {
	const rate = 8000
	speech := Speech(rate)[4000:][:160]
	s := newSpectrum(rate, 160)
	if d := s.distance(speech, speech); d != 0 {
		t.Errorf("%v dB from itself", d)
	}
	half := append([]int16(nil), speech...)
	scale(half, 0.5)
	if d := s.distance(speech, half); d < 2 || d > 6.03 {
		t.Errorf("%v dB at half the level", d)
	}
	silence := make([]int16, 160)
	if d := s.distance(tone(160, rate, 1000, 8000), silence); d < 4 || d > audible {
		t.Errorf("%v dB from a tone to silence", d)
	}
	if d := s.distance(speech, silence); d < 10 || d > audible {
		t.Errorf("%v dB from speech to silence", d)
	}
}

// What is quiet does not count.
func TestCompareOnlySpeech(t *testing.T) {
	sent := tone(1600, 8000, 400, 200)
	heard := make([]int16, 1600)
	if got := compare(sent, heard, 8000, []span{{400, 400, 800}}); got.LSD != 0 || got.SegSNR != 0 || got.Gaps != 1 {
		t.Errorf("%+v", got)
	}
}

// The ends of a gap are where the sound begins to differ, even in the middle of
// a frame, and a gap behind which the delay is another one has no measure.
func TestGaps(t *testing.T) {
	trace := path(200, map[int]float64{50: -1, 80: -1, 81: -1})
	s := &simulation{config: fixed(), trace: trace}
	s.config.PTime = interval
	if err := s.send(); err != nil {
		t.Fatal(err)
	}
	if err := s.receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	gaps := s.gaps()
	if len(gaps) != 2 {
		t.Fatalf("%d gaps", len(gaps))
	}
	for i, want := range []span{{50 * 160, 50 * 160, 160}, {80 * 160, 80 * 160, 320}} {
		g := gaps[i]
		if g.sent < want.sent || g.sent+g.n > want.sent+want.n+80 || g.n < want.n-16 || g.heard-g.sent != gaps[0].heard-gaps[0].sent {
			t.Errorf("gap %+v, want %+v", g, want)
		}
	}
	// From the middle of the first gap on, everything is heard later.
	for i := range s.ticks {
		if s.ticks[i].place > 50*interval {
			s.ticks[i].place -= time.Millisecond
		}
	}
	if gaps := s.gaps(); len(gaps) != 1 || gaps[0].n < 300 {
		t.Errorf("gaps %+v", gaps)
	}
}
