package rtcpctl

import (
	"math"
	"testing"
	"time"
)

func TestMOS(t *testing.T) {
	g711 := CodecImpairment("pcmu")
	loss := []float64{0, 0.01, 0.05, 0.10}
	for _, c := range []struct {
		delay int
		want  []float64
	}{
		{50, []float64{4.38, 4.30, 3.87, 3.35}},
		{250, []float64{3.99, 3.85, 3.28, 2.69}},
		{400, []float64{3.05, 2.86, 2.23, 1.70}},
	} {
		for i, want := range c.want {
			r := g711.R(Conditions{Delay: time.Duration(c.delay) * time.Millisecond, Loss: loss[i]})
			if got := MOS(r); math.Abs(got-want) > 0.01 {
				t.Errorf("delay %d ms, loss %v: R %.2f, MOS %.3f, want %.2f", c.delay, loss[i], r, got, want)
			}
		}
	}
}

func TestMOSRange(t *testing.T) {
	// G.107, annex B: 4.5 for 100, 1 for 0, and 4.41 for the default 93.2.
	for r, want := range map[float64]float64{-20: 1, 0: 1, 3: 1, 60: 3.1, 93.2: 4.41, 100: 4.5, 120: 4.5} {
		if got := MOS(r); math.Abs(got-want) > 0.005 {
			t.Errorf("MOS(%v) = %v, want %v", r, got, want)
		}
	}
	for r := -10.0; r < 110; r += 0.1 {
		if MOS(r) > MOS(r+0.1) {
			t.Errorf("MOS falls at %v", r)
		}
	}
}

func TestRating(t *testing.T) {
	g711 := CodecImpairment("PCMA")
	for _, c := range []struct {
		impairment Impairment
		conditions Conditions
		want       float64
	}{
		{g711, Conditions{}, 93.2},
		{CodecImpairment("G729"), Conditions{}, 82.2},
		{CodecImpairment("opus"), Conditions{Loss: 0.251}, 93.2 - 47.5},
		{Impairment{10, 0}, Conditions{Loss: 0.02}, 93.2 - 95},
		{g711, Conditions{Loss: 0.1, BurstRatio: 2}, 93.2 - 950/(5+25.1)},
		{g711, Conditions{Loss: 0.1, BurstRatio: 0.2}, 93.2 - 950/35.1},
		{g711, Conditions{Loss: 7}, 93.2 - 9500/125.1},
		{g711, Conditions{Loss: -1, Delay: -time.Second}, 93.2},
	} {
		if got := c.impairment.R(c.conditions); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v %+v: %v, want %v", c.impairment, c.conditions, got, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	m := UnknownVoIPMetrics(1)
	m.Rate(CodecImpairment("PCMU"), Conditions{Delay: 400 * time.Millisecond, Loss: 0.05})
	// R is 93.2 - 15.78 - 34.10 = 43.3, without the delay 77.4.
	if m.RFactor != 43 || m.MOSCQ != 22 || m.MOSLQ != 39 {
		t.Errorf("R %d, MOS %d and %d", m.RFactor, m.MOSCQ, m.MOSLQ)
	}
	m.Rate(Impairment{}, Conditions{Delay: time.Hour})
	if m.RFactor != 0 || m.MOSCQ != 10 || m.MOSLQ != 44 {
		t.Errorf("R %d, MOS %d and %d", m.RFactor, m.MOSCQ, m.MOSLQ)
	}
}
