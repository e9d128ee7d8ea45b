package bits_test

import (
	"testing"

	"github.com/parley-media/parley/internal/bits"
)

func TestRead(t *testing.T) {
	r := bits.Reader{Data: []byte{0b10110011, 0xff, 0x12, 0x34, 0x56}}
	for i, step := range []struct {
		n    int
		want uint32
	}{{1, 1}, {2, 1}, {0, 0}, {5, 0b10011}, {32, 0xff123456}} {
		if got := r.Read(step.n); got != step.want || r.Short {
			t.Errorf("step %d: %#x, want %#x, short %v", i, got, step.want, r.Short)
		}
	}
	if got := r.Read(3); got != 0 || !r.Short {
		t.Errorf("past the end: %d, short %v", got, r.Short)
	}
	r = bits.Reader{Data: []byte{0xff}}
	if r.Read(4); r.Read(6) != 0b111100 || !r.Short {
		t.Error("a number that is cut off is not filled up with zeros")
	}
}

// A byte 3 after two zeros is left out, one that was left out begins anew.
func TestReadEscaped(t *testing.T) {
	r := bits.Reader{Data: []byte{0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 3, 0, 0, 3}, Escaped: true}
	for i, step := range []struct {
		n    int
		want uint32
	}{{4, 0}, {32, 0x00001000}, {32, 0x30}, {20, 0x30000}} {
		if got := r.Read(step.n); got != step.want || r.Short {
			t.Errorf("step %d: %#x, want %#x, short %v", i, got, step.want, r.Short)
		}
	}
	if r.Read(1); !r.Short {
		t.Error("the last byte is read")
	}
}

// The first codes are those of table 9-2 of ITU-T H.264.
func TestGolomb(t *testing.T) {
	r := bits.Reader{Data: []byte{0b1_010_011_0, 0b0100_0010, 0b1_0011000}}
	for want := range uint32(5) {
		if got := r.Golomb(); got != want || r.Short {
			t.Errorf("%d, want %d, short %v", got, want, r.Short)
		}
	}
	r = bits.Reader{Data: []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe}}
	if got := r.Golomb(); got != 1<<32-2 || r.Short {
		t.Errorf("largest: %#x, short %v", got, r.Short)
	}
	for _, data := range [][]byte{nil, {0}, {0, 0, 0, 0, 0x80, 1, 1, 1, 1}, {0, 1}} {
		r = bits.Reader{Data: data}
		if r.Golomb(); !r.Short {
			t.Errorf("% x is a number", data)
		}
	}
}
