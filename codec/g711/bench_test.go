package g711_test

import (
	"math/rand/v2"
	"testing"

	"github.com/parley-media/parley/codec/g711"
)

// frame returns 20 ms at 8 kHz with the spread of levels that speech has.
func frame() []int16 {
	r := rand.New(rand.NewPCG(7, 11))
	pcm := make([]int16, 160)
	for i := range pcm {
		pcm[i] = int16(r.IntN(65536)-32768) >> r.IntN(10)
	}
	return pcm
}

func BenchmarkEncode(b *testing.B) {
	for _, law := range []struct {
		name   string
		encode func([]byte, []int16) []byte
	}{{"PCMU", g711.AppendMuLaw}, {"PCMA", g711.AppendALaw}} {
		b.Run(law.name, func(b *testing.B) {
			pcm, out := frame(), make([]byte, 0, 160)
			for b.Loop() {
				out = law.encode(out[:0], pcm)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, law := range []struct {
		name   string
		decode func([]int16, []byte) []int16
	}{{"PCMU", g711.AppendPCMFromMuLaw}, {"PCMA", g711.AppendPCMFromALaw}} {
		b.Run(law.name, func(b *testing.B) {
			payload, out := g711.AppendMuLaw(nil, frame()), make([]int16, 0, 160)
			for b.Loop() {
				out = law.decode(out[:0], payload)
			}
		})
	}
}
