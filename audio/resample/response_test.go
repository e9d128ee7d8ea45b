package resample

import (
	"fmt"
	"math"
	"math/cmplx"
	"testing"
)

var usualRates = []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000}

// A response is the frequency response of a resampler, computed from the
// weights that it uses.
type response struct{ r *Resampler }

// at returns the gain, in dB, from any input component, image of one, or both,
// at hz to the output. Rates and images aside, both stages are plain filters
// whose taps are the rows of their banks, side by side.
func (p response) at(hz float64) float64 {
	first := float64(p.r.config.In)
	second := first * float64(p.r.first.den) / float64(p.r.first.num)
	return decibels(p.r.first.gain(hz/first) * p.r.second.gain(hz/second))
}

// gain returns the gain at f cycles per input sample.
func (st *stage) gain(f float64) float64 {
	rows := st.den
	if st.adjustable {
		rows = 1 << st.rowBits
	}
	var sum complex128
	turn := cmplx.Rect(1, -2*math.Pi*f)
	for r := range rows {
		at := cmplx.Rect(1, 2*math.Pi*f*(float64(r)/float64(rows)+float64(st.taps/2-1)))
		for _, w := range st.bank[r*st.taps : (r+1)*st.taps] {
			sum += at * complex(float64(w), 0)
			at *= turn
		}
	}
	if !st.adjustable {
		return cmplx.Abs(sum) / float64(rows)
	}
	// Interpolating between rows filters with a triangle.
	s := sinc(f / float64(rows))
	return cmplx.Abs(sum) / float64(rows) * s * s
}

// stopBands are the bounds of the package documentation.
var stopBands = [...]float64{Default: -80, High: -100}

func TestResponse(t *testing.T) {
	for quality, bound := range stopBands {
		for _, in := range usualRates {
			for _, out := range usualRates {
				checkResponse(t, Config{In: in, Out: out, Quality: Quality(quality)}, 0, bound)
			}
		}
		for _, pair := range [][2]int{{8000, 48000}, {48000, 8000}, {48000, 48000}, {44100, 48000}, {48000, 44100}, {96000, 8000}, {8000, 11025}} {
			c := Config{In: pair[0], Out: pair[1], Quality: Quality(quality)}
			checkResponse(t, c, 1000, bound)
		}
		for _, pair := range [][2]int{{8000, 47999}, {47999, 8000}, {1000, 384000}, {384000, 1000}} {
			c := Config{In: pair[0], Out: pair[1], Quality: Quality(quality)}
			checkResponse(t, c, 0, bound)
		}
	}
}

func checkResponse(t *testing.T, c Config, ppm, bound float64) {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.SetCorrection(ppm)
	nyquist := float64(min(c.In, c.Out)) / 2
	p := response{r}
	for i := range 46 {
		hz := 0.9 * nyquist * float64(i) / 45
		if g := p.at(hz); math.Abs(g) > 0.05 {
			t.Errorf("%+v, %g ppm: %.3f dB at %g of the band, want 0.05 or less", c, ppm, g, hz/nyquist)
			return
		}
	}
	// Images exist up to where the rows of the wide filter are samples.
	rows := r.wide.den
	if r.wide.adjustable {
		rows = 1 << r.wide.rowBits
	}
	limit := float64(rows*c.In) / 2
	if r.wide == r.second {
		limit *= 2
	}
	limit /= nyquist
	// The sharp filter's lobes are 1/48 apart.
	for x := 1.0; x < min(limit, 6); x += 1.0 / 150 {
		if g := p.at(x * nyquist); g > bound {
			t.Errorf("%+v, %g ppm: %.2f dB at %g of the band, want at most %g", c, ppm, g, x, bound)
			return
		}
	}
	// The wide filter has its largest lobes near multiples of its input rate.
	for x := 6.0; x < limit; x *= 1.05 {
		for _, d := range []float64{-1, -0.7, -0.2, 0.2, 0.7, 1} {
			at := 4*math.Round(x/4) + d
			if g := p.at(at * nyquist); at < limit && g > bound {
				t.Errorf("%+v, %g ppm: %.2f dB at %g of the band, want at most %g", c, ppm, g, at, bound)
				return
			}
		}
	}
}

// TestTones sends tones through whole resamplers, 16 bits in and out. What
// comes out besides the tone itself, all aliases and images and the rounding
// together, has to stay below -90 dB of full scale in High.
func TestTones(t *testing.T) {
	rest := [...]float64{Default: -79, High: -90}
	pairs := [][2]int{
		{48000, 8000},
		{8000, 48000},
		{16000, 48000},
		{48000, 16000},
		{8000, 16000},
		{44100, 48000},
		{48000, 44100},
		{8000, 11025},
		{11025, 8000},
		{22050, 24000},
		{96000, 12000},
		{32000, 96000},
		{16000, 16000},
		{8000, 8001},
	}
	for quality, bound := range rest {
		for _, pair := range pairs {
			for _, ppm := range []float64{0, 300, -5000} {
				c := Config{In: pair[0], Out: pair[1], Quality: Quality(quality)}
				t.Run(fmt.Sprintf("%d/%d-%d/%g", quality, c.In, c.Out, ppm), func(t *testing.T) {
					checkTones(t, c, ppm, bound)
				})
			}
		}
	}
}

func checkTones(t *testing.T, c Config, ppm, bound float64) {
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	r.SetCorrection(ppm)
	// A correction moves the bands along with the output rate.
	nyquist := min(float64(c.In), float64(c.Out)*(1+min(ppm, 0)/1e6)) / 2
	for _, x := range []float64{0.01, 0.1, 0.37, 0.63, 0.8, 0.9, 0.95, 0.99, 1.01, 1.05, 1.1, 1.3, 1.7, 2.3, 3.1, 5.3, 11.7} {
		hz := x * nyquist
		if hz > 0.999*float64(c.In)/2 {
			break
		}
		out := r.Append(nil, tone(c.In/4, hz, c.In, 0.99*fullScale))
		r.Reset()
		out = out[2*r.DelaySamples()+10:]
		if x > 1 {
			if _, all := fit(out, 0, c.Out); all > bound {
				t.Errorf("%g of the band: %.1f dB come out, want at most %g", x, all, bound)
			}
			continue
		}
		peak, rest := fit(out, hz/(1+ppm/1e6), c.Out)
		if rest > bound {
			t.Errorf("%g of the band: besides the tone %.1f dB come out, want at most %g", x, rest, bound)
		}
		if loss := decibels(0.99) - peak; x <= 0.9 && math.Abs(loss) > 0.05 {
			t.Errorf("%g of the band: %.3f dB are lost, want 0.05 or less", x, loss)
		}
	}
}
