package g711_test

import (
	"testing"

	"github.com/parley-media/parley/codec/g711"
)

// decisions and values build columns 6 and 8 of G.711 tables 1a and 2a (the
// decision values and the quantised values of positive samples) from columns 1
// to 3: the segments, with their number of intervals and the interval size.
type segment struct{ intervals, size int }

var (
	// Table 1a, A-law: full scale is 4096, and decision value 0 is 0.
	aLawSegments = []segment{{32, 2}, {16, 4}, {16, 8}, {16, 16}, {16, 32}, {16, 64}, {16, 128}}
	// Table 2a, mu-law: full scale is 8159, and the first interval is a half one.
	muLawSegments = []segment{{1, 1}, {15, 2}, {16, 4}, {16, 8}, {16, 16}, {16, 32}, {16, 64}, {16, 128}, {16, 256}}
)

func decisions(segments []segment) []int {
	x := []int{0}
	for _, s := range segments {
		for range s.intervals {
			x = append(x, x[len(x)-1]+s.size)
		}
	}
	return x
}

func TestTablesOfTheRecommendation(t *testing.T) {
	a, mu := decisions(aLawSegments), decisions(muLawSegments)
	for _, tt := range []struct {
		name string
		x    []int
		want map[int]int // some rows of column 6 by column 5
	}{
		{"1a", a, map[int]int{0: 0, 1: 2, 32: 64, 48: 128, 64: 256, 80: 512, 96: 1024, 112: 2048, 113: 2176, 127: 3968, 128: 4096}},
		{"2a", mu, map[int]int{0: 0, 1: 1, 2: 3, 16: 31, 17: 35, 32: 95, 48: 223, 64: 479, 80: 991, 96: 2015, 112: 4063, 113: 4319, 127: 7903, 128: 8159}},
	} {
		if len(tt.x) != 129 {
			t.Fatalf("table %s has %d decision values, want 129", tt.name, len(tt.x))
		}
		for n, want := range tt.want {
			if tt.x[n] != want {
				t.Errorf("table %s: decision value %d is %d, want %d", tt.name, n, tt.x[n], want)
			}
		}
	}
}

// interval returns the number of the interval that v lies in. A decision value
// belongs to the interval above it.
func interval(x []int, v int) int {
	for n := 127; n > 0; n-- {
		if v >= x[n] {
			return n
		}
	}
	return 0
}

func TestEncodeAllSamples(t *testing.T) {
	a, mu := decisions(aLawSegments), decisions(muLawSegments)
	for i := -32768; i <= 32767; i++ {
		// Samples are cut to 13 and 14 bits in two's complement, so a negative
		// one is the mirror image of its one's complement.
		magnitude, sign := i, 0x80
		if i < 0 {
			magnitude, sign = ^i, 0
		}
		wantA := byte(interval(a, magnitude/16*2)|sign) ^ 0x55 // bit 1 of the 13-bit value decides nothing
		wantMu := byte(127-interval(mu, magnitude/4)) | byte(sign)
		pcm := []int16{int16(i)}
		if got := g711.AppendALaw(nil, pcm); got[0] != wantA {
			t.Fatalf("A-law of %d is %#02x, want %#02x", i, got[0], wantA)
		}
		if got := g711.AppendMuLaw(nil, pcm); got[0] != wantMu {
			t.Fatalf("mu-law of %d is %#02x, want %#02x", i, got[0], wantMu)
		}
	}
}

func TestDecodeAllCodes(t *testing.T) {
	a, mu := decisions(aLawSegments), decisions(muLawSegments)
	for n := range 128 {
		wantA := (a[n] + a[n+1]) / 2 * 8
		wantMu := (mu[n] + mu[n+1]) / 2 * 4 // the half interval decodes to 0
		for _, tt := range []struct {
			law    string
			decode func([]int16, []byte) []int16
			code   int
			want   int
		}{
			{"A-law", g711.AppendPCMFromALaw, (n | 0x80) ^ 0x55, wantA},
			{"A-law", g711.AppendPCMFromALaw, n ^ 0x55, -wantA},
			{"mu-law", g711.AppendPCMFromMuLaw, 255 - n, wantMu},
			{"mu-law", g711.AppendPCMFromMuLaw, 127 - n, -wantMu},
		} {
			if got := tt.decode(nil, []byte{byte(tt.code)}); int(got[0]) != tt.want {
				t.Errorf("%s code %#02x decodes to %d, want %d", tt.law, tt.code, got[0], tt.want)
			}
		}
	}
}

func TestKnownCodes(t *testing.T) {
	for code, want := range map[byte]int16{0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256} {
		if got := g711.AppendPCMFromALaw(nil, []byte{code}); got[0] != want {
			t.Errorf("A-law %#02x decodes to %d, want %d", code, got[0], want)
		}
	}
	for code, want := range map[byte]int16{0xFF: 0, 0x7F: 0, 0x80: 32124, 0x00: -32124} {
		if got := g711.AppendPCMFromMuLaw(nil, []byte{code}); got[0] != want {
			t.Errorf("mu-law %#02x decodes to %d, want %d", code, got[0], want)
		}
	}
}

// What a decoder makes must code to what it was made from, over any number of
// hops. (The two zeros of mu-law become one.)
func TestCodesSurviveTranscoding(t *testing.T) {
	for i := range 256 {
		code := byte(i)
		if got := g711.AppendALaw(nil, g711.AppendPCMFromALaw(nil, []byte{code})); got[0] != code {
			t.Errorf("A-law %#02x comes back as %#02x", code, got[0])
		}
		want := code
		if code == 0x7F {
			want = 0xFF
		}
		if got := g711.AppendMuLaw(nil, g711.AppendPCMFromMuLaw(nil, []byte{code})); got[0] != want {
			t.Errorf("mu-law %#02x comes back as %#02x, want %#02x", code, got[0], want)
		}
	}
}
