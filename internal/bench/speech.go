package bench

import (
	"math"
	"math/rand/v2"
)

// speech returns two seconds of what keeps a codec as busy as speech does:
// harmonics of a gliding pitch and noise, rising and falling four times a
// second. It is the same in every run.
func speech(rate int) []int16 {
	r := rand.New(rand.NewPCG(20, 26))
	pcm := make([]int16, 2*rate)
	var phase float64
	for i := range pcm {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (120 + 30*math.Sin(2*math.Pi*t)) / float64(rate)
		v := r.NormFloat64() / 5
		for k := 1.0; k < 25; k++ { // up to 3.6 kHz
			v += math.Sin(k*phase) / k
		}
		level := math.Pow(10, -1.5+1.4*math.Sin(8*math.Pi*t))
		pcm[i] = int16(max(min(v*level*6000, math.MaxInt16), math.MinInt16))
	}
	return pcm
}
