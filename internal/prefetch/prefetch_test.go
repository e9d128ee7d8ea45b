package prefetch

import "testing"

// Nothing may change, fault or allocate, whatever is asked for.
func TestEveryShape(t *testing.T) {
	type state struct {
		a [3]int64
		p *state
		b [1000]byte
	}
	s := &state{p: &state{}}
	s.b[999] = 7
	samples := make([]int16, 160)
	n := testing.AllocsPerRun(100, func() {
		Value(s)
		Value(s.p.p)
		Value(&s.b[63])
		Until(s, &s.b)
		Until(s, &s.a)
		Slice(samples)
		Slice(samples[159:])
		Slice(samples[:0])
		Slice[string](nil)
		Value(&struct{}{})
	})
	if n != 0 || s.b[999] != 7 {
		t.Errorf("%v allocations, last byte %d", n, s.b[999])
	}
}
