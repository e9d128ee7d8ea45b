package conference

import (
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// After a pause of this machine members are heard as soon as before it, whoever of the
// room and the members goes on first, and who was in step loses nothing in the end.
func TestStall(t *testing.T) {
	for _, tt := range []struct {
		name      string
		lost      int64 // ticks
		roomFirst bool
	}{
		{"260 ms, the room goes on first", 13, true},
		{"260 ms, the member goes on first", 13, false},
		{"400 ms, the room goes on first", 20, true},
		{"400 ms, the member goes on first", 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoom()
			m := r.add(newCall(t))
			defer r.remove(m)
			said := audio.Frame{Format: r.mixer.Format(), Samples: make([]int16, 960)}
			say := func(n int64) {
				for range n {
					if err := m.input.WriteFrame(&said); err != nil {
						t.Fatal(err)
					}
				}
			}
			at := int64(0)
			advance := func(n int64) {
				if to := at + n; r.advance(at, to) != to {
					t.Fatal("the clock of the room has not gone on")
				}
				at += n
			}
			say(1)
			for range 100 {
				say(1)
				advance(1)
			}
			before := m.input.Queued()
			if tt.roomFirst {
				advance(tt.lost)
				say(tt.lost)
			} else {
				say(tt.lost)
				advance(tt.lost)
				if q := m.input.Queued(); q != before {
					t.Errorf("%v queued after the pause, %v before", q, before)
				}
			}
			for range 2 * time.Second / tick {
				say(1)
				advance(1)
			}
			if q := m.input.Queued(); q > before {
				t.Errorf("%v queued two seconds after the pause, %v before", q, before)
			}
			dropped := m.input.Dropped()
			for range time.Minute / tick {
				say(1)
				advance(1)
			}
			if n := m.input.Dropped() - dropped; n != 0 {
				t.Errorf("%d samples were left out of what is in step", n)
			}
		})
	}
}
