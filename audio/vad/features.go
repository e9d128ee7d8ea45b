package vad

import (
	"math"

	"github.com/parley-media/parley/audio"
)

// bandEdges are the critical bands in Hz that speech and noise are compared in.
var bandEdges = [...]float64{100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700}

const bands = len(bandEdges) - 1

const (
	// The noise is the least of the smoothed power in each bin over 1.6 s, in
	// which speech has left every bin at least once. (Minimum statistics; the
	// mean of noise is so much above its minimum.)
	partHops  = 20 // 200 ms
	parts     = 8
	smoothing = 0.8
	bias      = 2.6

	// silentParts is how long a stream's noise is unknown, and its past counts
	// as silent.
	silentParts = 3

	// silence is the power of a band, -85 dBov, below which nothing matters.
	silence = 3e-9

	// near in dB is how far below the loudest band others have a say in change.
	near = 22

	// weak is what, relative to the strongest part of the spectrum, is too weak
	// to be made as flat.
	weak = 0.003

	pitchLow, pitchHigh = 75.0, 400.0 // Hz
)

// features are what a spectrum says of its 10 ms.
type features struct {
	level  float64 // dBov of what is above the noise, in the bands together
	snr    float64 // mean over the bands of the dB above the noise, 0 to 20 in each
	voiced float64 // how periodic: 1 is a pulse train
	peaky  float64 // 0 to 1: how much is in the two strongest lines
	change float64 // mean over the bands above the noise of the dB from 20 or 40 ms before, the lesser
	colour float64 // of the change, what is not alike in all bands: 0 for what is only louder or softer
	wide   int     // bands above the noise, and not far below the strongest
}

// An extractor computes features and follows the noise.
type extractor struct {
	*analysis
	edges [bands + 1]int // in bins

	smooth  []float32 // power, smoothed
	noise   []float32
	minima  [parts][]float32 // the least of smooth in the last parts
	hops    int              // of the current part
	started bool
	hold    int // hops until the window has nothing but noise
	part    int // the current one, counted from the start of the stream

	lags  [4][bands]float64 // band levels in dB, 10 to 40 ms ago
	above []float32         // the part of power that is above the noise
	corr  []complex64
	gains []float32 // what corr loses at each lag by the shape of the window
}

func newExtractor(f audio.Format) *extractor {
	a := newAnalysis(f)
	e := &extractor{analysis: a, hold: windowHops - 1} // the window begins with zeros
	bin := 2 * float64(a.fft.n) / a.rate
	for i, hz := range bandEdges {
		e.edges[i] = int(math.Round(hz * bin))
	}
	n := len(a.power)
	e.smooth, e.noise, e.above = make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range e.minima {
		e.minima[i] = make([]float32, n)
	}
	e.corr = make([]complex64, a.fft.n)
	e.gains = make([]float32, int(a.rate/pitchLow)+1)
	for lag := range e.gains {
		// The autocorrelation of a Hann window.
		x := float64(lag) / float64(len(a.window))
		e.gains[lag] = float32((1-x)*(2+math.Cos(2*math.Pi*x))/3 + math.Sin(2*math.Pi*x)/(2*math.Pi))
	}
	return e
}

func dB(x float32) float64 { return 10 * math.Log10(max(float64(x), 1e-12)) }

// follow updates the noise with power.
func (e *extractor) follow() {
	// Digital silence is no noise: it stands where nothing was received. It
	// must have left the window.
	if e.silent {
		e.hold = windowHops + 1
	}
	if e.hold > 0 {
		e.hold--
		return
	}
	current := e.minima[e.part%parts]
	for k, p := range e.power {
		s := e.smooth[k]
		if e.started {
			p = s + (1-smoothing)*(p-s)
		}
		e.smooth[k] = p
		if e.hops == 0 || p < current[k] {
			current[k] = p
		}
	}
	e.started = true
	if e.hops++; e.hops < partHops {
		return
	}
	e.hops = 0
	e.part++
	if e.part < silentParts {
		return
	}
	for k := range e.noise {
		least := current[k]
		for _, m := range e.minima[:min(e.part, parts)] {
			least = min(least, m[k])
		}
		e.noise[k] = least * bias
	}
}

