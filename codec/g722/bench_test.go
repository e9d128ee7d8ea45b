package g722

import (
	"math"
	"math/rand/v2"
	"testing"
)

// speech returns n samples that exercise the coder as speech does: harmonics of
// a gliding pitch and noise, rising and falling four times a second.
func speech(n int) []int16 {
	r := rand.New(rand.NewPCG(7, 22))
	pcm := make([]int16, n)
	var phase float64
	for i := range pcm {
		t := float64(i) / 16000
		phase += 2 * math.Pi * (120 + 30*math.Sin(2*math.Pi*t)) / 16000
		var v float64
		for k := 1.0; k < 30; k++ {
			v += math.Sin(k*phase) / k
		}
		v += r.NormFloat64() / 5
		level := math.Pow(10, -1.5+1.4*math.Sin(8*math.Pi*t))
		pcm[i] = int16(max(min(v*level*6000, 32767), -32768))
	}
	return pcm
}

const frame = 320 // samples of 20 ms

func BenchmarkEncode(b *testing.B) {
	pcm := speech(50 * frame)
	var e Encoder
	var out []byte
	i := 0
	for b.Loop() {
		out, _ = e.Encode(out[:0], pcm[i:i+frame])
		i = (i + frame) % len(pcm)
	}
}

func BenchmarkDecode(b *testing.B) {
	payload, _ := new(Encoder).Encode(nil, speech(50*frame))
	var d Decoder
	var out []int16
	i := 0
	for b.Loop() {
		out, _ = d.Decode(out[:0], payload[i:i+frame/2])
		i = (i + frame/2) % len(payload)
	}
}
