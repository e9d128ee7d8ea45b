package transport

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestArrivalTime(t *testing.T) {
	const ms = time.Millisecond
	now := time.Now()
	wall := int64(1_700_000_000e9)
	for _, tt := range []struct {
		name        string
		wallNow     int64
		kernel      int64
		since, want time.Duration // before now
	}{
		{"just now", wall, wall, 20 * ms, 0},
		{"a while ago", wall, wall - 7_500_123, 20 * ms, 7_500_123},
		{"with the packet before", wall, wall - int64(20*ms), 20 * ms, 20 * ms},
		{"waited for two seconds", wall, wall - int64(1990*ms), 2000 * ms, 1990 * ms},

		// The wall clock was set after the packet had come.
		{"set back a little", wall - int64(3*ms), wall - int64(5*ms), 20 * ms, 2 * ms},
		{"set back", wall - int64(time.Hour), wall - int64(5*ms), 20 * ms, 0},
		{"set forward", wall + int64(time.Hour), wall - int64(5*ms), 20 * ms, 20 * ms},
		{"set back to the epoch", 0, wall, 20 * ms, 0},
		{"set forward for ever", math.MaxInt64, wall, 20 * ms, 20 * ms},
		{"set across all of time", math.MaxInt64, -math.MaxInt64, 20 * ms, 20 * ms},
		{"set back across all of time", -math.MaxInt64, math.MaxInt64, 20 * ms, 0},
		{"and a thousand years of silence", math.MaxInt64, -math.MaxInt64, math.MaxInt64, math.MaxInt64},

		{"the kernel does not tell", wall, 0, 20 * ms, 0},
		{"nothing was read before", wall, wall - int64(time.Hour), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := arrivalTime(now, tt.wallNow, tt.kernel, now.Add(-tt.since))
			if ago := now.Sub(got); ago != tt.want {
				t.Errorf("arrived %v before it was read, want %v", ago, tt.want)
			}
		})
	}
	if got := arrivalTime(now, wall, wall-1, now.Add(time.Second)); got != now {
		t.Errorf("since is in the future: %v from now", got.Sub(now))
	}
}

// A stream that comes in a second or two, is read in drains, and has a wall clock
// that is set again and again: what is said of its arrival is never before the drain
// before nor after its own, never goes back, and is exact wherever the clock was left
// alone since the packet came. The monotonic reading is what all times derive from.
func TestArrivalTimeUnderASteppedClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origin := time.Now()
		offset := rapid.Int64Range(1, math.MaxInt64/4).Draw(t, "wall clock at the begin")
		var at, drained, last time.Duration
		for range rapid.IntRange(1, 20).Draw(t, "drains") {
			type packet struct {
				at     time.Duration
				kernel int64
			}
			var waiting []packet
			stepped := false
			for range rapid.IntRange(0, 8).Draw(t, "events") {
				at += time.Duration(rapid.Int64Range(0, int64(30*time.Millisecond)).Draw(t, "passed"))
				if rapid.IntRange(0, 9).Draw(t, "event") == 0 {
					stepped = true
					offset += rapid.OneOf(
						rapid.Int64Range(-int64(time.Second), int64(time.Second)),
						rapid.Int64Range(-math.MaxInt64/8, math.MaxInt64/8),
					).Draw(t, "step")
					offset = max(min(offset, math.MaxInt64/2), -math.MaxInt64/2)
					continue
				}
				kernel := offset + int64(at)
				if kernel == 0 { // would be no time at all
					kernel, stepped = 1, true
				}
				waiting = append(waiting, packet{at, kernel})
			}
			now := origin.Add(at)
			for _, p := range waiting {
				// Within a drain, what a packet is put behind is the one before.
				since := origin.Add(max(drained, last))
				got := arrivalTime(now, offset+int64(at), p.kernel, since).Sub(origin)
				switch {
				case got < drained || got > at:
					t.Fatalf("arrived at %v, but drained at %v and %v", got, drained, at)
				case got < last:
					t.Fatalf("arrived at %v, before %v, which was earlier", got, last)
				case !stepped && got != p.at:
					t.Fatalf("arrived at %v, want %v", got, p.at)
				}
				last = got
			}
			drained = at
		}
	})
}
