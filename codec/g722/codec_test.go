package g722_test

import (
	"errors"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g722"
)

func TestRegistered(t *testing.T) {
	p, ok := codec.Static(9)
	if !ok {
		t.Fatal("payload type 9 is not known")
	}
	c, err := codec.Lookup(p)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := c.Format(p); f != (audio.Format{Rate: 16000, Channels: 1}) || err != nil {
		t.Errorf("Format = %v, %v, want 16000 Hz mono", f, err)
	}
	e, err := c.NewEncoder(p)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.NewDecoder(p)
	if err != nil {
		t.Fatal(err)
	}
	if f := e.(codec.FrameCodec); !f.Takes(532) || f.Takes(533) {
		t.Error("does not take pairs")
	}
	payload, err := e.Encode(nil, make([]int16, 320))
	if len(payload) != 160 || err != nil {
		t.Fatalf("Encode = %d bytes, %v, want 160", len(payload), err)
	}
	if pcm, err := d.Decode(nil, payload); len(pcm) != 320 || err != nil {
		t.Fatalf("Decode = %d samples, %v, want 320", len(pcm), err)
	}
}

func TestParams(t *testing.T) {
	c, err := codec.Lookup(codec.Params{Name: "g722", ClockRate: 8000})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []codec.Params{
		{Name: "G722", ClockRate: 16000},
		{Name: "G722", ClockRate: 8000, Channels: 2},
		{Name: "G722", ClockRate: 8000, Channels: -1},
		{Name: "G722"},
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
