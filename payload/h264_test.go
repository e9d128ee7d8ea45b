package payload_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// unit returns a NAL unit of n bytes whose content has no start code.
func unit(header byte, n int) []byte {
	u := bytes.Repeat([]byte{0xab}, n)
	for i := range u {
		u[i] = byte(i%200) + 1
	}
	u[0] = header
	if n > 1 {
		u[1] |= 0x80 // of a slice: the first one
	}
	return u
}

func annexB(units ...[]byte) (stream []byte) {
	for _, u := range units {
		stream = payload.AppendAnnexB(stream, u)
	}
	return stream
}

// payloads returns all that a packetizer makes of a frame.
func payloads(t testing.TB, p payload.VideoPacketizer, frame []byte) [][]byte {
	t.Helper()
	if err := p.Begin(frame); err != nil {
		t.Fatal(err)
	}
	return rest(p)
}

func rest(p payload.VideoPacketizer) (all [][]byte) {
	for more := true; more; {
		var b []byte
		b, more = p.AppendPayload(nil)
		all = append(all, b)
	}
	return all
}

func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// The layouts are those of RFC 6184: figure 2 for single units, 7 for STAP-A, 14
// and 15 for FU-A.
func TestH264AppendFrame(t *testing.T) {
	idr := []byte{0x65, 0x88, 1, 2, 3, 4}
	for _, tt := range []struct {
		name string
		in   [][]byte
		want []byte // nil: malformed
	}{
		{"single unit", [][]byte{idr}, annexB(idr)},
		{"two single units", [][]byte{{0x06, 5}, idr}, annexB([]byte{0x06, 5}, idr)},
		{"STAP-A of two", [][]byte{{0x78, 0, 2, 0x67, 0x42, 0, 3, 0x68, 0xce, 1}}, annexB([]byte{0x67, 0x42}, []byte{0x68, 0xce, 1})},
		{"STAP-A of one", [][]byte{{0x78, 0, 2, 0x67, 0x42}}, annexB([]byte{0x67, 0x42})},
		{"FU-A of two", [][]byte{{0x7c, 0x85, 0x88, 1}, {0x7c, 0x45, 2, 3, 4}}, annexB(idr)},
		{"FU-A of three", [][]byte{{0x7c, 0x85, 0x88}, {0x7c, 0x05, 1, 2}, {0x7c, 0x45, 3, 4}}, annexB(idr)},
		{"FU-A of one", [][]byte{{0x7c, 0xc5, 0x88, 1, 2, 3, 4}}, annexB(idr)},
		{"FU-A with an empty fragment", [][]byte{{0x7c, 0x85, 0x88, 1, 2, 3, 4}, {0x7c, 0x45}}, annexB(idr)},
		{"header of FU-A keeps importance", [][]byte{{0x1c, 0x81, 0x89}, {0x1c, 0x41, 8}}, annexB([]byte{0x01, 0x89, 8})},
		{"single, FU-A, single", [][]byte{{0x09, 0x10}, {0x7c, 0x85, 0x88, 1}, {0x7c, 0x45, 2, 3, 4}, {0x06, 1}}, annexB([]byte{0x09, 0x10}, idr, []byte{0x06, 1})},

		{"nothing", nil, nil},
		{"empty", [][]byte{{}}, nil},
		{"STAP-A without units", [][]byte{{0x78}}, nil},
		{"STAP-A with half a length", [][]byte{{0x78, 0}}, nil},
		{"STAP-A without its unit", [][]byte{{0x78, 0, 2}}, nil},
		{"STAP-A cut short", [][]byte{{0x78, 0, 2, 0x67, 0x42, 0, 4, 0x68}}, nil},
		{"STAP-A with a byte left", [][]byte{{0x78, 0, 2, 0x67, 0x42, 0}}, nil},
		{"STAP-A with lengths of 0xffff", [][]byte{{0x78, 0xff, 0xff, 0x67, 0x42}}, nil},
		{"STAP-A with an empty unit", [][]byte{{0x78, 0, 0, 0, 1, 0x67}}, nil},
		{"STAP-A in a STAP-A", [][]byte{{0x78, 0, 4, 0x78, 0, 1, 0x67}}, nil},
		{"FU-A in a STAP-A", [][]byte{{0x78, 0, 3, 0x7c, 0xc5, 1}}, nil},
		{"FU-A without header", [][]byte{{0x7c}}, nil},
		{"FU-A of a FU-A", [][]byte{{0x7c, 0xdc, 1}}, nil},
		{"FU-A of type 0", [][]byte{{0x7c, 0xc0, 1}}, nil},
		{"FU-A without the first", [][]byte{{0x7c, 0x05, 1}, {0x7c, 0x45, 2}}, nil},
		{"FU-A without the last", [][]byte{{0x7c, 0x85, 1}, {0x7c, 0x05, 2}}, nil},
		{"FU-A with the first twice", [][]byte{{0x7c, 0x85, 1}, {0x7c, 0x85, 1}, {0x7c, 0x45, 2}}, nil},
		{"FU-A of two types", [][]byte{{0x7c, 0x85, 1}, {0x7c, 0x41, 2}}, nil},
		{"unit amid a FU-A", [][]byte{{0x7c, 0x85, 1}, {0x06, 1}, {0x7c, 0x45, 2}}, nil},
		{"type 0", [][]byte{{0x60, 1}}, nil},
		{"STAP-B", [][]byte{{0x79, 0, 1, 0, 2, 0x67, 0x42}}, nil},
		{"MTAP16", [][]byte{{0x7a, 0, 1, 0, 5, 0, 0, 0, 0x67, 0x42}}, nil},
		{"MTAP24", [][]byte{{0x7b, 0, 1, 0, 6, 0, 0, 0, 0, 0x67, 0x42}}, nil},
		{"FU-B", [][]byte{{0x7d, 0xc5, 0, 1, 0x88}}, nil},
		{"type 30", [][]byte{{0x7e, 1}}, nil},
		{"type 31", [][]byte{{0x7f, 1}}, nil},
		{"without its first slice", [][]byte{sps, {0x68, 0xce}, {0x65, 0x48, 1}}, nil},
		{"slice without content", [][]byte{{0x65}}, nil},
		{"bytes of 0xff", [][]byte{bytes.Repeat([]byte{0xff}, 40)}, nil},
		{"malformed after good", [][]byte{idr, {0x78, 0, 9, 1}}, nil},
	} {
		got, _, err := payload.H264{}.AppendFrame([]byte{99}, tt.in)
		if tt.want == nil {
			if !errors.Is(err, codec.ErrPayload) || !bytes.Equal(got, []byte{99}) {
				t.Errorf("%s: %x, %v, want an error", tt.name, got, err)
			}
			continue
		}
		if err != nil || !bytes.Equal(got[1:], tt.want) {
			t.Errorf("%s: %x, %v, want %x", tt.name, got[1:], err, tt.want)
		}
	}
}

