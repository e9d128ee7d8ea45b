package g722

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

func TestEncodeOddSamples(t *testing.T) {
	e := NewEncoder()
	pcm := speech(frame)
	if _, err := e.Encode(nil, pcm); err != nil {
		t.Fatal(err)
	}
	before := *e
	if b, err := e.Encode([]byte{9}, pcm[:7]); !errors.Is(err, audio.ErrFormat) || !slices.Equal(b, []byte{9}) {
		t.Errorf("Encode of 7 samples = %x, %v, want ErrFormat", b, err)
	}
	if *e != before {
		t.Error("a refused frame changed the encoder")
	}
}

func TestDecodeTooMuch(t *testing.T) {
	d := NewDecoder()
	if pcm, err := d.Decode([]int16{9}, make([]byte, codec.MaxFrame/2+1)); !errors.Is(err, codec.ErrPayload) || len(pcm) != 1 {
		t.Errorf("Decode = %d samples, %v, want ErrPayload", len(pcm), err)
	}
	if *d != (Decoder{}) {
		t.Error("a refused payload changed the decoder")
	}
	if pcm, err := d.Decode(nil, make([]byte, codec.MaxFrame/2)); err != nil || len(pcm) != codec.MaxFrame {
		t.Errorf("Decode = %d samples, %v", len(pcm), err)
	}
}

func TestNothing(t *testing.T) {
	if b, err := NewEncoder().Encode(nil, nil); len(b) != 0 || err != nil {
		t.Errorf("Encode = %x, %v", b, err)
	}
	if pcm, err := NewDecoder().Decode(nil, nil); len(pcm) != 0 || err != nil {
		t.Errorf("Decode = %d, %v", pcm, err)
	}
}

func TestAnyFrameLength(t *testing.T) {
	pcm := speech(16000)
	want := encoded(t, pcm)
	wantPCM := decoded(t, want)
	for _, n := range []int{2, 10, 318, 320, 322, 640, 1602, 16000} {
		var e Encoder
		codes := []byte{1, 2, 3}
		for part := range slices.Chunk(pcm, n) {
			codes, _ = e.Encode(codes, part)
		}
		if !slices.Equal(codes[:3], []byte{1, 2, 3}) || !slices.Equal(codes[3:], want) {
			t.Errorf("codes differ for frames of %d samples", n)
		}
		if n/2 > codec.MaxFrame/2 {
			continue
		}
		var d Decoder
		out := []int16{1, 2, 3}
		for part := range slices.Chunk(want, n/2) {
			out, _ = d.Decode(out, part)
		}
		if !slices.Equal(out[:3], []int16{1, 2, 3}) || !slices.Equal(out[3:], wantPCM) {
			t.Errorf("samples differ for frames of %d samples", n)
		}
	}
}

// The two filters together delay by 22 samples; what is left is the noise of
// the quantizers.
func TestQuality(t *testing.T) {
	pcm := speech(5 * 16000)
	out := decoded(t, encoded(t, pcm))
	var signal, noise float64
	for i := range len(pcm) - 22 {
		d := float64(pcm[i]) - float64(out[i+22])
		noise += d * d
		signal += float64(pcm[i]) * float64(pcm[i])
	}
	if snr := 10 * math.Log10(signal/noise); snr < 17 {
		t.Errorf("the signal is %.1f dB above the noise, want 17", snr)
	}
}

func TestSilenceStaysSilent(t *testing.T) {
	for i, s := range decoded(t, encoded(t, make([]int16, 16000))) {
		if s > 8 || s < -8 {
			t.Fatalf("sample %d is %d", i, s)
		}
	}
}

