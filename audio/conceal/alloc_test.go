//go:build !race

package conceal_test

import "testing"

// TestAllocations: nothing allocates, not in a gap either. With the race detector a
// sync.Pool forgets at random.
func TestAllocations(t *testing.T) {
	for _, channels := range []int{1, 2} {
		c := newConcealer(t, 48000, channels)
		pcm := hiss(960*channels, 1000, 1)
		out := make([]int16, 0, 20000*channels)
		n := testing.AllocsPerRun(50, func() {
			c.Join(pcm)
			c.Media(pcm)
			out = c.Extend(out[:0], 960)
			out = c.Bridge(out, 960, pcm)
			c.Media(pcm)
			out = c.Bridge(out, 7000, pcm)
			out = c.Noise(out, 960)
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
