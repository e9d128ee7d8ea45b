package netem

import "math/rand/v2"

// random is one stream of random numbers.
type random struct{ pcg rand.PCG }

// The streams of a seed.
const (
	lossStream = iota + 1
	jitterStream
	reorderStream
	duplicateStream
)

func newRandom(seed, stream uint64) random { return random{*rand.NewPCG(seed, stream)} }

// float returns a number above 0 and below 1.
func (r *random) float() float64 { return (float64(r.pcg.Uint64()>>12) + 0.5) / (1 << 52) }

// chance is true with probability p. It draws a number unless p is 0.
func (r *random) chance(p float64) bool { return p > 0 && r.float() < p }
