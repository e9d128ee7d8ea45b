package vad

import (
	"math"
	"math/bits"

	"github.com/parley-media/parley/audio"
)

// analysis turns audio into power spectra of 40 ms, every 10 ms, in what a
// telephone carries: the signal is first brought to 8 kHz, or to as little more
// as dividing its rate by a whole number allows.
type analysis struct {
	rate   float64 // after decimation
	factor int     // of decimation
	hop    int     // in samples after decimation

	taps    []float32 // of the decimating filter
	history []float32 // the last len(taps) samples, mono, twice over: a window of it is one piece
	at      int       // next place in history
	phase   int       // samples until the next one is kept

	recent []float32 // the last samples after decimation: a window's worth
	fresh  int       // of them, since the last spectrum
	silent bool      // these are all zero
	window []float32

	power []float32 // the spectrum: len(x)+1 bins up to half the rate, whose sum is the mean square, 1 at full scale
	x     []complex64
	fft   *fft
}

const windowHops = 4

func newAnalysis(f audio.Format) *analysis {
	a := &analysis{factor: max(f.Rate/8000, 1)}
	a.rate = float64(f.Rate) / float64(a.factor)
	a.hop = int(math.Round(a.rate / 100))
	if a.factor > 1 {
		a.taps = lowPass(a.factor)
		a.history = make([]float32, 2*len(a.taps))
	}
	n := windowHops * a.hop
	a.recent = make([]float32, n)
	a.window = make([]float32, n)
	sum := 0.0
	for i := range a.window {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n))
		a.window[i] = float32(w)
		sum += w * w
	}
	// Room for the window and for the longest pitch lag, so that the
	// autocorrelation does not wrap.
	size := 1 << bits.Len(uint(n+n/4))
	scale := 1 / (32768 * math.Sqrt(sum*float64(size)/2))
	for i := range a.window {
		a.window[i] *= float32(scale)
	}
	a.fft = newFFT(size / 2)
	a.x = make([]complex64, size/2)
	a.power = make([]float32, size/2+1)
	return a
}

// lowPass returns a filter for decimation by factor: a windowed sinc that passes
// 80 % of the new band.
func lowPass(factor int) []float32 {
	n := 16*factor + 1
	h := make([]float64, n)
	sum := 0.0
	for i := range h {
		t := float64(i - n/2)
		cut := 0.9 / float64(factor) // of half the old rate
		h[i] = cut
		if t != 0 {
			h[i] = math.Sin(math.Pi*cut*t) / (math.Pi * t)
		}
		h[i] *= 0.54 + 0.46*math.Cos(2*math.Pi*t/float64(n))
		sum += h[i]
	}
	taps := make([]float32, n)
	for i := range taps {
		taps[i] = float32(h[i] / sum)
	}
	return taps
}

// push takes a sample and reports whether it completes a hop.
func (a *analysis) push(s float32) bool {
	if a.factor > 1 {
		n := len(a.taps)
		a.history[a.at], a.history[a.at+n] = s, s
		if a.at++; a.at == n {
			a.at = 0
		}
		if a.phase++; a.phase < a.factor {
			return false
		}
		a.phase = 0
		s = dot(a.taps, a.history[a.at:a.at+n])
	}
	a.silent = s == 0 && (a.silent || a.fresh == 0)
	a.recent[len(a.recent)-a.hop+a.fresh] = s
	if a.fresh++; a.fresh < a.hop {
		return false
	}
	a.fresh = 0
	return true
}

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var sum float32
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// spectrum computes power from the last window, and makes room for the next hop.
func (a *analysis) spectrum() {
	clear(a.x)
	mean := float32(0)
	for _, s := range a.recent {
		mean += s
	}
	mean /= float32(len(a.recent))
	for i := 0; i+1 < len(a.recent); i += 2 {
		a.x[i/2] = complex((a.recent[i]-mean)*a.window[i], (a.recent[i+1]-mean)*a.window[i+1])
	}
	copy(a.recent, a.recent[a.hop:])
	a.fft.power(a.power, a.x)
}

// An fft transforms a real sequence as a complex one of half the length.
type fft struct {
	n       int         // complex length, a power of two
	twiddle []complex64 // exp(-2πi k/2n), k < n
	reverse []uint16
}

func newFFT(n int) *fft {
	f := &fft{n: n, twiddle: make([]complex64, n), reverse: make([]uint16, n)}
	shift := 16 - bits.Len(uint(n-1))
	for k := range f.twiddle {
		sin, cos := math.Sincos(-math.Pi * float64(k) / float64(n))
		f.twiddle[k] = complex(float32(cos), float32(sin))
		f.reverse[k] = bits.Reverse16(uint16(k)) >> shift
	}
	return f
}

// transform replaces x, whose elements are pairs of the real sequence, by the
// spectrum of x as a complex sequence.
func (f *fft) transform(x []complex64) {
	for i, r := range f.reverse {
		if j := int(r); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for half := 1; half < f.n; half *= 2 {
		step := f.n / half // of twiddle, which is for 2n
		for start := 0; start < f.n; start += 2 * half {
			low, high := x[start:start+half], x[start+half:start+2*half]
			for k, w := 0, 0; k < half; k, w = k+1, w+step {
				t := high[k] * f.twiddle[w]
				low[k], high[k] = low[k]+t, low[k]-t
			}
		}
	}
}

// bin returns element k of the spectrum of the real sequence from that of x.
func (f *fft) bin(x []complex64, k int) complex64 {
	a, b := x[k&(f.n-1)], x[(f.n-k)&(f.n-1)]
	b = complex(real(b), -imag(b))
	even, odd := (a+b)*0.5, (a-b)*complex(0, -0.5)
	if k == f.n {
		return even - odd
	}
	return even + odd*f.twiddle[k]
}

// power sets p[k] to the squared magnitude of bin k; the two ends count half, as
// they stand for one bin of the full spectrum and the others for two.
func (f *fft) power(p []float32, x []complex64) {
	f.transform(x)
	for k := range p {
		v := f.bin(x, k)
		p[k] = real(v)*real(v) + imag(v)*imag(v)
	}
	p[0] /= 2
	p[f.n] /= 2
}
