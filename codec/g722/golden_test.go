package g722

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// The expected sums are those of the output of the ITU-T reference software for
// G.722 (G.191, mode 1) for the same input. The signals are made from integers
// only, so that they are the same on every machine.
func TestReferenceEncoder(t *testing.T) {
	for _, tt := range []struct {
		name string
		pcm  []int16
		want string
	}{
		{"noise", noise(20*16000, 1), "e10d43d8f1019cb6"},
		{"squares", squares(20 * 16000), "ab0fe9ee0bce06a2"},
		{"chords", chords(20 * 16000), "5c4ef62fe3145147"},
		{"silence", make([]int16, 2*16000), "fd22c79f66c5dedb"},
	} {
		codes, err := NewEncoder().Encode(nil, tt.pcm)
		if err != nil {
			t.Fatal(err)
		}
		if got := sum(codes); got != tt.want {
			t.Errorf("%s: codes have sum %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestReferenceDecoder(t *testing.T) {
	for _, tt := range []struct {
		name string
		code []byte
		want string
	}{
		{"any codes", anyCodes(60 * 8000), "2d19919fe9c694cf"},
		{"few codes", fewCodes(60 * 8000), "4a675b662d4bfb94"},
		{"squares", encoded(t, squares(20*16000)), "415223bb7eddc279"},
		{"chords", encoded(t, chords(20*16000)), "2a27704eff25dc92"},
	} {
		if got := sum(samples(decoded(t, tt.code))); got != tt.want {
			t.Errorf("%s: samples have sum %s, want %s", tt.name, got, tt.want)
		}
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// samples returns pcm as bytes, the lower byte first.
func samples(pcm []int16) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, pcm)
	if err != nil {
		panic(err)
	}
	return b
}

func encoded(t testing.TB, pcm []int16) []byte {
	t.Helper()
	codes, err := NewEncoder().Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// decoded decodes 20 ms at a time.
func decoded(t testing.TB, codes []byte) []int16 {
	t.Helper()
	d := NewDecoder()
	var pcm []int16
	for len(codes) > 0 {
		n := min(len(codes), frame/2)
		var err error
		if pcm, err = d.Decode(pcm, codes[:n]); err != nil {
			t.Fatal(err)
		}
		codes = codes[n:]
	}
	return pcm
}

// noise changes its level twice a second, up to full scale.
func noise(n int, seed uint64) []int16 {
	r := rand.New(rand.NewPCG(seed, 722))
	pcm := make([]int16, n)
	var shift int
	for i := range pcm {
		if i%8000 == 0 {
			shift = r.IntN(12)
		}
		pcm[i] = int16(r.IntN(65536)-32768) >> shift
	}
	return pcm
}

// squares are square waves of all frequencies and levels, up to full scale,
// which drive the sub-bands into their limits.
func squares(n int) []int16 {
	r := rand.New(rand.NewPCG(2, 722))
	pcm := make([]int16, n)
	half, level := 1, int16(0)
	for i := range pcm {
		if i%4000 == 0 {
			half, level = 1+r.IntN(80), int16(32767)>>r.IntN(4)
		}
		pcm[i] = level
		if i/half%2 == 1 {
			pcm[i] = ^level
		}
	}
	return pcm
}

// chords are three tones, of parabolas instead of sines, that change each
// quarter of a second.
func chords(n int) []int16 {
	r := rand.New(rand.NewPCG(3, 722))
	pcm := make([]int16, n)
	var phase, step [3]uint16
	for i := range pcm {
		if i%4000 == 0 {
			for k := range step {
				step[k] = uint16(200 + r.IntN(12000)*(k+1)/3)
			}
		}
		var v int32
		for k := range phase {
			phase[k] += step[k]
			x := int32(int16(phase[k])) // -1 to 1 is half a period each
			v += x * (32768 - max(x, -x)) >> 14 * (3 - int32(k)) / 6
		}
		pcm[i] = int16(v * 4 / 5)
	}
	return pcm
}

// anyCodes are what no encoder makes and the predictors must survive.
func anyCodes(n int) []byte {
	r := rand.New(rand.NewPCG(4, 722))
	codes := make([]byte, n)
	for i := range codes {
		codes[i] = byte(r.IntN(256))
	}
	return codes
}

// fewCodes repeats short patterns, which winds the predictors up to where
// everything saturates.
func fewCodes(n int) []byte {
	r := rand.New(rand.NewPCG(5, 722))
	codes := make([]byte, 0, n)
	for len(codes) < n {
		pattern := make([]byte, 1+r.IntN(6))
		for i := range pattern {
			pattern[i] = byte(r.IntN(256))
		}
		for range r.IntN(2000) {
			codes = append(codes, pattern...)
		}
	}
	return codes[:n]
}
