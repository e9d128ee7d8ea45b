package g711

import "math/bits"

// The code tables are indexed by the bits of a sample that its law uses, in
// two's complement, so that coding is a shift and a load: 16 KiB and 4 KiB, of
// which speech touches the two ends.
var (
	muLawCodes   = makeMuLawCodes()
	aLawCodes    = makeALawCodes()
	muLawSamples = makeMuLawSamples()
	aLawSamples  = makeALawSamples()
)

// muLawBias moves the ends of the mu-law segments to powers of two
// (G.711, table 2a: 31, 95, 223, ... 8159).
const muLawBias = 33

func makeMuLawCodes() (codes [1 << 14]uint8) {
	for v := range 1 << 13 {
		m := uint(min(v+muLawBias, 1<<13-1)) // 6 to 13 bits
		segment := bits.Len(m) - 6
		step := m >> (segment + 1) & 0xF
		code := ^uint8(uint(segment)<<4 | step)
		codes[v] = code
		codes[1<<14-1-v] = code &^ 0x80
	}
	return codes
}

// A-law's two lowest segments have the same step and so act as one of 32 steps.
func makeALawCodes() (codes [1 << 12]uint8) {
	for v := range uint(1 << 11) {
		code := v
		if v >= 32 {
			segment := bits.Len(v) - 4
			code = uint(segment)<<4 | v>>(segment-1)&0xF
		}
		codes[v] = (uint8(code) | 0x80) ^ 0x55
		codes[1<<12-1-v] = uint8(code) ^ 0x55
	}
	return codes
}

// A code decodes to the middle of its interval.
func makeMuLawSamples() (samples [256]int16) {
	for i := range 128 {
		segment, step := i>>4, i&0xF
		v := (2*step+muLawBias)<<segment - muLawBias
		samples[0xFF-i] = int16(v << 2)
		samples[0x7F-i] = int16(-v << 2)
	}
	return samples
}

func makeALawSamples() (samples [256]int16) {
	for i := range 128 {
		segment, step := i>>4, i&0xF
		v := 2*step + 1
		if segment > 0 {
			v = (v + 32) << (segment - 1)
		}
		samples[(i|0x80)^0x55] = int16(v << 3)
		samples[i^0x55] = int16(-v << 3)
	}
	return samples
}
