package audio_test

import (
	"math/big"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

func TestSamplesOfLongTimes(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("an int has no room for them")
	}
	for _, f := range []audio.Format{{Rate: 8000, Channels: 1}, {Rate: 44100, Channels: 2}, {Rate: 384000, Channels: 2}} {
		for _, d := range []time.Duration{0, 1, 20 * time.Millisecond, 70*time.Hour + time.Second/3, 1000 * time.Hour} {
			for _, d := range []time.Duration{d, -d} {
				exact := new(big.Rat).SetFrac(big.NewInt(int64(d)), big.NewInt(int64(time.Second)))
				exact.Mul(exact, big.NewRat(int64(f.Rate), 1))
				n := f.Samples(d)
				off := new(big.Rat).Sub(exact, big.NewRat(int64(n/f.Channels), 1))
				if n%f.Channels != 0 || off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
					t.Errorf("%v of %v are %d samples", d, f, n)
				}
			}
		}
	}
}
