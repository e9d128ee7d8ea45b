package payload_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// bitString makes bytes of fields that are written one after another.
type bitString struct {
	bytes []byte
	n     int
}

func (w *bitString) put(v uint32, n int) *bitString {
	for ; n > 0; n-- {
		if w.n%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.n/8] |= byte(v>>(n-1)&1) << (7 - w.n%8)
		w.n++
	}
	return w
}

// ue writes an Exp-Golomb code (ITU-T H.264, 9.1).
func (w *bitString) ue(values ...uint32) *bitString {
	for _, v := range values {
		n := 0
		for ; (v+1)>>n > 1; n++ {
		}
		w.put(0, n).put(v+1, n+1)
	}
	return w
}

// escaped returns the bytes behind header with emulation prevention.
func (w *bitString) escaped(header ...byte) []byte {
	w.put(1, 1)
	out, zeros := header, 0
	for _, b := range w.bytes {
		if zeros >= 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, b); b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// sps is of 320x240, Constrained Baseline.
var sps = new(bitString).ue(0, 0, 2, 1).put(0, 1).ue(19, 14).put(1, 1).put(1, 1).put(0, 1).put(0, 1).escaped(0x67, 66, 0xc0, 13)

func TestParseH264SPS(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.H264Sequence
	}{
		{"320x240", sps, payload.H264Sequence{Profile: 66, Constraints: 0xc0, Level: 13, Width: 320, Height: 240, ChromaFormat: 1, LumaDepth: 8, ChromaDepth: 8}},
		{
			// id 0, order type 0 with 4 bits, 1 reference, 120x68 macroblocks,
			// frames, cropped by 4 units of 2 rows at the bottom.
			"1920x1080",
			new(bitString).ue(0).ue(1, 0, 0).put(0, 2).ue(0, 0, 0, 1).put(0, 1).ue(119, 67).put(1, 1).put(1, 1).put(1, 1).ue(0, 0, 0, 4).put(0, 1).escaped(0x67, 100, 0, 40),
			payload.H264Sequence{Profile: 100, Level: 40, Width: 1920, Height: 1080, ChromaFormat: 1, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			// Fields: 34 rows of macroblocks in each, so a unit of cropping is 4 rows.
			"1920x1080 of fields",
			new(bitString).ue(0).ue(1, 0, 0).put(0, 2).ue(0, 0, 0, 1).put(0, 1).ue(119, 33).put(0, 1).put(1, 1).put(1, 1).put(1, 1).ue(0, 0, 0, 2).put(0, 1).escaped(0x67, 100, 0, 40),
			payload.H264Sequence{Profile: 100, Level: 40, Width: 1920, Height: 1080, ChromaFormat: 1, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			"4:4:4, cropped by single samples on all sides",
			new(bitString).ue(0).ue(3).put(0, 1).ue(0, 0).put(0, 2).ue(0, 2, 1).put(0, 1).ue(1, 1).put(1, 1).put(1, 1).put(1, 1).ue(1, 2, 3, 4).put(0, 1).escaped(0x67, 244, 0, 10),
			payload.H264Sequence{Profile: 244, Level: 10, Width: 29, Height: 25, ChromaFormat: 3, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			"4:2:2",
			new(bitString).ue(0).ue(2, 0, 0).put(0, 2).ue(0, 2, 1).put(0, 1).ue(1, 1).put(1, 1).put(1, 1).put(1, 1).ue(0, 1, 0, 1).put(0, 1).escaped(0x67, 122, 0, 10),
			payload.H264Sequence{Profile: 122, Level: 10, Width: 30, Height: 31, ChromaFormat: 2, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			"monochrome",
			new(bitString).ue(0).ue(0, 0, 0).put(0, 2).ue(0, 2, 1).put(0, 1).ue(1, 1).put(1, 1).put(1, 1).put(1, 1).ue(0, 1, 0, 1).put(0, 1).escaped(0x67, 100, 0, 10),
			payload.H264Sequence{Profile: 100, Level: 10, Width: 31, Height: 31, ChromaFormat: 0, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			// Eight lists: the first is cut by a delta of -8, the second has 16
			// deltas of 0, the rest is not there.
			"scaling lists",
			new(bitString).ue(0).ue(1, 0, 0).put(0, 1).put(1, 1).put(1, 1).ue(16).put(1, 1).put(0xffff, 16).put(0, 6).
				ue(0, 2, 1).put(0, 1).ue(19, 14).put(1, 1).put(1, 1).put(0, 2).escaped(0x67, 100, 0, 13),
			payload.H264Sequence{Profile: 100, Level: 13, Width: 320, Height: 240, ChromaFormat: 1, LumaDepth: 8, ChromaDepth: 8},
		},
		{
			"picture order of type 1",
			new(bitString).ue(0, 0, 1).put(0, 1).ue(4, 6, 3, 1, 2, 3).ue(1).put(0, 1).ue(19, 14).put(1, 1).put(1, 1).put(0, 2).escaped(0x67, 77, 0, 13),
			payload.H264Sequence{Profile: 77, Level: 13, Width: 320, Height: 240, ChromaFormat: 1, LumaDepth: 8, ChromaDepth: 8},
		},
	} {
		got, err := payload.ParseH264SPS(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestParseH264SPSErrors(t *testing.T) {
	for i := range len(sps) - 1 {
		if _, err := payload.ParseH264SPS(sps[:i]); !errors.Is(err, codec.ErrPayload) {
			t.Errorf("first %d bytes: %v", i, err)
		}
	}
	head := []byte{0x67, 66, 0, 10}
	for name, in := range map[string][]byte{
		"PPS":           concat([]byte{0x68}, sps[1:]),
		"zeros":         make([]byte, 100),
		"huge":          new(bitString).ue(0, 0, 2, 1).put(0, 1).ue(1<<31, 1<<31).put(3, 2).put(0, 2).escaped(head...),
		"wide":          new(bitString).ue(0, 0, 2, 1).put(0, 1).ue(2048, 14).put(3, 2).put(0, 2).escaped(head...),
		"cropped away":  new(bitString).ue(0, 0, 2, 1).put(0, 1).ue(0, 0).put(3, 2).put(1, 1).ue(4, 4, 0, 0).put(0, 1).escaped(head...),
		"cropped more":  new(bitString).ue(0, 0, 2, 1).put(0, 1).ue(0, 0).put(3, 2).put(1, 1).ue(1<<31, 1<<31, 0, 0).put(0, 1).escaped(head...),
		"long cycle":    new(bitString).ue(0, 0, 1).put(0, 1).ue(0, 0, 256).escaped(head...),
		"chroma format": new(bitString).ue(0, 4).escaped(0x67, 100, 0, 10),
	} {
		if got, err := payload.ParseH264SPS(in); !errors.Is(err, codec.ErrPayload) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestH264FMTP(t *testing.T) {
	// RFC 6184, section 8.2.3 has these parameter sets.
	in := "profile-level-id=42E01F; packetization-mode=1;x-unknown=2;level-asymmetry-allowed=1;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA=="
	want := payload.H264FMTP{
		Profile: 0x42, Constraints: 0xe0, Level: 31, PacketizationMode: 1, LevelAsymmetryAllowed: true,
		ParameterSets: [][]byte{{0x67, 0x42, 0, 0x0a, 0x96, 0x53, 0x05, 0x89, 0x88}, {0x68, 0xc9, 0x63, 0x88}},
	}
	got, err := payload.ParseH264FMTP(in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s, want := got.String(), "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA=="; s != want {
		t.Errorf("String is %q", s)
	}
	if got, err := payload.ParseH264FMTP(""); err != nil || got.String() != "" {
		t.Errorf("empty: %v, %v", got, err)
	}
	for _, in := range []string{"profile-level-id=42E0", "profile-level-id=xx", "packetization-mode=3", "packetization-mode=", "sprop-parameter-sets=!", "level-asymmetry-allowed=2"} {
		if _, err := payload.ParseH264FMTP(in); !errors.Is(err, payload.ErrH264FMTP) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// Those of encoders, with what ffprobe says of their streams.
func TestParseH264SPSOfEncoders(t *testing.T) {
	for _, tt := range []struct {
		name, sps     string
		width, height int
		chroma        uint8
		frame         time.Duration
	}{
		{"baseline of x264, cropped", "6742c00bd90344f9a23011000003000100000300320f142a48", 198, 130, 1, 40 * time.Millisecond},
		{"high of x264", "6764000bacd94344f9a23011000003000100000300320f142996", 198, 130, 1, 40 * time.Millisecond},
		{"4:2:2 of x264", "677a000bbcd94344f9a3f011000003000100000300320f142996", 198, 130, 2, 40 * time.Millisecond},
		{"4:4:4 of x264", "67f4000b919b28689f171f80880000030008000003019078a14cb0", 198, 130, 3, 40 * time.Millisecond},
		{"interlaced, 1080 lines", "6764003eacd94078044fde0220000003002000000c83e3c7b2c0", 1920, 1080, 1, 20 * time.Millisecond},
	} {
		unit, err := hex.DecodeString(tt.sps)
		if err != nil {
			t.Fatal(err)
		}
		got, err := payload.ParseH264SPS(unit)
		want := payload.H264Sequence{
			Profile: unit[1], Constraints: unit[2], Level: unit[3], Width: tt.width, Height: tt.height,
			ChromaFormat: tt.chroma, LumaDepth: 8, ChromaDepth: 8, FrameDuration: tt.frame,
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, want)
		}
	}
}