func TestH264ParsePacket(t *testing.T) {
	recovery := []byte{0x06, 6, 1, 0xc4, 0x80}
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.VideoPart
	}{
		{"IDR", []byte{0x65, 0x88}, payload.VideoPart{Picture: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"first fragment of an IDR", []byte{0x7c, 0x85, 0x88}, payload.VideoPart{Picture: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"second fragment", []byte{0x7c, 0x05, 0x88}, payload.VideoPart{Picture: true, Continues: true}},
		{"slice", []byte{0x41, 0x9a}, payload.VideoPart{Picture: true}},
		{"slice that nothing refers to", []byte{0x01, 0x9a}, payload.VideoPart{Picture: true, VideoInfo: payload.VideoInfo{Discardable: true}}},
		{"first fragment of one that nothing refers to", []byte{0x1c, 0x81, 0x9a}, payload.VideoPart{Picture: true, VideoInfo: payload.VideoInfo{Discardable: true}}},
		{"slice that is not the first", []byte{0x41, 0x1a}, payload.VideoPart{Picture: true, Continues: true}},
		{"first fragment of such a slice", []byte{0x5c, 0x81, 0x1a}, payload.VideoPart{Picture: true, Continues: true}},
		{"fragment without content", []byte{0x5c, 0x81}, payload.VideoPart{Picture: true, Continues: true}},
		{"second fragment of an SPS", []byte{0x7c, 0x07, 66}, payload.VideoPart{Continues: true}},
		{"delimiter", []byte{0x09, 0x10}, payload.VideoPart{Start: true}},
		{"SPS", sps, payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Width: 320, Height: 240}}},
		{"PPS", []byte{0x68, 0xce}, payload.VideoPart{}},
		{"SPS, PPS and IDR in a STAP-A", stapA(sps, []byte{0x68, 0xce}, []byte{0x65, 0x88}), payload.VideoPart{Start: true, Picture: true, VideoInfo: payload.VideoInfo{Key: true, Width: 320, Height: 240}}},
		{"SEI, SPS and PPS in a STAP-A", stapA([]byte{0x06, 0x80}, sps, []byte{0x68, 0xce}), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Width: 320, Height: 240}}},
		{"slice and SPS in a STAP-A", stapA([]byte{0x41, 0x9a}, sps), payload.VideoPart{Picture: true, VideoInfo: payload.VideoInfo{Width: 320, Height: 240}}},
		{"first fragment of an SPS", []byte{0x7c, 0x87, 66}, payload.VideoPart{Start: true}},
		{"SEI with a recovery point", recovery, payload.VideoPart{VideoInfo: payload.VideoInfo{Recovery: true}}},
		{"recovery point after another message", concat([]byte{0x06, 5, 3, 1, 2, 3}, recovery[1:]), payload.VideoPart{VideoInfo: payload.VideoInfo{Recovery: true}}},
		{"recovery point after emulation prevention", concat([]byte{0x06, 5, 3, 0, 0, 3, 1}, recovery[1:]), payload.VideoPart{VideoInfo: payload.VideoInfo{Recovery: true}}},
		{"recovery point after a long message", concat([]byte{0x06, 5, 0xff, 1}, bytes.Repeat([]byte{6}, 256), recovery[1:]), payload.VideoPart{VideoInfo: payload.VideoInfo{Recovery: true}}},
		{"SEI without one", []byte{0x06, 5, 3, 6, 1, 2, 0x80}, payload.VideoPart{}},
		{"SEI cut short", []byte{0x06, 0xff, 0xff}, payload.VideoPart{}},
		{"SEI with a message that is longer", []byte{0x06, 5, 200, 6, 1}, payload.VideoPart{}},
	} {
		if got, err := (payload.H264{}).ParsePacket(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func stapA(units ...[]byte) []byte {
	b := []byte{0x78}
	for _, u := range units {
		b = append(append(b, byte(len(u)>>8), byte(len(u))), u...)
	}
	return b
}

func TestAnnexB(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want [][]byte
	}{
		{"empty", nil, nil},
		{"no start code", []byte{0x65, 1, 2}, nil},
		{"only start codes", []byte{0, 0, 1, 0, 0, 0, 1, 0, 0, 1}, nil},
		{"only zeros", make([]byte, 40), nil},
		{"start code of three", []byte{0, 0, 1, 0x65}, [][]byte{{0x65}}},
		{"start code of four", []byte{0, 0, 0, 1, 0x65, 1}, [][]byte{{0x65, 1}}},
		{"two", []byte{0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2}, [][]byte{{0x67, 1}, {0x68, 2}}},
		{"zeros before and after", []byte{0, 0, 0, 0, 0, 1, 0x67, 1, 0, 0, 0, 0, 1, 0x68, 0, 0}, [][]byte{{0x67, 1}, {0x68}}},
		{"bytes before", []byte{9, 9, 0, 0, 1, 0x67}, [][]byte{{0x67}}},
		{"zeros inside", []byte{0, 0, 1, 0x67, 0, 1, 0, 0, 3, 1, 7}, [][]byte{{0x67, 0, 1, 0, 0, 3, 1, 7}}},
		{"empty unit between", []byte{0, 0, 1, 0x67, 0, 0, 1, 0, 0, 1, 0x68}, [][]byte{{0x67}, {0x68}}},
	} {
		if got := slices.Collect(payload.AnnexB(tt.in)); !slices.EqualFunc(got, tt.want, bytes.Equal) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
	for u := range payload.AnnexB(annexB([]byte{0x67}, []byte{0x68})) {
		if u[0] != 0x67 {
			t.Errorf("went on after break")
		}
		break
	}
}

func TestAVCC(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		size int
		want [][]byte
	}{
		{"empty", nil, 4, nil},
		{"four", []byte{0, 0, 0, 1, 0x67, 0, 0, 0, 2, 0x68, 1}, 4, [][]byte{{0x67}, {0x68, 1}}},
		{"three", []byte{0, 0, 1, 0x67}, 3, [][]byte{{0x67}}},
		{"two", []byte{0, 1, 0x67, 0, 0, 0, 1, 0x68}, 2, [][]byte{{0x67}, {0x68}}},
		{"one", []byte{1, 0x67, 2, 0x68, 1}, 1, [][]byte{{0x67}, {0x68, 1}}},
		{"cut short", []byte{1, 0x67, 3, 0x68, 1}, 1, [][]byte{{0x67}}},
		{"half a length", []byte{0, 1, 0x67, 0}, 2, [][]byte{{0x67}}},
		{"length of 0xffffffff", []byte{0xff, 0xff, 0xff, 0xff, 0x67}, 4, nil},
		{"size of 0", []byte{1, 2}, 0, nil},
		{"size of 5", []byte{0, 0, 0, 0, 1, 2}, 5, nil},
	} {
		if got := slices.Collect(payload.AVCC(tt.in, tt.size)); !slices.EqualFunc(got, tt.want, bytes.Equal) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
	if got := payload.AppendAVCC([]byte{9}, []byte{0x65, 1}); !bytes.Equal(got, []byte{9, 0, 0, 0, 2, 0x65, 1}) {
		t.Errorf("appended %x", got)
	}
}

func TestH264Packetizer(t *testing.T) {
	sps, pps := unit(0x67, 8), unit(0x68, 4)
	for _, tt := range []struct {
		name   string
		max    int
		single bool
		units  [][]byte
		want   [][]byte
	}{
		{"small", 100, false, [][]byte{unit(0x65, 10)}, [][]byte{unit(0x65, 10)}},
		{"exactly as large as allowed", 100, false, [][]byte{unit(0x65, 100)}, [][]byte{unit(0x65, 100)}},
		{"parameter sets together", 100, false, [][]byte{sps, pps}, [][]byte{stapA(sps, pps)}},
		{"as many as fit", 17, false, [][]byte{sps, pps, pps}, [][]byte{stapA(sps, pps), pps}},
		{"mode 0", 100, true, [][]byte{sps, pps, unit(0x65, 100)}, [][]byte{sps, pps, unit(0x65, 100)}},
		{
			"greatest importance, and the forbidden bit", 100, false,
			[][]byte{{0x06, 1}, {0xa1, 2}, {0x41, 3}},
			[][]byte{concat([]byte{0xd8}, stapA([]byte{0x06, 1}, []byte{0xa1, 2}, []byte{0x41, 3})[1:])},
		},
		{
			"201 bytes in payloads of 100", 100, false,
			[][]byte{unit(0x65, 201)},
			[][]byte{
				concat([]byte{0x7c, 0x85}, unit(0x65, 201)[1:99]),
				concat([]byte{0x7c, 0x05}, unit(0x65, 201)[99:197]),
				concat([]byte{0x7c, 0x45}, unit(0x65, 201)[197:]),
			},
		},
		{
			"one byte too large", 100, false,
			[][]byte{unit(0x41, 101)},
			[][]byte{concat([]byte{0x5c, 0x81}, unit(0x41, 101)[1:99]), concat([]byte{0x5c, 0x41}, unit(0x41, 101)[99:])},
		},
		{
			"small before and after large", 20, false,
			[][]byte{pps, unit(0x65, 30), pps, pps},
			[][]byte{
				pps,
				concat([]byte{0x7c, 0x85}, unit(0x65, 30)[1:19]),
				concat([]byte{0x7c, 0x45}, unit(0x65, 30)[19:]),
				stapA(pps, pps),
			},
		},
		{
			"smallest payloads", 3, false,
			[][]byte{{0x65, 1, 2, 3}},
			[][]byte{{0x7c, 0x85, 1}, {0x7c, 0x05, 2}, {0x7c, 0x45, 3}},
		},
	} {
		p := &payload.H264Packetizer{MaxPayload: tt.max, SingleUnits: tt.single}
		if got := payloads(t, p, annexB(tt.units...)); !slices.EqualFunc(got, tt.want, bytes.Equal) {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
		if err := p.BeginUnits(tt.units); err != nil {
			t.Fatal(err)
		}
		if got := rest(p); !slices.EqualFunc(got, tt.want, bytes.Equal) {
			t.Errorf("%s, of units: %x, want %x", tt.name, got, tt.want)
		}
		if b, more := p.AppendPayload([]byte{1}); len(b) != 1 || more {
			t.Errorf("%s: %x, %v after the end", tt.name, b, more)
		}
	}
}

func TestH264PacketizerErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		p     payload.H264Packetizer
		frame []byte
	}{
		"empty":           {frame: nil},
		"no start code":   {frame: []byte{0x65, 1, 2}},
		"only start code": {frame: []byte{0, 0, 0, 1}},
		"zeros":           {frame: make([]byte, 1000)},
		"type 0":          {frame: annexB([]byte{0x60, 1})},
		"STAP-A":          {frame: annexB([]byte{0x65, 1}, []byte{0x78, 1})},
		"type 31":         {frame: annexB([]byte{0x7f, 1})},
		"mode 0":          {p: payload.H264Packetizer{MaxPayload: 100, SingleUnits: true}, frame: annexB(unit(0x65, 10), unit(0x65, 101))},
		"payloads of 2":   {p: payload.H264Packetizer{MaxPayload: 2}, frame: annexB(unit(0x65, 10))},
		"payloads of -1":  {p: payload.H264Packetizer{MaxPayload: -1}, frame: annexB(unit(0x65, 10))},
	} {
		p := tt.p
		if err := p.Begin(tt.frame); !errors.Is(err, payload.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
		if b, more := p.AppendPayload(nil); len(b) != 0 || more {
			t.Errorf("%s: still %x, %v", name, b, more)
		}
	}
	var p payload.H264Packetizer
	if err := p.BeginUnits([][]byte{nil, {}}); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("empty units: %v", err)
	}
	if b, more := p.AppendPayload(nil); b != nil || more {
		t.Errorf("without a frame: %x, %v", b, more)
	}
}

// A stream is scanned once whatever is in it.
func TestH264PacketizerTime(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		size          int
	}{
		{"one unit", "\x01", 8 << 20},
		{"zeros", "\x00", 8 << 20},
		{"pairs of zeros", "\x00\x00\x02", 8 << 20},
		{"start codes", "\x00\x00\x01", 8 << 20},
		{"units of a byte", "\x00\x00\x01\x65", 8 << 20},
	} {
		frame := concat([]byte("\x00\x00\x01\x65"), bytes.Repeat([]byte(tt.pattern), tt.size/len(tt.pattern)))
		began := time.Now()
		var p payload.H264Packetizer
		if err := p.Begin(frame); err != nil {
			t.Fatal(tt.name, err)
		}
		var buf []byte
		for more := true; more; {
			buf, more = p.AppendPayload(buf[:0])
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s took %v", tt.name, d)
		}
	}
}
