package vad_test

import (
	"math"
	"math/rand/v2"

	"github.com/parley-media/parley/audio"
)

// Formants of vowels in Hz.
var vowels = map[byte][3]float64{
	'a': {730, 1090, 2440}, 'e': {530, 1840, 2480}, 'i': {270, 2290, 3010}, 'o': {570, 840, 2410}, 'u': {300, 870, 2240},
}

// speak makes a word of vowels, 160 ms each: pulses of a gliding pitch through
// resonators that glide from one vowel to the next, louder and softer by
// syllables. Its peak is near level, 1 being full scale.
func speak(rate int, word string, pitch, level float64) []float64 {
	n := rate * 160 / 1000
	out := make([]float64, n*len(word))
	r := rand.New(rand.NewPCG(uint64(len(word)), uint64(pitch)))
	var (
		phase, tilt float64
		state       [3][2]float64
		formants    = vowels[word[0]]
	)
	peak := 0.0
	for i := range out {
		at := float64(i) / float64(len(out))
		syllable := float64(i%n) / float64(n)
		phase += pitch * (1.15 - 0.3*at + 0.06*math.Sin(2*math.Pi*syllable)) / float64(rate)
		pulse := 0.01 * r.NormFloat64()
		if phase >= 1 {
			phase += 0.01*r.NormFloat64() - 1
			pulse++
		}
		tilt = tilt*math.Exp(-2*math.Pi*200/float64(rate)) + pulse
		x := tilt
		for f, target := range vowels[word[i/n]] {
			formants[f] += (target - formants[f]) * 1000 / 30 / float64(rate)
			radius := math.Exp(-math.Pi * 80 / float64(rate))
			angle := 2 * math.Pi * formants[f] / float64(rate)
			y := x*(1-radius) + 2*radius*math.Cos(angle)*state[f][0] - radius*radius*state[f][1]
			state[f][1], state[f][0] = state[f][0], y
			x = y
		}
		out[i] = x * (0.4 + 0.6*math.Pow(math.Sin(math.Pi*syllable), 2))
		// The word begins and ends in 20 ms.
		edge := float64(min(i, len(out)-1-i)) / (0.02 * float64(rate))
		out[i] *= min(1, edge)
		peak = max(peak, math.Abs(out[i]))
	}
	for i := range out {
		out[i] *= level / peak
	}
	return out
}

// noise is white noise through a pole, with the given root mean square.
func noise(n int, rms, pole float64, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	s := 0.0
	for i := range out {
		s = pole*s + math.Sqrt(1-pole*pole)*r.NormFloat64()
		out[i] = s * rms
	}
	return out
}

// hum is a fundamental with harmonics that fall with their number to the power
// of tilt.
func hum(rate, n int, fundamental, tilt, level float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		for h := 1.0; h < 30 && h*fundamental < 3900; h++ {
			out[i] += level * math.Pow(h, -tilt) * math.Sin(2*math.Pi*h*fundamental*float64(i)/float64(rate)+h*h)
		}
	}
	return out
}

// timeline is silence.
func timeline(rate int, seconds float64) []float64 {
	return make([]float64, int(seconds*float64(rate)))
}

// add puts x into signal from a time on.
func add(signal, x []float64, rate int, at float64) []float64 {
	from := int(at * float64(rate))
	for i := range min(len(x), len(signal)-from) {
		signal[from+i] += x[i]
	}
	return signal
}

// pcm returns a signal in 16 bits, in all channels alike.
func pcm(x []float64, channels int) []int16 {
	out := make([]int16, 0, len(x)*channels)
	for _, v := range x {
		s := int16(max(-32767, min(32767, math.Round(v*32767))))
		for range channels {
			out = append(out, s)
		}
	}
	return out
}

func mono(rate int) audio.Format { return audio.Format{Rate: rate, Channels: 1} }
