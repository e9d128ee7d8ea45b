package dtmf_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parley-media/parley/dtmf"
)

func TestEventBytes(t *testing.T) {
	for _, c := range []struct {
		event dtmf.Event
		bytes []byte
	}{
		{dtmf.Event{Code: 1, End: true, Volume: 10, Duration: 960}, []byte{0x01, 0x8a, 0x03, 0xc0}},
		{dtmf.Event{Code: 11, Volume: 7, Duration: 400}, []byte{0x0b, 0x07, 0x01, 0x90}},
		{dtmf.Event{Code: 16, Volume: 0, Duration: 0xffff}, []byte{0x10, 0x00, 0xff, 0xff}},
		{dtmf.Event{Code: 255, End: true, Volume: 63}, []byte{0xff, 0xbf, 0x00, 0x00}},
	} {
		if got := c.event.AppendTo([]byte{9}); !bytes.Equal(got[1:], c.bytes) {
			t.Errorf("%+v is % x, want % x", c.event, got[1:], c.bytes)
		}
		got, rest, err := dtmf.ParseEvent(c.bytes)
		if err != nil || len(rest) != 0 || got != c.event {
			t.Errorf("% x is %+v, % x, %v, want %+v", c.bytes, got, rest, err, c.event)
		}
	}
	if got := (dtmf.Event{Volume: 200}).AppendTo(nil); got[1] != 63 {
		t.Errorf("volume 200 is % x", got)
	}
	// The reserved bit is ignored, a second event is left.
	e, rest, err := dtmf.ParseEvent([]byte{5, 0x4a, 0, 160, 6, 0x0a, 0, 80})
	if err != nil || e != (dtmf.Event{Code: 5, Volume: 10, Duration: 160}) || len(rest) != 4 {
		t.Errorf("got %+v, % x, %v", e, rest, err)
	}
	for n := range dtmf.EventSize {
		if _, _, err := dtmf.ParseEvent(make([]byte, n)); !errors.Is(err, dtmf.ErrEvent) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestDigits(t *testing.T) {
	for code, c := range "0123456789*#ABCD!" {
		d, ok := dtmf.DigitOf(uint8(code))
		if !ok || d != dtmf.Digit(c) || d.String() != string(c) {
			t.Errorf("event %d is %v, %v, want %c", code, d, ok, c)
		}
		if p, err := dtmf.ParseDigit(c); err != nil || p != d {
			t.Errorf("%c is %v, %v", c, p, err)
		}
		if back, ok := d.Code(); !ok || int(back) != code {
			t.Errorf("%v has code %d, %v, want %d", d, back, ok, code)
		}
	}
	if d, err := dtmf.ParseDigit('c'); d != 'C' || err != nil {
		t.Errorf("c is %v, %v", d, err)
	}
	for _, c := range []rune{'E', 'e', ' ', 0, -1, 127, 128, '١', 0x10ffff} {
		if _, err := dtmf.ParseDigit(c); !errors.Is(err, dtmf.ErrDigit) {
			t.Errorf("%q: %v", c, err)
		}
	}
	if _, ok := dtmf.DigitOf(17); ok {
		t.Error("event 17 is a digit")
	}
	for _, d := range []dtmf.Digit{0, 'a', 200} {
		if _, ok := d.Code(); ok {
			t.Errorf("%q has a code", byte(d))
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte{0x01, 0x8a, 0x03, 0xc0})
	f.Add([]byte{1, 2, 3})
	f.Add([]byte{5, 0x4a, 0, 160, 6, 0x0a, 0, 80})
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, rest, err := dtmf.ParseEvent(payload)
		if err != nil {
			if len(payload) >= dtmf.EventSize {
				t.Fatal(err)
			}
			return
		}
		want := bytes.Clone(payload)
		want[1] &^= 0x40
		if got := append(e.AppendTo(nil), rest...); !bytes.Equal(got, want) {
			t.Fatalf("% x became % x", payload, got)
		}
	})
}
