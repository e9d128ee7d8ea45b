package resample

import "math"

// A shape describes the prototype of a filter independently of its rates: a
// sinc of the given cutoff under a Kaiser window. Lengths and frequencies refer
// to a sampling rate at which the filter has the given taps.
type shape struct {
	taps   int     // a multiple of 4
	cutoff float64 // -6 dB point, in cycles per sample
	beta   float64 // of the Kaiser window
}

// A design is the pair of filters of one quality. The numbers come from a
// search for the shortest windows that satisfy the bounds in the package
// documentation; the tests compute the responses and check them.
type design struct {
	sharp shape // at the lower rate
	wide  shape // at twice the lower rate
	steps int   // positions between two samples that the wide filter is tabulated for; a power of two
}

var designs = [...]design{
	Default: {
		sharp: shape{taps: 96, cutoff: 0.4725, beta: 7.9},
		wide:  shape{taps: 12, cutoff: 0.48, beta: 8.1},
		steps: 128,
	},
	High: {
		sharp: shape{taps: 120, cutoff: 0.4715, beta: 10.5},
		wide:  shape{taps: 16, cutoff: 0.48, beta: 11},
		steps: 512,
	},
}

// stretch returns the same filter for a rate that is higher by num/den.
func (s shape) stretch(num, den int) shape {
	taps := (s.taps*num + den - 1) / den
	return shape{
		taps:   max(4, (taps+3)&^3),
		cutoff: s.cutoff * float64(den) / float64(num),
		beta:   s.beta,
	}
}

// bank tabulates the filter at rows positions between two samples, and at the
// next sample if closed is true, so that a table can be interpolated. Each row
// holds s.taps weights for the window of samples from oldest to newest. The
// average of the sums of the rows is one; to make each of them one would cancel
// what the filter has yet to pass at its input rate, by spoiling all the rest.
func (s shape) bank(rows int, closed bool) []float32 {
	half := float64(s.taps) / 2
	weights := make([]float64, 0, (rows+1)*s.taps)
	sum := 0.0
	for r := range rows + 1 {
		if r == rows && !closed {
			break
		}
		for j := range s.taps {
			t := float64(r)/float64(rows) + half - 1 - float64(j)
			w := 0.0
			if x := t / half; x*x <= 1 {
				w = sinc(2*s.cutoff*t) * bessel(s.beta*math.Sqrt(1-x*x))
			}
			weights = append(weights, w)
			if r < rows {
				sum += w
			}
		}
	}
	bank := make([]float32, len(weights))
	for i, w := range weights {
		bank[i] = float32(w * float64(rows) / sum)
	}
	return bank
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel returns the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
