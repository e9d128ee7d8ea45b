// Package speech has the speech that is sent in tests and measurements: 24 s of
// four male and four female voices, each with a sentence of ours, small pauses
// between them, active at -26 dBov, with background noise at -65 dBov.
// scripts/make-speech makes it anew.
package speech

import (
	_ "embed"
)

// Rate is the sample rate of [PCM] in Hz. It is mono.
const Rate = 16000

//go:embed speech.ulaw
var muLaw []byte

// PCM returns the speech. The slice is the caller's.
func PCM() []int16 {
	pcm := make([]int16, len(muLaw))
	for i, b := range muLaw {
		pcm[i] = decode(b)
	}
	return pcm
}

// decode expands one octet of mu-law, ITU-T G.711 table 2, to the upper 14 of 16
// bits.
func decode(b byte) int16 {
	b = ^b
	v := (int16(b&15)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}
