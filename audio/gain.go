package audio

import "math"

// Amplify multiplies samples, in place, by a gain: 0.5 is 6 dB less. What gets too large
// is clipped.
func Amplify(samples []int16, gain float64) {
	for i, s := range samples {
		samples[i] = int16(max(min(math.Round(float64(s)*gain), math.MaxInt16), math.MinInt16))
	}
}
