//go:build !race

package stretch_test

import "testing"

// TestAllocations: nothing allocates. With the race detector a sync.Pool forgets at
// random.
func TestAllocations(t *testing.T) {
	in := spoken(t, 48000)[48000:]
	s := newStretcher(t, 48000, 1)
	pcm := make([]int16, s.Window())
	out := make([]int16, 0, 2*len(pcm))
	at := 0
	n := testing.AllocsPerRun(200, func() {
		copy(pcm, in[at:])
		at += len(pcm)
		out, _ = s.Expand(append(out[:0], pcm...), 0, len(pcm), len(pcm), at%2 == 0)
		s.Compress(pcm, len(pcm), at%2 == 0)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
