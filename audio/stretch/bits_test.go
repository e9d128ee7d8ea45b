//go:build amd64 && !amd64.v3

package stretch_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	"github.com/parley-media/parley/internal/speech"
)

// TestBits: what comes out is the same to the last bit whatever memory it is made in.
// Other processors may round sums of products in another way.
func TestBits(t *testing.T) {
	for _, c := range []struct {
		rate, channels int
		want           uint64
	}{
		{8000, 1, 0x34f85acba827731c},
		{8000, 2, 0x145f58aa8c5010fa},
		{11025, 1, 0xf70d063ee66a6376},
		{48000, 2, 0xdcaa617173aba38f},
	} {
		t.Run(fmt.Sprintf("%d_%d", c.rate, c.channels), func(t *testing.T) {
			t.Parallel()
			s := newStretcher(t, c.rate, c.channels)
			said := speech.PCM()
			var in []int16
			for i := range min(30*c.rate, len(said)*c.rate/speech.Rate) {
				at := i * speech.Rate / c.rate
				in = append(in, said[at])
				if c.channels == 2 {
					in = append(in, said[(at+80)%len(said)]/2)
				}
			}
			sum := fnv.New64a()
			for i, at := 0, 0; at+2*s.Window()*c.channels <= len(in); i++ {
				n := s.Window() * c.channels
				if i%5 == 0 {
					n += i % n / c.channels * c.channels
				}
				most, fast := s.Window()/(1+i%3), i%4 == 0
				out, inserted := s.Expand(slices.Clone(in[at:at+n]), 0, n, most, fast)
				rest, removed := s.Compress(slices.Clone(in[at:at+n]), most, !fast)
				binary.Write(sum, binary.LittleEndian, [][]int16{out, rest}[i%2])                //nolint:errcheck // a hash takes everything
				binary.Write(sum, binary.LittleEndian, []int64{int64(inserted), int64(removed)}) //nolint:errcheck // the same
				at += n / 2 / c.channels * c.channels
			}
			if got := sum.Sum64(); got != c.want {
				t.Errorf("%#x, want %#x", got, c.want)
			}
		})
	}
}
