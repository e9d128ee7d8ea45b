package mix

import (
	"math"
	"testing"
)

// limited passes a tone of the given peak through a limiter in steps of 20 ms.
func limited(hz, peak float64, steps int) (in []int32, out []int16) {
	l := newLimiter(mono)
	const n = 320
	for k := range steps {
		x := make([]int32, n)
		for i := range x {
			x[i] = int32(math.Round(peak * math.Sin(2*math.Pi*hz*float64(k*n+i)/float64(mono.Rate))))
		}
		in = append(in, x...)
		out = l.append(out, x)
	}
	return in, out
}

func TestLimiterLeavesAlone(t *testing.T) {
	in, out := limited(440, 23190, 20)
	for i, v := range in {
		if int32(out[i]) != v {
			t.Fatalf("sample %d of a tone below -3 dB: %d became %d", i, v, out[i])
		}
	}
}

// TestLimiterDistortion: tones far above full scale come out as tones.
func TestLimiterDistortion(t *testing.T) {
	for _, hz := range []float64{100, 440, 1000, 3100} {
		for _, peak := range []float64{25000, 32767, 65534, 300000, 5e6} {
			_, out := limited(hz, peak, 100)
			out = out[16000:]
			tone := strength(out, hz, mono.Rate)
			if tone < -3.01 || tone > -0.99 {
				t.Errorf("%g Hz at %g: comes out at %.2f dB, want -3..-1", hz, peak, tone)
			}
			for k := 2.0; k*hz < 8000; k++ {
				if d := strength(out, k*hz, mono.Rate) - tone; d > -60 {
					t.Errorf("%g Hz at %g: harmonic %g at %.1f dB, want -60 or less", hz, peak, k, d)
				}
			}
		}
	}
}

// TestLimiterAttack: a sudden loud tone is neither flat at the top nor a click.
func TestLimiterAttack(t *testing.T) {
	l := newLimiter(mono)
	var out []int16
	for k := range 60 {
		x := make([]int32, 320)
		peak := 5000.0
		if k >= 10 && k < 30 {
			peak = 90000
		}
		for i := range x {
			x[i] = int32(peak * math.Sin(2*math.Pi*400*float64(k*320+i)/float64(mono.Rate)))
		}
		out = l.append(out, x)
	}
	flat := 0
	for i := 1; i < len(out); i++ {
		if out[i] == out[i-1] && (out[i] > 32000 || out[i] < -32000) {
			flat++
		}
	}
	if flat > 1 {
		t.Errorf("%d samples in a row at full scale", flat+1)
	}
	// A tone of 400 Hz at full scale has steps of 5147; the attack is steeper.
	checkSmooth(t, "attack", out, 1, 15000)
	if got := strength(out[40*320:], 400, mono.Rate); got < -17 {
		t.Errorf("half a second later the tone is at %.1f dB, want -16.3", got)
	}
	if got := out[59*320:]; strength(got, 400, mono.Rate) < -16.4 {
		t.Error("the gain does not come back")
	}
}

func TestBend(t *testing.T) {
	last := float64(bend(-200010))
	if last < -full {
		t.Errorf("%g is below full scale", last)
	}
	for v := -200000.0; v < 200000; v += 10 {
		b := float64(bend(float32(v)))
		if b < last || b-last > 11 {
			t.Fatalf("%g becomes %g after %g", v, b, last)
		}
		if math.Abs(v) <= ceiling && math.Abs(b-v) > 0.5 {
			t.Fatalf("%g becomes %g", v, b)
		}
		last = b
	}
	if bend(1e30) > full {
		t.Error("above full scale")
	}
}
