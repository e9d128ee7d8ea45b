// Package bits reads numbers of any number of bits from the headers of coded video.
package bits

// A Reader reads Data, the high bits of each byte first. Past its end it reads zeros,
// and Short is set.
type Reader struct {
	Data    []byte
	Escaped bool // leave out emulation prevention bytes (ITU-T H.264, 7.3.1)
	Short   bool

	at int
}

// Read returns the number that the next n bits are, 0 to 32.
func (r *Reader) Read(n int) (v uint32) {
	for n > 0 {
		i, used := r.at/8, r.at%8
		if r.Escaped && used == 0 && i >= 2 && i < len(r.Data) && r.Data[i] == 3 && r.Data[i-1]|r.Data[i-2] == 0 {
			r.at += 8
			i++
		}
		var b byte
		if i < len(r.Data) {
			b = r.Data[i]
		} else {
			r.Short = true
		}
		take := min(n, 8-used)
		v = v<<take | uint32(b<<used>>(8-take))
		r.at += take
		n -= take
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
