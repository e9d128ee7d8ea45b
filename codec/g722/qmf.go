package g722

// The quadrature mirror filter of ITU-T G.722, clauses 3.1 and 4.4: 24 taps,
// symmetric, of which each of the two phases uses every other one. Both filters
// see a window of samples from the oldest to the newest.
const taps = 24

const (
	c0, c1, c2, c3, c4, c5   = 3, -11, -11, 53, 12, -156
	c6, c7, c8, c9, c10, c11 = 32, 362, -210, -805, 951, 3876
)

// filter returns the sums over the older and the newer sample of each pair.
func filter(x *[taps]int32) (older, newer int32) {
	older = c0*x[0] + c2*x[2] + c4*x[4] + c6*x[6] + c8*x[8] + c10*x[10] +
		c11*x[12] + c9*x[14] + c7*x[16] + c5*x[18] + c3*x[20] + c1*x[22]
	newer = c1*x[1] + c3*x[3] + c5*x[5] + c7*x[7] + c9*x[9] + c11*x[11] +
		c10*x[13] + c8*x[15] + c6*x[17] + c4*x[19] + c2*x[21] + c0*x[23]
	return older, newer
}
