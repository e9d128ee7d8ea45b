//go:build !purego

package resample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestVectorsEqualGo compares the assembly with the Go code that it stands for.
func TestVectorsEqualGo(t *testing.T) {
	if !vectors {
		t.Skip("this processor has no AVX2")
	}
	random := rand.New(rand.NewPCG(3, 4))
	floats := func(n int, scale float32) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = (random.Float32()*2 - 1) * scale
		}
		return s
	}
	// The sums are some 100 000, of which single bits are worth 0.01.
	near := func(a, b []float32) bool {
		return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Abs(float64(a-b)) < 0.5 })
	}
	for taps := 4; taps <= 172; taps += 4 {
		const n, rows, rowBits = 37, 8, 3
		src := floats(6*n+taps, 32768)
		bank := floats((rows+1)*taps, 1)
		got, want := make([]float32, n), make([]float32, n)
		for whole := range 5 {
			for part := range rows {
				start, row := random.IntN(3), random.IntN(rows)
				step(got, src, bank[:rows*taps], taps, start, row, rows, whole, part)
				stepGo(want, src, bank[:rows*taps], taps, start, row, rows, whole, part)
				if !near(got, want) {
					t.Fatalf("step with %d taps, %d+%d/%d: %v, want %v", taps, whole, part, rows, got, want)
				}
			}
			pos := random.Uint64N(3 << fixedBits)
			by := uint64(whole)<<fixedBits + random.Uint64N(1<<fixedBits)
			slide(got, src, bank, taps, pos, by, rowBits)
			slideGo(want, src, bank, taps, pos, by, rowBits)
			if !near(got, want) {
				t.Fatalf("slide with %d taps by %#x: %v, want %v", taps, by, got, want)
			}
		}
	}
	for n := range 40 {
		src := floats(n, 40000)
		got, want := make([]int16, n), make([]int16, n)
		narrow(got, src)
		narrowGo(want, src)
		if !slices.Equal(got, want) {
			t.Fatalf("narrow: %v, want %v", got, want)
		}
		back, wantBack := make([]float32, n), make([]float32, n)
		widen(back, got)
		widenGo(wantBack, got)
		if !slices.Equal(back, wantBack) {
			t.Fatalf("widen: %v, want %v", back, wantBack)
		}
	}
}
