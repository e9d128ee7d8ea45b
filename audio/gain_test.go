package audio_test

import (
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
)

func TestAmplify(t *testing.T) {
	for gain, want := range map[float64][]int16{
		0.5: {0, 1, -1, 50, -16384},
		1:   {0, 1, -2, 100, -32768},
		400: {0, 400, -800, 32767, -32768},
		-1:  {0, -1, 2, -100, 32767},
	} {
		samples := []int16{0, 1, -2, 100, -32768}
		if audio.Amplify(samples, gain); !slices.Equal(samples, want) {
			t.Errorf("by %v: %v, want %v", gain, samples, want)
		}
	}
}
