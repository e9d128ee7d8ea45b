package metric_test

import (
	"math"
	"testing"

	"github.com/parley-media/parley/internal/metric"
)

func tone(n int, hz, amplitude float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(i)/8000)))
	}
	return pcm
}

// TestCompare: values that can be told without measuring.
func TestCompare(t *testing.T) {
	sent := tone(8000, 300, 8000)
	gaps := []metric.Gap{{Heard: 1600, Sent: 1600, N: 160}, {Heard: 4000, Sent: 4000, N: 320}}
	fill := func(f func(i int, v int16) int16) []int16 {
		heard := append([]int16(nil), sent...)
		for _, g := range gaps {
			for i := range g.N {
				heard[g.Heard+i] = f(i, sent[g.Sent+i])
			}
		}
		return heard
	}
	for _, test := range []struct {
		name                 string
		heard                []int16
		snr, distance, click float64
	}{
		{"the same", sent, 35, 0, 0},
		{"silence", fill(func(int, int16) int16 { return 0 }), 0, 6.99, 0},
		{"half as loud", fill(func(_ int, v int16) int16 { return v / 2 }), 6.02, 1.17, 0},
		{"the other way round and thrice as loud", fill(func(_ int, v int16) int16 { return -3 * v }), -10, 1.85, 0},
		{"the other way round", fill(func(_ int, v int16) int16 { return -v }), -6.02, 0, 0},
		{"with steps at both ends", fill(func(_ int, v int16) int16 { return v + 8000 }), -3.01, 4.47, 100},
	} {
		s := metric.Compare(sent, test.heard, 8000, gaps)
		t.Logf("%s: %+v", test.name, s)
		if math.Abs(s.SegSNR-test.snr) > 0.05*math.Abs(test.snr)+0.05 || math.Abs(s.LSD-test.distance) > 0.05*test.distance+0.05 || s.Clicks != test.click || s.Gaps != 2 {
			t.Errorf("%s: %+v, want %v dB, %v dB, %v %%", test.name, s, test.snr, test.distance, test.click)
		}
	}
	if s := metric.Compare(make([]int16, 8000), sent, 8000, gaps); s.SegSNR != 0 || s.LSD != 0 {
		t.Errorf("nothing was active: %+v", s)
	}
}
