package g722

import "math"

const (
	maxLowLog  = 18432 // limits of the logarithmic scale factors NBL and NBH
	maxHighLog = 22528
)

// A band is the adaptive predictor of one sub-band, equal in encoder and
// decoder, and its logarithmic scale factor (ITU-T G.722, clauses 3.3 to 3.6
// and, for the exact arithmetic, 6.2). The zero value is the reset state.
type band struct {
	log   int32 // NB: 0 to maxLowLog or maxHighLog
	s, sz int32 // prediction of the next sample, and the part of it from the zero section
	a1    int32 // pole section, 1.0 is 16384 (A)
	a2    int32
	r1    int32 // twice the last reconstructed sample, saturated (RLT)
	p1    int32 // the last two partially reconstructed samples, for their signs (PLT)
	p2    int32
	b     [6]int32 // zero section, 1.0 is 16384 (B)
	d     [6]int32 // twice the last differences, newest first (DLT)
}

// predict takes the quantized difference of a sample and moves on to the next.
//
// The Recommendation saturates every sum to 16 bits. Left out are saturations
// that cannot happen, as a difference stays within 10228 and the leak of the
// coefficients keeps them in range.
func (t *band) predict(d int32) {
	r0 := saturate(2 * (t.s + d)) // RECONS; 2*saturate(x), saturated, is the same
	p0 := t.sz + d                // PARREC

	// UPZERO: each coefficient leaks, and grows if its difference had the sign
	// of the new one. FILTEZ, from the oldest difference on.
	w := int32(128)
	if d == 0 {
		w = 0
	}
	b, h := &t.b, &t.d
	h0, h1, h2, h3, h4 := h[0], h[1], h[2], h[3], h[4]

	b5 := leak(b[5]) + agree(d, h[5], w)
	b[5], h[5] = b5, h4
	sz := b5 * h4 >> 15
	b4 := leak(b[4]) + agree(d, h4, w)
	b[4], h[4] = b4, h3
	sz += b4 * h3 >> 15
	over := sz + 0x8000
	b3 := leak(b[3]) + agree(d, h3, w)
	b[3], h[3] = b3, h2
	sz += b3 * h2 >> 15
	over |= sz + 0x8000
	b2 := leak(b[2]) + agree(d, h2, w)
	b[2], h[2] = b2, h1
	sz += b2 * h1 >> 15
	over |= sz + 0x8000
	b1 := leak(b[1]) + agree(d, h1, w)
	b[1], h[1] = b1, h0
	sz += b1 * h0 >> 15
	over |= sz + 0x8000
	b0 := leak(b[0]) + agree(d, h0, w)
	b[0], h[0] = b0, 2*d
	sz += b0 * (2 * d) >> 15
	over |= sz + 0x8000
	if over&^0xFFFF != 0 {
		sz = t.filterSaturated()
	}

	// UPPOL2 and UPPOL1. The clip to 8191 stands for the saturation of 4*a1.
	f := agree(p0, t.p1, min(max(t.a1, -8191), 8191))
	a2 := -f>>5 + agree(p0, t.p2, 128) + t.a2*127>>7
	a2 = min(max(a2, -12288), 12288)
	a1 := agree(p0, t.p1, 192) + t.a1*255>>8
	a1 = min(max(a1, a2-15360), 15360-a2)

	// FILTEP and PREDIC.
	sp := saturate(a1*r0>>15 + a2*t.r1>>15)
	t.s, t.sz = saturate(sp+sz), sz
	t.a1, t.a2 = a1, a2
	t.r1 = r0
	t.p1, t.p2 = p0, t.p1
}

// filterSaturated is FILTEZ for the rare sums that leave 16 bits on the way.
func (t *band) filterSaturated() int32 {
	var sz int32
	for i := 5; i >= 0; i-- {
		sz = saturate(sz + t.b[i]*t.d[i]>>15)
	}
	return sz
}

// leak returns b*255/256, rounded down.
func leak(b int32) int32 { return b - (b+255)>>8 }

// agree returns w if x and y have the same sign, zero being positive, else -w.
func agree(x, y, w int32) int32 {
	m := (x ^ y) >> 31
	return (w ^ m) - m
}

func saturate(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

// limit is LIMIT, to the 15 bits of a sub-band sample.
func limit(v int32) int32 { return min(max(v, -16384), 16383) }

// adaptLow moves on by a sample of the lower band, with the upper four bits of
// its code and the scale factor before it.
func (t *band) adaptLow(code4 uint8, scale int32) {
	a := low4[code4&15]
	t.log = min(max(t.log*127>>7+a.step, 0), maxLowLog)
	t.predict(scale * a.difference >> 10)
}

// adaptHigh is the same for the upper band. It returns the quantized
// difference.
func (t *band) adaptHigh(code uint8, scale int32) int32 {
	a := high2[code&3]
	t.log = min(max(t.log*127>>7+a.step, 0), maxHighLog)
	d := scale * a.difference >> 10
	t.predict(d)
	return d
}

// encodeLow returns the 6-bit code of a sample of the lower band.
func (t *band) encodeLow(x int32) uint8 {
	scale := lowScale[t.log>>6&511]
	e := saturate(x - t.s)
	sign := e >> 31
	// A decision level q is reached if q*scale>>10 <= the magnitude, which is
	// e^sign. Solved for q, that takes a division instead of a search.
	n := uint32(e^sign+1)<<10 - 1
	level := levels[min(n/uint32(scale), topDecision)]
	code := lowCodes[(sign+1)&1][level&31]
	t.adaptLow(code>>2, scale)
	return code
}

// encodeHigh returns the 2-bit code of a sample of the upper band.
func (t *band) encodeHigh(x int32) uint8 {
	scale := highScale[t.log>>6&511]
	e := saturate(x - t.s)
	sign := e >> 31
	code := uint8(sign+1)<<1 | 1
	if e^sign >= highDecision*scale>>10 {
		code &^= 1
	}
	t.adaptHigh(code, scale)
	return code
}

// decodeLow returns the sample of the lower band for a 6-bit code.
func (t *band) decodeLow(code uint8) int32 {
	scale := lowScale[t.log>>6&511]
	x := limit(t.s + low6[code&63]*scale>>10)
	t.adaptLow(code>>2, scale)
	return x
}

// decodeHigh returns the sample of the upper band for a 2-bit code.
func (t *band) decodeHigh(code uint8) int32 {
	scale := highScale[t.log>>6&511]
	s := t.s
	return limit(s + t.adaptHigh(code, scale))
}
