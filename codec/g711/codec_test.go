package g711_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/g711"
)

func TestRegistered(t *testing.T) {
	for _, tt := range []struct {
		p    codec.Params
		want audio.Format // zero: no such codec
	}{
		{codec.Params{Name: "PCMU", ClockRate: 8000}, audio.Format{Rate: 8000, Channels: 1}},
		{codec.Params{Name: "pcma", ClockRate: 8000, Channels: 1}, audio.Format{Rate: 8000, Channels: 1}},
		{codec.Params{Name: "PCMU", ClockRate: 16000, Channels: 2}, audio.Format{Rate: 16000, Channels: 2}},
		{codec.Params{Name: "PCMA", ClockRate: 48000, Channels: 2}, audio.Format{Rate: 48000, Channels: 2}},
		{codec.Params{Name: "PCMU"}, audio.Format{}},
		{codec.Params{Name: "PCMU", ClockRate: 7999}, audio.Format{}},
		{codec.Params{Name: "PCMU", ClockRate: 48001}, audio.Format{}},
		{codec.Params{Name: "PCMA", ClockRate: 8000, Channels: 3}, audio.Format{}},
		{codec.Params{Name: "PCMA", ClockRate: 8000, Channels: -1}, audio.Format{}},
	} {
		c, err := codec.Lookup(tt.p)
		if tt.want == (audio.Format{}) {
			if !errors.Is(err, audio.ErrFormat) {
				t.Errorf("Lookup(%v): %v, want ErrFormat", tt.p, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Lookup(%v): %v", tt.p, err)
			continue
		}
		if f, err := c.Format(tt.p); f != tt.want || err != nil {
			t.Errorf("Format(%v) = %v, %v, want %v", tt.p, f, err, tt.want)
		}
		e, err := c.NewEncoder(tt.p)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.(codec.SampleCodec).SampleSize(); n != tt.want.Channels {
			t.Errorf("%v: SampleSize is %d, want %d", tt.p, n, tt.want.Channels)
		}
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

func TestNewCodersCheckParams(t *testing.T) {
	p := codec.Params{Name: "PCMU", ClockRate: 8000}
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Channels = 6
	if _, err := c.NewEncoder(p); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("NewEncoder: %v, want ErrFormat", err)
	}
	if _, err := c.NewDecoder(p); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("NewDecoder: %v, want ErrFormat", err)
	}
}

func TestCodersAppend(t *testing.T) {
	e, d := newCoders(t, codec.Params{Name: "PCMU", ClockRate: 8000})
	b, err := e.Encode([]byte{1, 2}, []int16{0, 32767, -32768})
	if want := []byte{1, 2, 0xFF, 0x80, 0x00}; err != nil || !slices.Equal(b, want) {
		t.Errorf("Encode = %x, %v, want %x", b, err, want)
	}
	pcm, err := d.Decode([]int16{7}, b[2:])
	if want := []int16{7, 0, 32124, -32124}; err != nil || !slices.Equal(pcm, want) {
		t.Errorf("Decode = %d, %v, want %d", pcm, err, want)
	}
	if b, err := e.Encode(nil, nil); len(b) != 0 || err != nil {
		t.Errorf("Encode of nothing = %x, %v", b, err)
	}
	if pcm, err := d.Decode(nil, nil); len(pcm) != 0 || err != nil {
		t.Errorf("Decode of nothing = %d, %v", pcm, err)
	}
}

func TestCodersRefuse(t *testing.T) {
	e, d := newCoders(t, codec.Params{Name: "PCMA", ClockRate: 8000, Channels: 2})
	if b, err := e.Encode([]byte{9}, make([]int16, 3)); !errors.Is(err, audio.ErrFormat) || len(b) != 1 {
		t.Errorf("Encode of a half sample = %x, %v, want ErrFormat", b, err)
	}
	for _, n := range []int{3, codec.MaxFrame + 1, codec.MaxFrame + 2, 1 << 20} {
		if pcm, err := d.Decode([]int16{9}, make([]byte, n)); !errors.Is(err, codec.ErrPayload) || len(pcm) != 1 {
			t.Errorf("Decode of %d bytes = %d samples, %v, want ErrPayload", n, len(pcm), err)
		}
	}
	if pcm, err := d.Decode(nil, make([]byte, codec.MaxFrame)); err != nil || len(pcm) != codec.MaxFrame {
		t.Errorf("Decode of %d bytes = %d samples, %v", codec.MaxFrame, len(pcm), err)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, name := range []string{"PCMU", "PCMA"} {
		e, d := newCoders(t, codec.Params{Name: name, ClockRate: 8000})
		pcm, b := make([]int16, 160), make([]byte, 0, 160)
		if n := testing.AllocsPerRun(100, func() {
			b, _ = e.Encode(b[:0], pcm)
			pcm, _ = d.Decode(pcm[:0], b)
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame", name, n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{0x00, 0x7F, 0x80, 0xFF}, false)
	f.Add([]byte{0x55, 0xD5, 0x2A, 0xAA, 0x00}, true)
	f.Fuzz(func(t *testing.T, payload []byte, stereo bool) {
		for _, name := range []string{"PCMU", "PCMA"} {
			p := codec.Params{Name: name, ClockRate: 8000, Channels: 1}
			if stereo {
				p.Channels = 2
			}
			e, d := newCoders(t, p)
			pcm, err := d.Decode(nil, payload)
			if err != nil {
				if !errors.Is(err, codec.ErrPayload) || len(pcm) != 0 {
					t.Fatalf("Decode = %d samples, %v", len(pcm), err)
				}
				continue
			}
			b, err := e.Encode(nil, pcm)
			if err != nil || len(b) != len(payload) {
				t.Fatalf("Encode = %d bytes, %v, want %d", len(b), err, len(payload))
			}
			again := g711.AppendPCMFromMuLaw
			if name == "PCMA" {
				again = g711.AppendPCMFromALaw
			}
			if !slices.Equal(again(nil, b), pcm) {
				t.Fatalf("%s: a second hop changes the samples", name)
			}
		}
	})
}
