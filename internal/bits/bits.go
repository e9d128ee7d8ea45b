// Package bits reads numbers of any number of bits from the headers of coded video.
package bits

// A Reader reads Data, the high bits of each byte first. Past its end it reads zeros,
// and Short is set.
type Reader struct {
	Data  []byte
	Short bool

	at int
}

// Read returns the number that the next n bits are, 0 to 32.
func (r *Reader) Read(n int) (v uint32) {
	for range n {
		v <<= 1
		if i := r.at / 8; i < len(r.Data) {
			v |= uint32(r.Data[i]>>(7-r.at%8)) & 1
		} else {
			r.Short = true
		}
		r.at++
	}
	return v
}

// Golomb returns the next Exp-Golomb code, ue(v) (ITU-T H.264, 9.1). One of more
// than 32 zeros, which no stream has, sets Short and is 0.
func (r *Reader) Golomb() uint32 {
	zeros := 0
	for r.Read(1) == 0 {
		if zeros++; r.Short || zeros > 31 {
			r.Short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.Read(zeros)
}
