package vad

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/audio"
)

func TestFFT(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := 4; n <= 1024; n *= 2 {
		real := make([]float64, 2*n)
		x := make([]complex64, n)
		for i := range x {
			real[2*i], real[2*i+1] = r.NormFloat64(), r.NormFloat64()
			x[i] = complex(float32(real[2*i]), float32(real[2*i+1]))
		}
		f := newFFT(n)
		f.transform(x)
		for k := 0; k <= n; k += 1 + n/16 {
			var want complex128
			for i, v := range real {
				want += complex(v, 0) * cmplx.Rect(1, -math.Pi*float64(i*k%(2*n))/float64(n))
			}
			if got := complex128(f.bin(x, k)); cmplx.Abs(got-want) > 1e-5*float64(n) {
				t.Fatalf("size %d: bin %d is %v, want %v", 2*n, k, got, want)
			}
		}
	}
}

// spectrum returns the power of a sine of full scale, in all and near its
// frequency.
func spectrum(rate int, hz float64) (all, near float64) {
	e := newExtractor(audio.Format{Rate: rate, Channels: 1})
	for i, n := 0, 0; n < 20; i++ {
		if e.push(float32(32768 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))) {
			e.spectrum()
			n++
		}
	}
	for k, p := range e.power {
		all += float64(p)
		if math.Abs(float64(k)*e.rate/float64(2*e.fft.n)-hz) < 60 {
			near += float64(p)
		}
	}
	return all, near
}

func TestSpectrum(t *testing.T) {
	for _, rate := range []int{8000, 11025, 12000, 15999, 16000, 22050, 32000, 44100, 48000, 96000} {
		for _, hz := range []float64{150, 440, 1000, 3000} {
			all, near := spectrum(rate, hz)
			if got := 10 * math.Log10(all); math.Abs(got+3.01) > 0.5 {
				t.Errorf("%d Hz: a sine of %g Hz has %.2f dBov, want -3.01", rate, hz, got)
			}
			if near < 0.99*all {
				t.Errorf("%d Hz: %.3f of a sine of %g Hz is where it should be", rate, near/all, hz)
			}
		}
		for hz := 5000.0; hz < float64(rate)/2; hz += 777 {
			if rate%8000 != 0 {
				break // more than 4 kHz passes
			}
			if all, _ := spectrum(rate, hz); 10*math.Log10(all) > -43 {
				t.Errorf("%d Hz: a sine of %g Hz folds back with %.1f dBov", rate, hz, 10*math.Log10(all))
			}
		}
	}
}
