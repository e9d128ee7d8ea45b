package resample

import (
	"fmt"
	"testing"
)

// The three conversions of a call: from and to a telephone codec, and from a
// wideband one to Opus.
var benchPairs = [][2]int{{48000, 8000}, {8000, 48000}, {16000, 48000}, {48000, 16000}, {44100, 48000}, {48000, 44100}}

func BenchmarkAppend(b *testing.B) {
	for _, quality := range []Quality{Default, High} {
		for _, pair := range benchPairs {
			for _, ppm := range []float64{0, 100} {
				b.Run(fmt.Sprintf("quality=%d/%d-%d/ppm=%g", quality, pair[0], pair[1], ppm), func(b *testing.B) {
					r, err := New(Config{In: pair[0], Out: pair[1], Quality: quality})
					if err != nil {
						b.Fatal(err)
					}
					r.SetCorrection(ppm)
					in := noise(pair[0]/50, 10000)
					out := make([]int16, 0, 2000)
					b.ReportAllocs()
					for b.Loop() {
						out = r.Append(out[:0], in)
					}
				})
			}
		}
	}
}
