package resample

import (
	"math"
	"math/rand/v2"
)

// noise returns n samples of white noise up to the given peak.
func noise(n int, peak int) []int16 {
	random := rand.New(rand.NewPCG(1, 2))
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(random.IntN(2*peak+1) - peak)
	}
	return s
}

// tone returns n samples of a tone with the given peak.
func tone(n int, hz float64, rate int, peak float64) []int16 {
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(math.Round(peak * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return s
}

const fullScale = 32767

// fit finds the tone of the given frequency that is closest to s. It returns
// its peak and the RMS of what is left without it, both in dB of full scale (a
// tone with a peak of 32767 is 0 dB of either).
func fit(s []int16, hz float64, rate int) (peak, rest float64) {
	var ss, cc, sc, xs, xc float64
	for i, v := range s {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		x := float64(v)
		ss, cc, sc = ss+sin*sin, cc+cos*cos, sc+sin*cos
		xs, xc = xs+x*sin, xc+x*cos
	}
	det := ss*cc - sc*sc
	var a, b float64
	if det > 1e-6*ss*cc || det > 1 {
		a, b = (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	}
	power := 0.0
	for i, v := range s {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		d := float64(v) - a*sin - b*cos
		power += d * d
	}
	rms := math.Sqrt(2 * power / float64(len(s)))
	return decibels(math.Hypot(a, b) / fullScale), decibels(rms / fullScale)
}

func decibels(x float64) float64 { return 20 * math.Log10(max(x, 1e-12)) }
