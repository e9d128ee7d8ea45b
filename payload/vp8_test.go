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

// vp8Frame returns a frame of n bytes that begins as RFC 6386, section 9.1, has
// it, a key frame of 640x480.
func vp8Frame(key bool, n int) []byte {
	f := unit(0x31, n)
	if key {
		copy(f, []byte{0x10, 2, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01})
	}
	return f
}

// The fields are those of RFC 7741, section 4.2.
func TestVP8Descriptor(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.VP8Descriptor
	}{
		{"bare", []byte{0x10}, payload.VP8Descriptor{Start: true}},
		{"nothing set", []byte{0x00}, payload.VP8Descriptor{}},
		{"no reference, partition 5", []byte{0x25}, payload.VP8Descriptor{NonReference: true, Partition: 5}},
		{"picture ID of 7 bits", []byte{0x90, 0x80, 0x11}, payload.VP8Descriptor{Start: true, PictureIDBits: 7, PictureID: 17}},
		{"picture ID of 15 bits", []byte{0x90, 0x80, 0x92, 0x67}, payload.VP8Descriptor{Start: true, PictureIDBits: 15, PictureID: 4711}},
		{"TL0PICIDX", []byte{0x90, 0x40, 0xff}, payload.VP8Descriptor{Start: true, HasTL0PICIDX: true, TL0PICIDX: 255}},
		{"TID", []byte{0x90, 0x20, 0xe0}, payload.VP8Descriptor{Start: true, HasTID: true, TID: 3, LayerSync: true}},
		{"KEYIDX", []byte{0x90, 0x10, 0x1f}, payload.VP8Descriptor{Start: true, HasKeyIndex: true, KeyIndex: 31}},
		{
			"all",
			[]byte{0xb7, 0xf0, 0xff, 0xfe, 0x09, 0x8a},
			payload.VP8Descriptor{
				NonReference: true, Start: true, Partition: 7, PictureIDBits: 15, PictureID: 0x7ffe,
				HasTL0PICIDX: true, TL0PICIDX: 9, HasTID: true, TID: 2, HasKeyIndex: true, KeyIndex: 10,
			},
		},
	} {
		data := []byte{7, 8, 9}
		got, rest, err := payload.ParseVP8Descriptor(concat(tt.in, data))
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
			if _, _, err := payload.ParseVP8Descriptor(tt.in[:i]); !errors.Is(err, codec.ErrPayload) {
				t.Errorf("%s: %v after %d bytes", tt.name, err, i)
			}
		}
	}
	// Reserved bits, and the layer of a byte that is there for KEYIDX alone.
	got, _, err := payload.ParseVP8Descriptor([]byte{0xd8, 0x1f, 0xff, 1})
	if want := (payload.VP8Descriptor{Start: true, HasKeyIndex: true, KeyIndex: 31}); err != nil || got != want {
		t.Errorf("reserved bits: %+v, %v", got, err)
	}
}