// After lost frames a decoder is out of step with the encoder: it must come
// back, whatever the loss left behind.
func TestRecoveryFromLoss(t *testing.T) {
	codes := encoded(t, speech(4*16000))
	want := decoded(t, codes)

	var d Decoder
	var got []int16
	for i := 0; i < len(codes); i += frame / 2 {
		part := codes[i : i+frame/2]
		if k := i / (frame / 2); k >= 50 && k < 55 {
			got = append(got, make([]int16, frame)...)
			continue
		}
		got, _ = d.Decode(got, part)
	}
	var signal, noise float64
	for i := 55*frame + 8000; i < len(want); i++ {
		e := float64(want[i]) - float64(got[i])
		noise += e * e
		signal += float64(want[i]) * float64(want[i])
	}
	if noise > signal/1e3 {
		t.Errorf("half a second after the loss the difference is %.1f dB below the signal, want 30", 10*math.Log10(signal/noise))
	}
}

// A decoder that is fed an encoder's codes has the same predictors.
func checkInStep(t *testing.T, e *Encoder, d *Decoder) {
	t.Helper()
	if e.low != d.low || e.high != d.high {
		t.Fatalf("encoder and decoder are out of step:\n%+v\n%+v", e, d)
	}
}

func TestEncoderAndDecoderStayInStep(t *testing.T) {
	var e Encoder
	var d Decoder
	for part := range slices.Chunk(slices.Concat(noise(32000, 6), squares(32000), speech(32000)), frame) {
		codes, err := e.Encode(nil, part)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(nil, codes); err != nil {
			t.Fatal(err)
		}
		checkInStep(t, &e, &d)
	}
}

// The quantizer divides where the Recommendation compares with each decision
// level in turn: both must agree for every difference and scale factor.
func TestQuantizerDecisions(t *testing.T) {
	for log := int32(0); log <= maxLowLog; log += 64 {
		scale := lowScale[log>>6]
		level := 0
		for magnitude := int32(0); magnitude <= 32767; magnitude++ {
			for level < len(decisions) && int32(decisions[level])*scale>>10 <= magnitude {
				level++
			}
			for _, x := range []int32{magnitude, ^magnitude} {
				b := band{log: log}
				if got, want := b.encodeLow(x), lowCodes[(x>>31+1)&1][level]; got != want {
					t.Fatalf("scale %d, difference %d: code %d, want %d", scale, x, got, want)
				}
			}
			if level == len(decisions) {
				magnitude += 96 // nothing changes any more
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	pcm := speech(frame)
	var e Encoder
	var d Decoder
	codes := make([]byte, 0, frame/2)
	out := make([]int16, 0, frame)
	if n := testing.AllocsPerRun(100, func() {
		codes, _ = e.Encode(codes[:0], pcm)
		out, _ = d.Decode(out[:0], codes)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{0xFA, 0x00, 0xFF, 0x3F, 0xC0}, uint16(2))
	f.Add(slices.Repeat([]byte{0x84, 0x20}, 200), uint16(161))
	f.Add(anyCodes(500), uint16(7))
	f.Fuzz(func(t *testing.T, codes []byte, cut uint16) {
		var whole, parts Decoder
		want, err := whole.Decode(nil, codes)
		if err != nil {
			if !errors.Is(err, codec.ErrPayload) || len(want) != 0 {
				t.Fatalf("Decode = %d samples, %v", len(want), err)
			}
			return
		}
		if len(want) != 2*len(codes) {
			t.Fatalf("%d samples for %d bytes", len(want), len(codes))
		}
		n := min(int(cut), len(codes))
		got, _ := parts.Decode(nil, codes[:n])
		got, _ = parts.Decode(got, codes[n:])
		if !slices.Equal(got, want) || parts != whole {
			t.Fatal("the result depends on how payloads are cut")
		}
		for _, b := range []*band{&whole.low, &whole.high} {
			if saturate(b.s) != b.s || saturate(b.sz) != b.sz || slices.ContainsFunc(b.b[:], func(v int32) bool { return saturate(v) != v }) {
				t.Fatalf("a predictor left 16 bits: %+v", b)
			}
		}

		// What came out is as good a signal to encode as any.
		var e Encoder
		var d Decoder
		again, err := e.Encode(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode(nil, again); err != nil {
			t.Fatal(err)
		}
		checkInStep(t, &e, &d)
	})
}
