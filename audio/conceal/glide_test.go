package conceal_test

import (
	"math"
	"testing"
)

// glide returns a voice of ten harmonics, whose pitch begins at hz and rises by a
// factor of e in 1/slope seconds.
func glide(rate, n int, hz, slope float64) []int16 {
	pcm := make([]int16, n)
	phase := 0.
	for i := range pcm {
		var v float64
		for k := 1.; k <= 10; k++ {
			v += math.Sin(k*phase) / k
		}
		pcm[i] = int16(math.Round(5000 * v))
		at := float64(i) / float64(rate)
		phase += 2 * math.Pi * hz * math.Exp(slope*at) / float64(rate)
	}
	return pcm
}

func snr(want, got []int16) float64 {
	var signal, noise float64
	for i, v := range want {
		d := float64(v) - float64(got[i])
		signal += float64(v) * float64(v)
		noise += d * d
	}
	return 10 * math.Log10(signal/math.Max(noise, 1e-9))
}

// TestGlide: the pitch of a voice goes on as it went, and through a gap it goes
// from what it was to what it is after it.
func TestGlide(t *testing.T) {
	const enough = 14 // dB
	for _, rate := range rates {
		for _, hz := range []float64{110, 160, 220} {
			for _, slope := range []float64{-1, 0, 1} {
				pcm := glide(rate, rate/2, hz, slope)
				from := rate / 5
				for _, ms := range []int{20, 40, 60} {
					c := newConcealer(t, rate, 1)
					c.Media(pcm[:from])
					n := rate * ms / 1000
					out := c.Bridge(nil, n, pcm[from+n:][:rate/50])
					if got := snr(pcm[from:][:n], out); got < enough {
						t.Errorf("%d Hz: a bridge of %d ms over a voice of %v Hz that glides by %v has an SNR of %.1f dB", rate, ms, hz, slope, got)
					}
				}
				c := newConcealer(t, rate, 1)
				c.Media(pcm[:from])
				n := rate / 100
				if got := snr(pcm[from:][:n], c.Extend(nil, n)); got < enough {
					t.Errorf("%d Hz: an extension of a voice of %v Hz that glides by %v has an SNR of %.1f dB", rate, hz, slope, got)
				}
			}
		}
	}
}