func TestVP8ParsePacket(t *testing.T) {
	key := vp8Frame(true, 12)
	for _, tt := range []struct {
		name string
		in   []byte
		want payload.VideoPart
	}{
		{"key frame", concat([]byte{0x10}, key), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true, Width: 640, Height: 480}}},
		{"scaled", []byte{0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x41, 0xf0, 0xc0}, payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true, Width: 320, Height: 240}}},
		{"key frame cut before its size", concat([]byte{0x10}, key[:9]), payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"key frame without its start code", []byte{0x10, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Key: true}}},
		{"inter frame", []byte{0x10, 0x01}, payload.VideoPart{Start: true}},
		{"no reference", []byte{0x30, 0x01}, payload.VideoPart{Start: true, VideoInfo: payload.VideoInfo{Discardable: true}}},
		{"continuation that looks like a key frame", concat([]byte{0x00}, key), payload.VideoPart{}},
		{"another partition", concat([]byte{0x11}, key), payload.VideoPart{}},
	} {
		tt.want.Picture, tt.want.Continues = true, !tt.want.Start
		if got, err := (payload.VP8{}).ParsePacket(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestVP8AppendFrame(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   [][]byte
		want []byte
	}{
		{"one", [][]byte{{0x10, 1}}, []byte{1}},
		{"two", [][]byte{{0x10, 1}, {0x00, 2, 3}}, []byte{1, 2, 3}},
		{"three", [][]byte{{0x10, 1}, {0x00, 2}, {0x00, 3}}, []byte{1, 2, 3}},
		{"partitions", [][]byte{{0x10, 1}, {0x00, 2}, {0x11, 3}, {0x01, 4}, {0x12, 5}}, []byte{1, 2, 3, 4, 5}},
		{"picture IDs", [][]byte{{0x90, 0x80, 5, 1}, {0x80, 0x80, 0x80, 5, 2}}, []byte{1, 2}},

		{"nothing", nil, nil},
		{"empty", [][]byte{{}}, nil},
		{"without the first", [][]byte{{0x00, 2}, {0x00, 3}}, nil},
		{"beginning with another partition", [][]byte{{0x11, 2}, {0x01, 3}}, nil},
		{"two frames", [][]byte{{0x10, 1}, {0x10, 2}}, nil},
		{"cut short", [][]byte{{0x10, 1}, {0x80, 0x80}}, nil},
	} {
		got, _, err := payload.VP8{}.AppendFrame([]byte{99}, tt.in)
		if tt.want == nil {
			if !errors.Is(err, codec.ErrPayload) || !bytes.Equal(got, []byte{99}) {
				t.Errorf("%s: %x, %v, want an error", tt.name, got, err)
			}
		} else if err != nil || !bytes.Equal(got[1:], tt.want) {
			t.Errorf("%s: %x, %v, want %x", tt.name, got[1:], err, tt.want)
		}
	}
	// The header may be in several packets.
	key := vp8Frame(true, 20)
	_, info, err := payload.VP8{}.AppendFrame(nil, [][]byte{concat([]byte{0x10}, key[:4]), concat([]byte{0x20}, key[4:])})
	if want := (payload.VideoInfo{Key: true, Discardable: true, Width: 640, Height: 480}); err != nil || info != want {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestVP8Packetizer(t *testing.T) {
	p := &payload.VP8Packetizer{MaxPayload: 1000}
	frame := vp8Frame(true, 2560)
	want := [][]byte{concat([]byte{0x10}, frame[:999]), concat([]byte{0}, frame[999:1998]), concat([]byte{0}, frame[1998:])}
	if got := payloads(t, p, frame); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%x", got)
	}
	if got := payloads(t, p, frame[:999]); len(got) != 1 || len(got[0]) != 1000 {
		t.Errorf("%d payloads of a frame that fits", len(got))
	}

	// Picture IDs count frames and wrap; the layer is that which the caller sets.
	p = &payload.VP8Packetizer{Descriptor: payload.VP8Descriptor{PictureIDBits: 15, PictureID: 0x7fff, Start: true, Partition: 3}}
	for _, want := range [][]byte{{0x90, 0x80, 0xff, 0xff, 1}, {0x90, 0x80, 0x80, 0, 1}, {0xb0, 0xa0, 0x80, 1, 0x40, 1}} {
		if want[0] == 0xb0 {
			p.Descriptor.HasTID, p.Descriptor.TID, p.Descriptor.NonReference = true, 1, true
		}
		if got := payloads(t, p, []byte{1}); len(got) != 1 || !bytes.Equal(got[0], want) {
			t.Errorf("%x, want %x", got, want)
		}
	}
	p = &payload.VP8Packetizer{Descriptor: payload.VP8Descriptor{PictureIDBits: 7, PictureID: 0x7f}}
	for _, want := range []byte{0x7f, 0, 1} {
		if got := payloads(t, p, []byte{1}); got[0][2] != want {
			t.Errorf("%x, want the ID %d", got, want)
		}
	}

	if err := p.Begin(nil); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("empty frame: %v", err)
	}
	p.MaxPayload = 7
	if err := p.Begin(frame); !errors.Is(err, payload.ErrFrame) {
		t.Errorf("payloads of 7: %v", err)
	}
	if b, more := p.AppendPayload([]byte{1}); len(b) != 1 || more {
		t.Errorf("%x, %v without a frame", b, more)
	}
}
