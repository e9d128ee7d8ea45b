package resample

// stepGo and slideGo are the inner loops of all resampling. Each has a faster
// double for processors with vector instructions.

// stepGo sets each sample of dst to the product of a window of src and a row of
// bank. The first window begins at start with the given row; each further one
// is whole samples and part rows later.
func stepGo(dst, src, bank []float32, taps, start, row, rows, whole, part int) {
	for i := range dst {
		dst[i] = dot(src[start:start+taps], bank[row*taps:row*taps+taps])
		start += whole
		row += part
		if row >= rows {
			row -= rows
			start++
		}
	}
}

// slideGo does the same for positions between the 1<<rowBits rows of bank,
// which has one row more. Position and step have fixedBits binary places.
func slideGo(dst, src, bank []float32, taps int, pos, step uint64, rowBits uint) {
	for i := range dst {
		start := int(pos >> fixedBits)
		row := int(pos << (64 - fixedBits) >> (64 - rowBits))
		between := float32(uint32(pos<<(64-fixedBits)<<rowBits>>40)) * (1.0 / (1 << 24))
		window := src[start : start+taps]
		a := dot(window, bank[row*taps:row*taps+taps])
		b := dot(window, bank[row*taps+taps:row*taps+2*taps])
		dst[i] = a + between*(b-a)
		pos += step
	}
}

// dot returns the product of two vectors of one length, a multiple of four. Four
// sums keep the additions from waiting for each other.
func dot(x, w []float32) float32 {
	var a, b, c, d float32
	for len(x) >= 8 && len(w) >= 8 {
		p, q := (*[8]float32)(x), (*[8]float32)(w)
		a += p[0] * q[0]
		b += p[1] * q[1]
		c += p[2] * q[2]
		d += p[3] * q[3]
		a += p[4] * q[4]
		b += p[5] * q[5]
		c += p[6] * q[6]
		d += p[7] * q[7]
		x, w = x[8:], w[8:]
	}
	if len(x) >= 4 && len(w) >= 4 {
		p, q := (*[4]float32)(x), (*[4]float32)(w)
		a += p[0] * q[0]
		b += p[1] * q[1]
		c += p[2] * q[2]
		d += p[3] * q[3]
	}
	return (a + b) + (c + d)
}

// widenGo converts src to float32.
func widenGo(dst []float32, src []int16) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// narrowGo rounds src to the nearest integers, halves to even, and saturates.
func narrowGo(dst []int16, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		// A number of this size has no binary places left: the addition rounds.
		const shift = 3 << 22
		v = min(max(v, -32768), 32767)
		dst[i] = int16(int32(v+shift) - shift)
	}
}
