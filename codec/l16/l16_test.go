package l16_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/l16"
)

func TestByteOrder(t *testing.T) {
	pcm := []int16{0, 1, -1, 0x1234, -32768, 32767}
	want := []byte{0xAA, 0, 0, 0, 1, 0xFF, 0xFF, 0x12, 0x34, 0x80, 0, 0x7F, 0xFF}
	payload := l16.Append([]byte{0xAA}, pcm)
	if !slices.Equal(payload, want) {
		t.Errorf("Append = %x, want %x", payload, want)
	}
	got, err := l16.AppendPCM([]int16{7}, payload[1:])
	if err != nil || got[0] != 7 || !slices.Equal(got[1:], pcm) {
		t.Errorf("AppendPCM = %d, %v, want 7 and %d", got, err, pcm)
	}
	if got, err := l16.AppendPCM([]int16{7}, []byte{1, 2, 3}); !errors.Is(err, codec.ErrPayload) || len(got) != 1 {
		t.Errorf("AppendPCM of 3 bytes = %d, %v, want ErrPayload", got, err)
	}
}

func newCoders(t testing.TB, p codec.Params) (codec.Encoder, codec.Decoder) {
	t.Helper()
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.NewEncoder(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.NewDecoder(p)
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

func TestRegistered(t *testing.T) {
	stereo, _ := codec.Static(10)
	mono, _ := codec.Static(11)
	for _, tt := range []struct {
		p    codec.Params
		want audio.Format
	}{
		{stereo, audio.Format{Rate: 44100, Channels: 2}},
		{mono, audio.Format{Rate: 44100, Channels: 1}},
		{codec.Params{Name: "l16", ClockRate: 8000}, audio.Format{Rate: 8000, Channels: 1}},
		{codec.Params{Name: "L16", ClockRate: 48000, Channels: 2}, audio.Format{Rate: 48000, Channels: 2}},
	} {
		c, err := codec.Lookup(tt.p)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := c.Format(tt.p); f != tt.want || err != nil {
			t.Errorf("Format(%v) = %v, %v, want %v", tt.p, f, err, tt.want)
		}
		e, _ := newCoders(t, tt.p)
		if n := e.(codec.SampleCodec).SampleSize(); n != 2*tt.want.Channels {
			t.Errorf("%v: SampleSize is %d, want %d", tt.p, n, 2*tt.want.Channels)
		}
	}
	c, err := codec.Lookup(mono)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []codec.Params{
		{Name: "L16"},
		{Name: "L16", ClockRate: 7999},
		{Name: "L16", ClockRate: 48001},
		{Name: "L16", ClockRate: 44100, Channels: 3},
		{Name: "L16", ClockRate: 44100, Channels: -1},
	} {
		if _, err := codec.Lookup(p); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("Lookup(%v): %v, want ErrFormat", p, err)
		}
		if _, err := c.NewEncoder(p); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("NewEncoder(%v): %v, want ErrFormat", p, err)
		}
		if _, err := c.NewDecoder(p); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("NewDecoder(%v): %v, want ErrFormat", p, err)
		}
	}
}

func TestCodersRefuse(t *testing.T) {
	e, d := newCoders(t, codec.Params{Name: "L16", ClockRate: 48000, Channels: 2})
	if b, err := e.Encode([]byte{9}, make([]int16, 3)); !errors.Is(err, audio.ErrFormat) || len(b) != 1 {
		t.Errorf("Encode of a half sample = %x, %v, want ErrFormat", b, err)
	}
	for _, n := range []int{1, 2, 3, 6, 2*codec.MaxFrame + 4} {
		if pcm, err := d.Decode([]int16{9}, make([]byte, n)); !errors.Is(err, codec.ErrPayload) || len(pcm) != 1 {
			t.Errorf("Decode of %d bytes = %d samples, %v, want ErrPayload", n, len(pcm), err)
		}
	}
	if pcm, err := d.Decode(nil, make([]byte, 2*codec.MaxFrame)); err != nil || len(pcm) != codec.MaxFrame {
		t.Errorf("Decode of %d bytes = %d samples, %v", 2*codec.MaxFrame, len(pcm), err)
	}
}

func TestNoAllocations(t *testing.T) {
	e, d := newCoders(t, codec.Params{Name: "L16", ClockRate: 48000, Channels: 2})
	pcm, b := make([]int16, 1920), make([]byte, 0, 3840)
	if n := testing.AllocsPerRun(100, func() {
		b, _ = e.Encode(b[:0], pcm)
		pcm, _ = d.Decode(pcm[:0], b)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, 1)
	f.Add([]byte{0x80, 0x00, 0x7F, 0xFF}, 2)
	f.Add([]byte{0, 1, 2}, 1)
	f.Add([]byte{0, 1, 2, 3, 4, 5}, 2)
	f.Fuzz(func(t *testing.T, payload []byte, channels int) {
		p := codec.Params{Name: "L16", ClockRate: 44100, Channels: channels}
		c, err := codec.Lookup(p)
		if err != nil {
			return
		}
		e, _ := c.NewEncoder(p)
		d, _ := c.NewDecoder(p)
		pcm, err := d.Decode(nil, payload)
		if err != nil {
			if !errors.Is(err, codec.ErrPayload) || len(pcm) != 0 {
				t.Fatalf("Decode = %d samples, %v", len(pcm), err)
			}
			return
		}
		b, err := e.Encode(nil, pcm)
		if err != nil || !slices.Equal(b, payload) {
			t.Fatalf("%x comes back as %x, %v", payload, b, err)
		}
	})
}

func ExampleAppend() {
	payload := l16.Append(nil, []int16{1, -2, 0x1234})
	fmt.Printf("%x\n", payload)
	pcm, err := l16.AppendPCM(nil, payload)
	fmt.Println(pcm, err)
	// Output:
	// 0001fffe1234
	// [1 -2 4660] <nil>
}

func BenchmarkEncode(b *testing.B) {
	pcm, out := make([]int16, 960), make([]byte, 0, 1920)
	for b.Loop() {
		out = l16.Append(out[:0], pcm)
	}
}

func BenchmarkDecode(b *testing.B) {
	payload, out := make([]byte, 1920), make([]int16, 0, 960)
	for b.Loop() {
		out, _ = l16.AppendPCM(out[:0], payload)
	}
}