// next returns the features of the last window.
func (e *extractor) next() features {
	e.analysis.spectrum()
	var (
		f            features
		levels, snrs [bands]float64
		total        float32
		weights      float64
		moved        [2][bands]float64 // dB from 20 and 40 ms before
		ws           [bands]float64
	)
	loudest := math.Inf(-1)
	for b := range bands {
		var p, n float32
		for k := e.edges[b]; k < e.edges[b+1]; k++ {
			p += e.power[k]
			n += e.noise[k]
		}
		levels[b] = dB(p + silence)
		snrs[b] = levels[b] - dB(n+silence)
		loudest = max(loudest, levels[b])
		f.snr += max(0, min(snrs[b], 20)) / float64(bands)
		total += max(p-n, 0)
	}
	for b := range bands {
		// Noise changes, too, in bands where it is not far below the sound or not
		// yet known; it must not make steady sounds seem to.
		ws[b] = max(0, min(snrs[b], levels[b]-loudest+near)-6)
		weights += ws[b]
		moved[0][b], moved[1][b] = levels[b]-e.lags[1][b], levels[b]-e.lags[3][b]
		if snrs[b] > 6 && levels[b] > loudest-40 {
			f.wide++
		}
	}
	f.level = dB(total)
	if weights > 0 {
		f.change, f.colour = math.Inf(1), math.Inf(1)
		for i := range moved {
			f.change = min(f.change, deviation(&moved[i], &ws, weights, 0))
			mean := 0.0
			for b, d := range moved[i] {
				mean += ws[b] * d / weights
			}
			f.colour = min(f.colour, deviation(&moved[i], &ws, weights, mean))
		}
	}
	copy(e.lags[1:], e.lags[:])
	e.lags[0] = levels
	if f.snr > 1 {
		e.harmonics(&f)
	}
	e.follow()
	return f
}

// deviation returns the weighted mean of how far x is from a value.
func deviation(x, weights *[bands]float64, sum, from float64) float64 {
	d := 0.0
	for b, v := range x {
		d += weights[b] * math.Abs(v-from)
	}
	return d / sum
}

// harmonics sets what tells a voice from noise and from tones.
func (e *extractor) harmonics(f *features) {
	low, high := e.edges[0], e.edges[bands]
	clear(e.above)
	// Weighted with the square of the frequency, speech is about even.
	weighted := func(k int) float32 { return e.above[k] * float32(k*k) }
	var sum, most float32
	first := low
	for k := low; k < high; k++ {
		e.above[k] = max(e.power[k]-2*e.noise[k], 0)
		w := weighted(k)
		sum += w
		if w > most {
			first, most = k, w
		}
	}
	if sum == 0 {
		return
	}
	// A line of the spectrum is as wide as the main lobe of the window.
	lobe := 5 * e.fft.n / len(e.window)
	line := func(at int) float32 {
		var w float32
		for k := max(at-lobe, low); k < min(at+lobe+1, high); k++ {
			w += weighted(k)
		}
		return w
	}
	strongest := most
	second := -1
	most = 0
	for k := low; k < high; k++ {
		if w := weighted(k); w > most && (k < first-2*lobe || k > first+2*lobe) {
			second, most = k, w
		}
	}
	lines := line(first)
	if second >= 0 {
		lines += line(second)
	}
	f.peaky = float64(lines / sum)
	f.voiced = e.periodicity(strongest * weak)
}

// periodicity returns the largest autocorrelation at the lag of a pitch, of the
// spectrum made flat: formants and coloured noise have no say in it. What is far
// below least, in the weighting of harmonics, stays as weak as it is.
func (e *extractor) periodicity(least float32) float64 {
	low, high := e.edges[0], e.edges[bands]
	bin := 2 * float64(e.fft.n) / e.rate
	reach := int(200 * bin)
	clear(e.corr)
	var sum, total, whole float32
	from, to := low, low
	for k := low; k < high; k++ {
		for ; to < min(k+reach+1, high); to++ {
			sum += e.power[to]
		}
		for ; from < k-reach; from++ {
			sum -= e.power[from]
		}
		mean := sum/float32(to-from) + silence/20 + least/float32(k*k)
		v := min(e.above[k]/mean, 4)
		total += v
		whole += min(e.power[k]/mean, 4)
		// A spectrum is even, and so is the real sequence that it is here.
		e.put(k, v)
		e.put(2*e.fft.n-k, v)
	}
	if total == 0 {
		return 0
	}
	e.fft.transform(e.corr)
	best := float32(0)
	for lag := int(e.rate / pitchHigh); lag < len(e.gains); lag++ {
		best = max(best, real(e.fft.bin(e.corr, lag))/e.gains[lag])
	}
	return float64(best) / (2 * float64(total) * math.Pow(float64(whole/total), 0.25))
}

// put sets element i of the real sequence that corr is in pairs.
func (e *extractor) put(i int, v float32) {
	if i%2 == 0 {
		e.corr[i/2] += complex(v, 0)
	} else {
		e.corr[i/2] += complex(0, v)
	}
}
