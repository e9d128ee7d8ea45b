package conference

import (
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
)

// nowhere is a leg that sends nothing.
type nowhere struct{}

func (nowhere) WriteRTP([]byte) error  { return nil }
func (nowhere) WriteRTCP([]byte) error { return nil }
func (nowhere) Close() error           { return nil }

// newCall returns a call with sound, with nobody at its far end.
func newCall(t *testing.T) *parley.Call {
	t.Helper()
	p := codec.Params{Name: "L16", PayloadType: 97, ClockRate: rate, Channels: 1}
	c, err := parley.New(parley.Config{Audio: &parley.AudioConfig{Leg: nowhere{}, Send: p, Receive: []codec.Params{p}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The clock of a room costs no memory, for members who keep up and for one who does
// not.
func TestStepDoesNotAllocate(t *testing.T) {
	r := newRoom()
	for range 3 {
		defer r.remove(r.add(newCall(t)))
	}
	said := audio.Frame{Format: r.mixer.Format(), Samples: make([]int16, 960)}
	at := time.Duration(0)
	step := func() {
		for _, m := range r.members {
			if err := m.input.WriteFrame(&said); err != nil {
				t.Fatal(err)
			}
		}
		r.step(at)
		at += tick
		for _, m := range r.members[:2] {
			m.spare <- <-m.hears
		}
	}
	for range 2 * backlog {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
