package payload_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// The bytes are by the formulas of RFC 3389, section 3, with k = 258*(N-127)/32768.
func TestAppendCN(t *testing.T) {
	for _, tt := range []struct {
		level      int
		reflection []float64
		want       []byte
	}{
		{0, nil, []byte{0}},
		{60, nil, []byte{60}},
		{127, []float64{0}, []byte{127, 127}},
		{-5, nil, []byte{0}},
		{128, nil, []byte{127}},
		{40, []float64{-258.0 / 32768, 258.0 / 32768}, []byte{40, 126, 128}},
		{40, []float64{-0.5, 0.5}, []byte{40, 63, 191}}, // ∓63.5 steps, rounded away from 0
		{40, []float64{-1, 1, -7, math.Inf(1)}, []byte{40, 0, 254, 0, 254}},
		{40, []float64{math.NaN()}, []byte{40, 127}},
		{1, make([]float64, 20), append([]byte{1}, bytes.Repeat([]byte{127}, payload.MaxCNOrder)...)},
	} {
		if got := payload.AppendCN([]byte{9}, tt.level, tt.reflection); !bytes.Equal(got[1:], tt.want) || got[0] != 9 {
			t.Errorf("AppendCN(%d, %v) = %d, want %d", tt.level, tt.reflection, got[1:], tt.want)
		}
	}
}

func TestParseCN(t *testing.T) {
	const step = 258.0 / 32768
	for _, tt := range []struct {
		in   []byte
		want payload.CN
	}{
		{[]byte{60}, payload.CN{Level: 60}},
		{[]byte{0x80 | 60}, payload.CN{Level: 60}},
		{[]byte{127, 127}, payload.CN{Level: 127, Order: 1}},
		{[]byte{0, 0, 254, 128}, payload.CN{Order: 3, Reflection: [12]float64{-127 * step, 127 * step, step}}},
		{[]byte{5, 128, 255, 128}, payload.CN{Level: 5, Order: 1, Reflection: [12]float64{step}}},
		{append([]byte{1}, bytes.Repeat([]byte{127}, 1000)...), payload.CN{Level: 1, Order: 12}},
	} {
		got, err := payload.ParseCN(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseCN(%d) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
	if _, err := payload.ParseCN(nil); !errors.Is(err, codec.ErrPayload) {
		t.Errorf("empty payload: %v", err)
	}
}

func TestCNConstructors(t *testing.T) {
	for _, rate := range []int{-1, 0, 7999, 48001} {
		if _, err := payload.NewNoiseEstimator(rate, 0); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("estimator at %d Hz: %v", rate, err)
		}
		if _, err := payload.NewNoiseGenerator(rate, 0); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("generator at %d Hz: %v", rate, err)
		}
	}
	if _, err := payload.NewNoiseEstimator(8000, 11); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("order 11: %v", err)
	}
}

func FuzzCN(f *testing.F) {
	f.Add([]byte{60})
	f.Add([]byte{0, 0, 254, 0, 254, 0, 254, 0, 254, 0, 254, 0, 254})
	f.Add([]byte{0x94, 3, 255, 7})
	f.Fuzz(func(t *testing.T, in []byte) {
		cn, err := payload.ParseCN(in)
		if err != nil {
			if len(in) != 0 {
				t.Fatal(err)
			}
			return
		}
		out := cn.AppendTo(nil)
		if len(out) > len(in) || out[0] != in[0]&0x7f || !bytes.Equal(out[1:], in[1:len(out)]) {
			t.Fatalf("%d became %d", in, out)
		}
		g, err := payload.NewNoiseGenerator(8000, 1)
		if err != nil {
			t.Fatal(err)
		}
		g.Set(cn)
		pcm := make([]int16, 800)
		g.Fill(pcm)
		g.Fill(pcm)
		if cn.Level > 30 {
			// The lattice keeps power, so 30 dB above the mean is far beyond
			// what any spectrum reaches.
			for _, s := range pcm {
				if math.Abs(float64(s)) > 32768*math.Pow(10, float64(30-cn.Level)/20) {
					t.Fatalf("sample %d at -%d dBov", s, cn.Level)
				}
			}
		}
	})
}
