package payload_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// The fields are those of RFC 2198, section 3: F, 7 bits of payload type, 14
// bits of offset, 10 bits of length; the primary block has a byte.
func TestAppendRED(t *testing.T) {
	for _, tt := range []struct {
		blocks []payload.REDBlock
		want   []byte
	}{
		{[]payload.REDBlock{{PayloadType: 5}}, []byte{5}},
		{[]payload.REDBlock{{PayloadType: 127, Payload: []byte{1, 2}}}, []byte{127, 1, 2}},
		// Offset 160 and length 2 are 160<<10 | 2 = 0x028002.
		{
			[]payload.REDBlock{{PayloadType: 0, Offset: 160, Payload: []byte{7, 8}}, {PayloadType: 8, Payload: []byte{9}}},
			[]byte{0x80, 0x02, 0x80, 0x02, 8, 7, 8, 9},
		},
		{
			[]payload.REDBlock{{PayloadType: 111, Offset: 16383}, {PayloadType: 111, Offset: 1, Payload: []byte{1}}, {PayloadType: 111, Payload: []byte{2}}},
			[]byte{0xef, 0xff, 0xfc, 0, 0xef, 0, 4, 1, 111, 1, 2},
		},
	} {
		got, err := payload.AppendRED([]byte{99}, tt.blocks...)
		if err != nil || !bytes.Equal(got[1:], tt.want) || got[0] != 99 {
			t.Errorf("AppendRED(%v) = %v, %v, want %v", tt.blocks, got[1:], err, tt.want)
		}
		if n := payload.REDSize(tt.blocks...); n != len(tt.want) {
			t.Errorf("REDSize(%v) = %d, want %d", tt.blocks, n, len(tt.want))
		}
		r, err := payload.ParseRED(tt.want)
		if err != nil || r.Len() != len(tt.blocks) {
			t.Fatalf("ParseRED(%v): %d blocks, %v", tt.want, r.Len(), err)
		}
		i := 0
		for b := range r.All() {
			if w := tt.blocks[i]; b.PayloadType != w.PayloadType || b.Offset != w.Offset || !bytes.Equal(b.Payload, w.Payload) {
				t.Errorf("block %d is %v, want %v", i, b, w)
			}
			i++
		}
		if p := r.Primary(); !bytes.Equal(p.Payload, tt.blocks[len(tt.blocks)-1].Payload) {
			t.Errorf("primary block %v", p)
		}
	}
}

func TestAppendREDErrors(t *testing.T) {
	primary := payload.REDBlock{PayloadType: 1}
	for name, blocks := range map[string][]payload.REDBlock{
		"none":               nil,
		"nine":               make([]payload.REDBlock, 9),
		"payload type":       {{PayloadType: 128}},
		"primary offset":     {{Offset: 1}},
		"offset of 15 bits":  {{Offset: 16384}, primary},
		"length of 11 bits":  {{Payload: make([]byte, 1024)}, primary},
		"redundant type 128": {{PayloadType: 128}, primary},
	} {
		if got, err := payload.AppendRED([]byte{1}, blocks...); !errors.Is(err, payload.ErrRED) || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestParseREDErrors(t *testing.T) {
	nine := append(bytes.Repeat([]byte{0x80, 0, 0, 0}, 8), 0)
	for name, in := range map[string][]byte{
		"empty":          nil,
		"header cut":     {0x80, 0, 0},
		"no primary":     {0x80, 0, 0, 0},
		"block too long": {0x80, 0, 0, 2, 0, 1},
		"nine blocks":    nine,
	} {
		if _, err := payload.ParseRED(in); !errors.Is(err, codec.ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, err := payload.ParseRED(nine[4:]); err != nil || r.Len() != 8 {
		t.Errorf("eight blocks: %d, %v", r.Len(), err)
	}
	if p := (payload.RED{}).Primary(); p.Payload != nil {
		t.Errorf("the zero value has the block %v", p)
	}
}

func TestREDDoesNotAllocate(t *testing.T) {
	blocks := []payload.REDBlock{{Offset: 320, Payload: make([]byte, 160)}, {Offset: 160, Payload: make([]byte, 160)}, {Payload: make([]byte, 160)}}
	buf := make([]byte, 0, 600)
	if a := testing.AllocsPerRun(100, func() {
		b, err := payload.AppendRED(buf, blocks...)
		if err != nil {
			t.Fatal(err)
		}
		r, err := payload.ParseRED(b)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for block := range r.All() {
			n += len(block.Payload)
		}
		if n != 480 || len(r.Primary().Payload) != 160 {
			t.Fatalf("%d bytes", n)
		}
	}); a != 0 {
		t.Errorf("%v allocations, want 0", a)
	}
}

func FuzzRED(f *testing.F) {
	f.Add([]byte{0x80, 0x02, 0x80, 0x02, 8, 7, 8, 9})
	f.Add([]byte{127})
	f.Add([]byte{0xef, 0xff, 0xfc, 0, 0xef, 0, 4, 1, 111, 1, 2})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := payload.ParseRED(in)
		if err != nil {
			if !errors.Is(err, codec.ErrPayload) {
				t.Fatal(err)
			}
			return
		}
		var blocks []payload.REDBlock
		for b := range r.All() {
			blocks = append(blocks, b)
		}
		out, err := payload.AppendRED(nil, blocks...)
		if err != nil || !bytes.Equal(out, in) {
			t.Fatalf("%v became %v, %v", in, out, err)
		}
	})
}

// A packet carries its own frame and the one before it.
func ExampleAppendRED() {
	b, err := payload.AppendRED(nil,
		payload.REDBlock{PayloadType: 0, Offset: 160, Payload: []byte("old")},
		payload.REDBlock{PayloadType: 0, Payload: []byte("new")})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := payload.ParseRED(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	for block := range r.All() {
		fmt.Println(block.Offset, string(block.Payload))
	}
	// Output:
	// 160 old
	// 0 new
}
