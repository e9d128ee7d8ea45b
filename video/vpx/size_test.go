package vpx

import (
	"errors"
	"testing"

	"github.com/parley-media/parley/video"
)

// bitWriter makes the headers of the tests.
type bitWriter struct {
	data []byte
	n    int
}

func (w *bitWriter) put(value, bits int) *bitWriter {
	for i := bits - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.data = append(w.data, 0)
		}
		w.data[w.n/8] |= byte(value>>i&1) << (7 - w.n%8)
		w.n++
	}
	return w
}

const syncCode = 0x498342

func vp9Key(w, h int) []byte {
	return new(bitWriter).put(2, 2).put(0, 2).put(0, 1).put(0, 1).put(1, 1).put(0, 1).
		put(syncCode, 24).put(1, 3).put(0, 1).put(w-1, 16).put(h-1, 16).put(0, 1).data
}

func vp9IntraOnly(w, h, resilient int) []byte {
	b := new(bitWriter).put(2, 2).put(0, 2).put(0, 1).put(1, 1).put(0, 1).put(resilient, 1).put(1, 1)
	if resilient == 0 {
		b.put(0, 2)
	}
	return b.put(syncCode, 24).put(255, 8).put(w-1, 16).put(h-1, 16).data
}

// vp9Inter has a size of its own, or that of the reference found, 0 to 2.
func vp9Inter(w, h, found int) []byte {
	b := new(bitWriter).put(2, 2).put(0, 2).put(0, 1).put(1, 1).put(1, 1).put(0, 1).put(0, 2).
		put(1, 8).put(0, 4).put(1<<1, 4).put(2<<1, 4)
	for i := range 3 {
		b.put(map[bool]int{true: 1}[i == found], 1)
		if i == found {
			return b.data
		}
	}
	return b.put(w-1, 16).put(h-1, 16).data
}

func vp8Key(w, h int) []byte {
	return []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, byte(w), byte(w >> 8), byte(h), byte(h >> 8)}
}

func superframe(frames ...[]byte) (b []byte) {
	index := []byte{0xC0 | 1<<3 | byte(len(frames)-1)}
	for _, f := range frames {
		b = append(b, f...)
		index = append(index, byte(len(f)), byte(len(f)>>8))
	}
	return append(append(b, index...), index[0])
}

func TestSizeIsReadBeforeMemoryIsSpent(t *testing.T) {
	const most = 1 << 20
	small := vp9Key(640, 480)
	for _, c := range []struct {
		name  string
		codec codecID
		data  []byte
		ok    bool
	}{
		{"empty", vp8, nil, false},
		{"two bytes", vp8, []byte{1, 0}, false},
		{"delta", vp8, []byte{1, 0, 0}, true},
		{"key", vp8, vp8Key(1024, 1024), true},
		{"scaled", vp8, vp8Key(640|1<<14, 480|2<<14), true},
		{"one row more", vp8, vp8Key(1024, 1025), false},
		{"largest", vp8, vp8Key(16383, 16383), false},
		{"no width", vp8, vp8Key(0, 480), false},
		{"cut short", vp8, vp8Key(640, 480)[:9], false},
		{"no start code", vp8, append([]byte{0, 0, 0, 1}, vp8Key(640, 480)[4:]...), false},

		{"empty", vp9, nil, false},
		{"key", vp9, small, true},
		{"thin", vp9, vp9Key(16385, 1), false},
		{"largest", vp9, vp9Key(65536, 65536), false},
		{"one row more", vp9, vp9Key(1024, 1025), false},
		{"cut short", vp9, small[:7], false},
		{"no sync code", vp9, append([]byte{small[0], 0}, small[2:]...), false},
		{"intra-only", vp9, vp9IntraOnly(640, 480, 0), true},
		{"large intra-only", vp9, vp9IntraOnly(16000, 16000, 0), false},
		{"large resilient intra-only", vp9, vp9IntraOnly(16000, 16000, 1), false},
		{"inter with a size", vp9, vp9Inter(640, 480, -1), true},
		{"inter with a large size", vp9, vp9Inter(10240, 7680, -1), false},
		{"inter of the third size", vp9, vp9Inter(0, 0, 2), true},
		{"profile 1", vp9, []byte{0xA0, 1, 2, 3}, false},
		{"other marker", vp9, []byte{0x40, 1, 2, 3}, false},
		{"shows an old one", vp9, []byte{0x88}, true},
		{"superframe", vp9, superframe(small, vp9Inter(640, 480, -1), []byte{0x88}), true},
		{"large second of a superframe", vp9, superframe(small, vp9Inter(10240, 7680, -1)), false},
		{"superframe with nothing in it", vp9, superframe(small, nil), false},
		{"superframe that is cut short", vp9, superframe(small, small)[8:], false},
	} {
		var err error
		if c.codec == vp8 {
			_, err = checkVP8(c.data, most)
		} else {
			_, _, err = checkVP9(c.data, most)
		}
		if (err == nil) != c.ok || err != nil && !errors.Is(err, video.ErrFrame) {
			t.Errorf("%v, %s: %v", c.codec, c.name, err)
		}
	}
}

// Decoding begins at the frames that are told to be key frames.
func TestKeyIsSeen(t *testing.T) {
	const most = 1 << 20
	for _, c := range []struct {
		data []byte
		want bool
	}{
		{vp9Key(64, 64), true},
		{vp9IntraOnly(64, 64, 0), false},
		{vp9Inter(64, 64, 1), false},
		{[]byte{0x88}, false},
		{superframe(vp9Key(64, 64), vp9Inter(128, 128, -1)), true},
		{superframe(vp9Inter(64, 64, 0), vp9Key(64, 64)), false},
	} {
		if key, _, err := checkVP9(c.data, most); key != c.want || err != nil {
			t.Errorf("% x: key %v, %v", c.data, key, err)
		}
	}
	if key, err := checkVP8(vp8Key(64, 64), most); !key || err != nil {
		t.Errorf("VP8: key %v, %v", key, err)
	}
	if key, err := checkVP8([]byte{0x11, 0, 0}, most); key || err != nil {
		t.Errorf("VP8: key %v, %v", key, err)
	}
}

// What is made a superframe is one, of one frame.
func TestIndex(t *testing.T) {
	for _, f := range [][]byte{vp9Key(640, 480), {0x88}, append(vp9Key(64, 64), make([]byte, 70000)...)} {
		b := appendIndex(append([]byte(nil), f...))
		if _, indexed, err := checkVP9(b, 1<<20); err != nil || !indexed || len(b) != len(f)+6 {
			t.Errorf("%d bytes: %v, %v", len(f), indexed, err)
		}
		b[len(b)-2] = 1 // more than there is
		if _, _, err := checkVP9(b, 1<<20); err == nil {
			t.Errorf("%d bytes: no error for a size beyond the end", len(f))
		}
	}
}
