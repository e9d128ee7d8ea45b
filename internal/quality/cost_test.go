package quality

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Every frame is of the kind that it sounds like: behind a fixed playout, those
// of lost packets are concealed, and all others but the ones after them are
// ordinary.
func TestCosts(t *testing.T) {
	c := fixed()
	c.Duration = 20 * time.Second
	trace := Lossy("x", 3, Loss{Rate: 0.05}, c.Duration)
	costs, err := Costs(t.Context(), c, []*Trace{trace})
	if err != nil {
		t.Fatal(err)
	}
	lost, bursts := runs(trace)
	for i, want := range []struct {
		frame       string
		least, most int
	}{
		{"ordinary", 1000 - settle - 3 - lost - bursts - 5, 1000 - settle - lost/2},
		{"stretched", 0, 0},
		{"concealed", lost / 2, lost},
	} {
		got := costs[i]
		if got.Frame != want.frame || got.Frames < want.least || got.Frames > want.most {
			t.Errorf("%d %s frames, want %d to %d %s ones", got.Frames, got.Frame, want.least, want.most, want.frame)
		}
		if got.Frames > 0 && (got.Median <= 0 || got.P95 < got.Median || got.Goal <= 0) {
			t.Errorf("%+v", got)
		}
		if line := got.String(); !strings.HasPrefix(line, want.frame+" ") || (got.Frames > 0) != strings.Contains(line, "≤") {
			t.Error(line)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Costs(ctx, c, []*Trace{trace}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
