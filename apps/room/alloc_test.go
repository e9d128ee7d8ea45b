package room

import (
	"testing"
	"time"

	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
)

// The clock of a room costs no memory, for members who keep up and for one who does
// not.
func TestStepDoesNotAllocate(t *testing.T) {
	mixer, err := mix.New(mix.Config{Format: audio.Format{Rate: rate, Channels: 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := &room{mixer: mixer, began: time.Now()}
	for range 3 {
		c, _ := calltest.New(t, calltest.L16(rate), codec.Params{})
		defer r.remove(r.add(c))
	}
	said := audio.Frame{Format: mixer.Format(), Samples: make([]int16, 960)}
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
