package quality

import (
	"testing"
	"time"

	"github.com/parley-media/parley/internal/metric"
)

// The ends of a gap are where the sound begins to differ, even in the middle of
// a frame, and a gap behind which the delay is another one has no measure.
func TestGaps(t *testing.T) {
	trace := path(200, map[int]float64{50: -1, 80: -1, 81: -1})
	s := &simulation{config: fixed(), trace: trace, began: began}
	s.config.PTime = interval
	if err := s.send(); err != nil {
		t.Fatal(err)
	}
	if err := s.receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	gaps := s.gaps()
	if len(gaps) != 2 {
		t.Fatalf("%d gaps", len(gaps))
	}
	for i, want := range []metric.Gap{{Heard: 8000, Sent: 8000, N: 160}, {Heard: 12800, Sent: 12800, N: 320}} {
		g := gaps[i]
		if g.Sent < want.Sent || g.Sent+g.N > want.Sent+want.N+80 || g.N < want.N-16 || g.Heard-g.Sent != gaps[0].Heard-gaps[0].Sent {
			t.Errorf("gap %+v, want %+v", g, want)
		}
	}
	// From the middle of the first gap on, everything is heard later.
	for i := range s.ticks {
		if s.ticks[i].place > 50*interval {
			s.ticks[i].place -= time.Millisecond
		}
	}
	if gaps := s.gaps(); len(gaps) != 1 || gaps[0].N < 300 {
		t.Errorf("gaps %+v", gaps)
	}
}
