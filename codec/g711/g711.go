// Package g711 is the telephone codec of ITU-T G.711: mu-law (PCMU) and A-law
// (PCMA), one byte per sample (RFC 3551 section 4.5.14).
//
//	payload := g711.AppendMuLaw(nil, pcm)
//	pcm = g711.AppendPCMFromMuLaw(pcm[:0], payload)
//
// PCM is 16-bit, left-justified: full scale is 32767 for both laws, of which
// mu-law uses the upper 14 bits and A-law the upper 13. Results are those of
// the ITU-T software tool library (G.191) for every sample and every code. All
// functions are safe for concurrent use.
//
// Importing the package registers "PCMU" and "PCMA" with package codec, for
// 8000 to 48000 Hz and one or two channels. There is no concealment (G.711
// Appendix I) and no comfort noise (Appendix II) in here.
package g711

import "slices"

// AppendMuLaw appends the mu-law code of each sample of pcm to dst, a byte per
// sample.
func AppendMuLaw(dst []byte, pcm []int16) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(pcm))[:n+len(pcm)]
	out := dst[n:][:len(pcm)]
	for i, s := range pcm {
		out[i] = muLawCodes[uint16(s)>>2]
	}
	return dst
}

// AppendALaw appends the A-law code of each sample of pcm to dst, a byte per
// sample. Even bits are inverted, as on the wire: silence is 0xD5.
func AppendALaw(dst []byte, pcm []int16) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(pcm))[:n+len(pcm)]
	out := dst[n:][:len(pcm)]
	for i, s := range pcm {
		out[i] = aLawCodes[uint16(s)>>4]
	}
	return dst
}

// AppendPCMFromMuLaw appends the sample that each mu-law code of payload stands
// for to dst. The largest magnitude is 32124.
func AppendPCMFromMuLaw(dst []int16, payload []byte) []int16 {
	return appendPCM(dst, payload, &muLawSamples)
}

// AppendPCMFromALaw appends the sample that each A-law code of payload stands
// for to dst. The smallest magnitude is 8 and the largest 32256: A-law has no
// zero.
func AppendPCMFromALaw(dst []int16, payload []byte) []int16 {
	return appendPCM(dst, payload, &aLawSamples)
}

func appendPCM(dst []int16, payload []byte, samples *[256]int16) []int16 {
	n := len(dst)
	dst = slices.Grow(dst, len(payload))[:n+len(payload)]
	out := dst[n:][:len(payload)]
	for len(payload) >= 8 && len(out) >= 8 { // one at a time takes a third longer
		from, to := (*[8]byte)(payload), (*[8]int16)(out)
		to[0], to[1], to[2], to[3] = samples[from[0]], samples[from[1]], samples[from[2]], samples[from[3]]
		to[4], to[5], to[6], to[7] = samples[from[4]], samples[from[5]], samples[from[6]], samples[from[7]]
		payload, out = payload[8:], out[8:]
	}
	for i, c := range payload {
		out[i] = samples[c]
	}
	return dst
}
