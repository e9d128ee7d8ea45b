package payload_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// vp9Frame returns a frame of n bytes, 13 or more, that begins as 6.2 of the VP9
// bitstream specification has it: marker 2, profile 0, shown; a key frame of
// 640x480.
func vp9Frame(key bool, n int) []byte {
	f := unit(0x86, n)
	if key {
		var w bitString
		w.put(2, 2).put(0, 2).put(0, 1).put(0, 1).put(1, 1).put(0, 1).put(0x498342, 24).put(1, 3).put(0, 1).put(639, 16).put(479, 16)
		copy(f, w.bytes)
	}
	return f
}

var (
	sizes  = []byte{0x10, 2, 0x80, 1, 0xe0}                               // one layer of 640x480
	layers = []byte{0x38, 1, 0x40, 0, 0xf0, 2, 0x80, 1, 0xe0, 1, 0x04, 1} // two, and a group of one picture
)

// The fields are those of RFC 9628, section 4.2.
func TestVP9Descriptor(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.VP9Descriptor
	}{
		{"bare", []byte{0x00}, payload.VP9Descriptor{}},
		{"whole layer frame", []byte{0x4d}, payload.VP9Descriptor{Inter: true, Begin: true, End: true, NotForUpper: true}},
		{"picture ID of 7 bits", []byte{0x88, 0x11}, payload.VP9Descriptor{Begin: true, PictureIDBits: 7, PictureID: 17}},
		{"picture ID of 15 bits", []byte{0x84, 0x92, 0x67}, payload.VP9Descriptor{End: true, PictureIDBits: 15, PictureID: 4711}},
		{"layers, not flexible", []byte{0x28, 0x53, 0xc8}, payload.VP9Descriptor{Begin: true, HasLayers: true, TID: 2, SwitchUp: true, SID: 1, InterLayer: true, TL0PICIDX: 200}},
		{"layers, flexible", []byte{0x38, 0xee}, payload.VP9Descriptor{Begin: true, Flexible: true, HasLayers: true, TID: 7, SID: 7}},
		{"layers, flexible, ID of 7 bits", []byte{0xb8, 1, 0x02}, payload.VP9Descriptor{Begin: true, Flexible: true, PictureIDBits: 7, PictureID: 1, HasLayers: true, SID: 1}},
		{"layers, flexible, ID of 15 bits", []byte{0xb8, 0x80, 1, 0x02}, payload.VP9Descriptor{Begin: true, Flexible: true, PictureIDBits: 15, PictureID: 1, HasLayers: true, SID: 1}},
		{"a reference", []byte{0xd8, 9, 0x02}, payload.VP9Descriptor{Begin: true, Inter: true, Flexible: true, PictureIDBits: 7, PictureID: 9, References: 1, Diffs: [3]uint8{1}}},
		{"two references", []byte{0xd8, 9, 0x03, 0x8c}, payload.VP9Descriptor{Begin: true, Inter: true, Flexible: true, PictureIDBits: 7, PictureID: 9, References: 2, Diffs: [3]uint8{1, 70}}},
		{"three references, no picture ID", []byte{0x58, 0x03, 0xff, 0x04}, payload.VP9Descriptor{Begin: true, Inter: true, Flexible: true, References: 3, Diffs: [3]uint8{1, 127, 2}}},
		{"flexible without prediction", []byte{0x18}, payload.VP9Descriptor{Begin: true, Flexible: true}},
		{"structure of a layer", concat([]byte{0x0a}, []byte{0x00}), payload.VP9Descriptor{Begin: true, Structure: []byte{0x00}}},
		{"structure with sizes", concat([]byte{0x0a}, sizes), payload.VP9Descriptor{Begin: true, Structure: sizes}},
		{"structure with a group", concat([]byte{0x8a, 5}, layers), payload.VP9Descriptor{Begin: true, PictureIDBits: 7, PictureID: 5, Structure: layers}},
		{"structure with an empty group", []byte{0x0a, 0x08, 0}, payload.VP9Descriptor{Begin: true, Structure: []byte{0x08, 0}}},
		{
			"all", concat([]byte{0xff, 0x80, 1, 0x22, 0x03, 0x04}, layers),
			payload.VP9Descriptor{
				PictureIDBits: 15, PictureID: 1, Inter: true, Flexible: true, Begin: true, End: true, NotForUpper: true,
				HasLayers: true, TID: 1, SID: 1, References: 2, Diffs: [3]uint8{1, 2}, Structure: layers,
			},
		},
	} {
		data := []byte{7, 8, 9}
		got, rest, err := payload.ParseVP9Descriptor(concat(tt.in, data))
		if err != nil || !bytes.Equal(rest, data) {
			t.Errorf("%s: %v, data %v", tt.name, err, rest)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
		if b := tt.want.AppendTo([]byte{1}); !bytes.Equal(b[1:], tt.in) {
			t.Errorf("%s: written as %x, want %x", tt.name, b[1:], tt.in)
		}
		for i := range len(tt.in) + 1 {
			if _, _, err := payload.ParseVP9Descriptor(tt.in[:i]); !errors.Is(err, codec.ErrPayload) {
				t.Errorf("%s: %v after %d bytes", tt.name, err, i)
			}
		}
	}
	for name, in := range map[string][]byte{
		"four references":               {0x58, 0x03, 0x03, 0x03, 0x02, 1},
		"sizes and group past the end":  {0x0a, 0xf8, 1, 1},
		"group of 255 past the end":     {0x0a, 0x08, 0xff, 0x0c},
		"bytes of 0xff":                 bytes.Repeat([]byte{0xff}, 30),
		"group past the end of 8 sizes": concat([]byte{0x0a, 0xf8}, make([]byte, 32), []byte{0xff}),
	} {
		if _, _, err := payload.ParseVP9Descriptor(in); !errors.Is(err, codec.ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVP9Structure(t *testing.T) {
	full := payload.VP9Structure{Layers: 8, Group: make([]payload.VP9Picture, 255)}
	for i := range 8 {
		full.Sizes = append(full.Sizes, payload.VP9Size{Width: uint16(i), Height: 65535})
	}
	for i := range full.Group {
		full.Group[i] = payload.VP9Picture{TID: uint8(i % 8), SwitchUp: i%3 == 0, References: uint8(i % 4)}
		for j := range i % 4 {
			full.Group[i].Diffs[j] = uint8(i + j)
		}
	}
	for _, tt := range []struct {
		want payload.VP9Structure
		in   []byte // nil: only read back
	}{
		{payload.VP9Structure{Layers: 1}, []byte{0}},
		{payload.VP9Structure{Layers: 1, Sizes: []payload.VP9Size{{640, 480}}}, sizes},
		{payload.VP9Structure{Layers: 2, Sizes: []payload.VP9Size{{320, 240}, {640, 480}}, Group: []payload.VP9Picture{{References: 1, Diffs: [3]uint8{1}}}}, layers},
		{payload.VP9Structure{Layers: 3, Group: []payload.VP9Picture{}}, []byte{0x48, 0}},
		{full, nil},
	} {
		b, err := tt.want.AppendTo([]byte{1})
		if err != nil || tt.in != nil && !bytes.Equal(b[1:], tt.in) {
			t.Errorf("written as %x, %v, want %x", b[1:], err, tt.in)
		}
		got, err := payload.ParseVP9Structure(b[1:])
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Error(d)
		}
		for i := range len(b) - 1 {
			if _, err := payload.ParseVP9Structure(b[1 : 1+i]); !errors.Is(err, codec.ErrPayload) {
				t.Errorf("%d of %d bytes: %v", i, len(b)-1, err)
			}
		}
	}
	for name, s := range map[string]payload.VP9Structure{
		"no layers":   {},
		"nine layers": {Layers: 9},
		"a size less": {Layers: 2, Sizes: make([]payload.VP9Size, 1)},
		"256":         {Layers: 1, Group: make([]payload.VP9Picture, 256)},
	} {
		if b, err := s.AppendTo([]byte{1}); !errors.Is(err, payload.ErrFrame) || len(b) != 1 {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

func TestVP9ParsePacket(t *testing.T) {
	key, inter := vp9Frame(true, 20), vp9Frame(false, 20)
	intra := []byte{0b10_00_0_1_0_0, 0x80, 2} // not shown, so that intra_only follows
	info := payload.VideoInfo{Key: true, Width: 640, Height: 480}
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.VideoPart
	}{
		{"key frame", concat([]byte{0x08}, key), payload.VideoPart{Start: true, VideoInfo: info}},
		{"key frame cut before its size", concat([]byte{0x08}, key[:8]), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"not a header", []byte{0x08, 0x00, 1, 2}, payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"intra-only frame", concat([]byte{0x08}, intra), payload.VideoPart{Start: true}},
		{"shows an existing frame", []byte{0x0c, 0x88}, payload.VideoPart{Start: true}},
		{"predicted", concat([]byte{0x48}, inter), payload.VideoPart{Start: true}},
		{"predicted, says the descriptor", concat([]byte{0x48}, key), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Width: 640, Height: 480}}},
		{"continuation", concat([]byte{0x04}, key), payload.VideoPart{}},
		{"layer 1", concat([]byte{0x28, 0x03, 0}, inter), payload.VideoPart{}},
		{"layer 0 of several", concat([]byte{0x28, 0x00, 0}, key), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"layer 0 with a structure", concat([]byte{0x2a, 0x00, 0}, layers, key), payload.VideoPart{Start: true, VideoInfo: info}},
	} {
		tt.want.Picture, tt.want.Continues = true, !tt.want.Start
		if got, err := (payload.VP9{}).ParsePacket(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

// The headers of frames in all profiles: bit depth, colour space, subsampling.
func TestVP9Size(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile uint32 // as in the bitstream, low bit first, with the reserved one of profile 3
		bits    int
		colour  func(w *bitString)
	}{
		{"profile 0", 0b00, 2, func(w *bitString) { w.put(2, 3).put(0, 1) }},
		{"profile 1", 0b10, 2, func(w *bitString) { w.put(2, 3).put(0, 1).put(0b010, 3) }},
		{"profile 1, sRGB", 0b10, 2, func(w *bitString) { w.put(7, 3).put(0, 1) }},
		{"profile 2", 0b01, 2, func(w *bitString) { w.put(1, 1).put(2, 3).put(0, 1) }},
		{"profile 3", 0b110, 3, func(w *bitString) { w.put(0, 1).put(2, 3).put(0, 1).put(0b010, 3) }},
		{"profile 3, sRGB", 0b110, 3, func(w *bitString) { w.put(0, 1).put(7, 3).put(0, 1) }},
	} {
		var w bitString
		w.put(2, 2).put(tt.profile, tt.bits).put(0, 1).put(0, 1).put(1, 1).put(0, 1).put(0x498342, 24)
		tt.colour(&w)
		w.put(1919, 16).put(1079, 16)
		part, err := payload.VP9{}.ParsePacket(concat([]byte{0x08}, w.bytes))
		if err != nil || !part.Key || part.Width != 1920 || part.Height != 1080 {
			t.Errorf("%s: %+v, %v", tt.name, part, err)
		}
	}
}

// A picture of several layers is as large as the highest, whose header is that of a
// predicted frame.
func TestVP9LayeredSize(t *testing.T) {
	upper := func(found uint32, bits int, width, height uint32, resilient bool) []byte {
		var w bitString
		w.put(2, 2).put(0, 2).put(0, 1).put(1, 1).put(1, 1)
		if resilient {
			w.put(1, 1)
		} else {
			w.put(0, 1).put(0, 2)
		}
		w.put(0x02, 8).put(0, 12).put(found, bits)
		w.put(width-1, 16).put(height-1, 16).put(0, 20)
		return w.bytes
	}
	super := func(frames ...[]byte) []byte {
		marker := byte(0xc8 | len(frames) - 1)
		index := []byte{marker}
		for _, f := range frames {
			index = append(index, byte(len(f)), byte(len(f)>>8))
		}
		return concat(concat(frames...), index, []byte{marker})
	}
	key, inter := vp9Frame(true, 300), vp9Frame(false, 60)
	hd := upper(0, 3, 1280, 720, false)
	for _, tt := range []struct {
		name          string
		frame         []byte
		width, height int
	}{
		{"one layer", key, 640, 480},
		{"two", super(key, hd), 1280, 720},
		{"three", super(key, hd, upper(0, 3, 2560, 1440, true)), 2560, 1440},
		{"two of a size", super(key, upper(1, 1, 9, 9, false)), 640, 480},
		{"the highest as large as the one below", super(key, hd, upper(0b01, 2, 9, 9, true)), 1280, 720},
		{"cut short", super(key, hd[:6]), 640, 480},
		{"an index past the end", super(key, hd)[301:], 0, 0},
		{"sizes past the end", concat(key, []byte{0xc9, 0xff, 0xff, 1, 0, 0xc9}), 640, 480},
	} {
		if info := (payload.VP9{}).Info(tt.frame); info.Width != tt.width || info.Height != tt.height {
			t.Errorf("%s: %dx%d, want %dx%d", tt.name, info.Width, info.Height, tt.width, tt.height)
		}
	}
	if info := (payload.VP9{}).Info(super(inter, hd)); info != (payload.VideoInfo{}) {
		t.Errorf("no key frame: %+v", info)
	}

	all := payloads(t, &payload.VP9Packetizer{}, super(key, hd))
	part, err := payload.VP9{}.ParsePacket(all[0])
	if err != nil || !part.Key || part.Width != 1280 || part.Height != 720 {
		t.Errorf("packet of a superframe: %+v, %v", part, err)
	}
	_, info, err := payload.VP9{}.AppendFrame(nil, all)
	if err != nil || !info.Key || info.Width != 1280 || info.Height != 720 {
		t.Errorf("packets of a superframe: %+v, %v", info, err)
	}
}

func TestVP9AppendFrame(t *testing.T) {
	key := vp9Frame(true, 14)
	for _, tt := range []struct {
		name string
		in   [][]byte
		want []byte
		info payload.VideoInfo
	}{
		{"one", [][]byte{{0x4c, 0x86}}, []byte{0x86}, payload.VideoInfo{}},
		{"three", [][]byte{{0x48, 0x86}, {0x40, 2}, {0x44, 3}}, []byte{0x86, 2, 3}, payload.VideoInfo{}},
		{"key frame", [][]byte{concat([]byte{0x0c}, key)}, key, payload.VideoInfo{Key: true, Width: 640, Height: 480}},
		{
			"two layers are one frame",
			[][]byte{concat([]byte{0x2a, 0x00, 0}, layers, key), {0x24, 0x00, 0, 9}, {0x28, 0x03, 0, 0x86, 1}, {0x24, 0x03, 0, 2}},
			concat(key, []byte{9, 0x86, 1, 2}, []byte{0xc1, 15, 3, 0xc1}),
			payload.VideoInfo{Key: true, Width: 640, Height: 480},
		},
		{
			"the lower one of two layers",
			[][]byte{concat([]byte{0x2e, 0x00, 0}, layers, key)},
			key,
			payload.VideoInfo{Key: true, Width: 320, Height: 240},
		},
		{
			"two layers without sizes",
			[][]byte{concat([]byte{0x2c, 0x00, 0}, key), {0x2c, 0x03, 0, 0x86}},
			concat(key, []byte{0x86}, []byte{0xc1, 14, 1, 0xc1}),
			payload.VideoInfo{Key: true},
		},
		{"layer 2 alone, not predicted from below", [][]byte{{0x6c, 0x04, 0, 0x86}}, []byte{0x86}, payload.VideoInfo{}},
		{"layers 0 and 2", [][]byte{{0x6c, 0x00, 0, 0x86}, {0x6c, 0x05, 0, 0x87}}, []byte{0x86, 0x87, 0xc1, 1, 1, 0xc1}, payload.VideoInfo{}},
		{
			"a large layer",
			[][]byte{append([]byte{0x6c, 0x00, 0}, make([]byte, 300)...), {0x6c, 0x05, 0, 0x87}},
			concat(make([]byte, 300), []byte{0x87, 0xc9, 0x2c, 1, 1, 0, 0xc9}),
			payload.VideoInfo{},
		},

		{name: "nothing"},
		{name: "empty", in: [][]byte{{}}},
		{name: "without the first", in: [][]byte{{0x40, 2}, {0x44, 3}}},
		{name: "without the last", in: [][]byte{{0x48, 2}, {0x40, 3}}},
		{name: "two of the same layer", in: [][]byte{{0x4c, 2}, {0x4c, 3}}},
		{name: "end twice", in: [][]byte{{0x4c, 2}, {0x44, 3}}},
		{name: "layer 0 after layer 1", in: [][]byte{{0x6c, 0x02, 0, 1}, {0x6c, 0x00, 0, 1}}},
		{name: "layer changes in the layer frame", in: [][]byte{{0x68, 0x00, 0, 1}, {0x64, 0x02, 0, 1}}},
		{name: "layer 0 without its last, then layer 1", in: [][]byte{{0x68, 0x00, 0, 1}, {0x6c, 0x03, 0, 1}}},
		{name: "layer 1 without layer 0", in: [][]byte{{0x6c, 0x03, 0, 1}}},
		{name: "cut short", in: [][]byte{{0x48, 1}, {0x44}}},
	} {
		got, info, err := payload.VP9{}.AppendFrame([]byte{99}, tt.in)
		if tt.want == nil {
			if !errors.Is(err, codec.ErrPayload) || !bytes.Equal(got, []byte{99}) {
				t.Errorf("%s: %x, %v, want an error", tt.name, got, err)
			}
		} else if err != nil || !bytes.Equal(got[1:], tt.want) || info != tt.info {
			t.Errorf("%s: %x, %+v, %v, want %x", tt.name, got[1:], info, err, tt.want)
		}
	}
}

func TestVP9Packetizer(t *testing.T) {
	key, inter := vp9Frame(true, 250), vp9Frame(false, 60)
	group := concat([]byte{0x18}, sizes[1:], []byte{1, 4, 1})
	for _, tt := range []struct {
		name       string
		descriptor payload.VP9Descriptor
		frame      []byte
		want       [][]byte
	}{
		{"zero value", payload.VP9Descriptor{}, inter, [][]byte{concat([]byte{0x4c}, inter)}},
		{
			"zero value, key frame",
			payload.VP9Descriptor{},
			key,
			[][]byte{
				concat([]byte{0x0a}, group, key[:91]),
				concat([]byte{0x00}, key[91:190]),
				concat([]byte{0x04}, key[190:]),
			},
		},
		{
			"picture ID",
			payload.VP9Descriptor{PictureIDBits: 7, PictureID: 127},
			inter,
			[][]byte{concat([]byte{0xcc, 127}, inter)},
		},
		{
			"flexible",
			payload.VP9Descriptor{Flexible: true, PictureID: 3},
			inter,
			[][]byte{concat([]byte{0xdc, 0x80, 3, 2}, inter)},
		},
		{
			"flexible, two references",
			payload.VP9Descriptor{Flexible: true, PictureIDBits: 7, References: 2, Diffs: [3]uint8{1, 5}},
			inter,
			[][]byte{concat([]byte{0xdc, 0, 3, 10}, inter)},
		},
		{
			"flexible, key frame",
			payload.VP9Descriptor{Flexible: true, PictureIDBits: 7},
			key[:60],
			[][]byte{concat([]byte{0x9e, 0}, sizes, key[:60])},
		},
		{
			"temporal layer",
			payload.VP9Descriptor{HasLayers: true, TID: 1, TL0PICIDX: 8},
			inter,
			[][]byte{concat([]byte{0x6c, 0x20, 8}, inter)},
		},
		{
			"structure given",
			payload.VP9Descriptor{Structure: []byte{0}},
			inter,
			[][]byte{concat([]byte{0x4e, 0}, inter)},
		},
		{
			"marks of the caller are none",
			payload.VP9Descriptor{Begin: true, End: true},
			vp9Frame(false, 120),
			[][]byte{concat([]byte{0x48}, vp9Frame(false, 120)[:99]), concat([]byte{0x44}, vp9Frame(false, 120)[99:])},
		},
		{
			"encrypted",
			payload.VP9Descriptor{Inter: true},
			[]byte{1, 2, 3},
			[][]byte{{0x4c, 1, 2, 3}},
		},
	} {
		p := &payload.VP9Packetizer{MaxPayload: 100, Descriptor: tt.descriptor}
		if got := payloads(t, p, tt.frame); !slices.EqualFunc(got, tt.want, bytes.Equal) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
		if want := tt.descriptor.PictureID + 1; p.Descriptor.PictureID != want && p.Descriptor.PictureIDBits != 7 {
			t.Errorf("%s: picture ID is %d now", tt.name, p.Descriptor.PictureID)
		}
	}
	for name, p := range map[string]*payload.VP9Packetizer{
		"payloads of 31":        {MaxPayload: 31},
		"structure of 92 bytes": {MaxPayload: 100, Descriptor: payload.VP9Descriptor{Structure: make([]byte, 92)}},
	} {
		if err := p.Begin(inter); !errors.Is(err, payload.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := &payload.VP9Packetizer{}
	if err := p.Begin(nil); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("empty frame: %v", err)
	}
	if b, more := p.AppendPayload([]byte{1}); len(b) != 1 || more {
		t.Errorf("%x, %v without a frame", b, more)
	}
}
