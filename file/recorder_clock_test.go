package file

import (
	"testing"
	"time"
)

func TestRecorderClock(t *testing.T) {
	const frame = 20 * time.Millisecond
	for name, c := range map[string]struct {
		// The source's time and its delay, in a path of 40 ms, at a time of sending.
		source func(at time.Duration) (time.Duration, time.Duration)
		want   func(at time.Duration) (time.Duration, time.Duration) // place, and how far it may be off
	}{
		"steady": {
			func(at time.Duration) (time.Duration, time.Duration) { return at + time.Hour, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 0 },
		},
		"jitter stays out of the file": {
			func(at time.Duration) (time.Duration, time.Duration) {
				return at, at % (7 * frame) / 2
			},
			func(at time.Duration) (time.Duration, time.Duration) { return at, 0 },
		},
		"a stall of 1.5 s and the burst after it": {
			func(at time.Duration) (time.Duration, time.Duration) {
				return at, max(0, min(at-3*time.Second, 4500*time.Millisecond-at))
			},
			func(at time.Duration) (time.Duration, time.Duration) { return at, 5 * time.Millisecond },
		},
		"200 ppm fast for 10 minutes": {
			func(at time.Duration) (time.Duration, time.Duration) { return at + at/5000, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 3 * time.Millisecond },
		},
		"200 ppm slow for 10 minutes": {
			func(at time.Duration) (time.Duration, time.Duration) { return at - at/5000, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 3 * time.Millisecond },
		},
		"0.1 % fast": {
			func(at time.Duration) (time.Duration, time.Duration) { return at + at/1000, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 5 * time.Millisecond },
		},
		"0.5 % fast": {
			func(at time.Duration) (time.Duration, time.Duration) { return at + at/200, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 14 * time.Millisecond },
		},
		"0.5 % slow": {
			func(at time.Duration) (time.Duration, time.Duration) { return at - at/200, 0 },
			func(at time.Duration) (time.Duration, time.Duration) { return at, 14 * time.Millisecond },
		},
		"a queue of 150 ms for 3 s": {
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 10*time.Second && at < 13*time.Second {
					return at, 150 * time.Millisecond
				}
				return at, 0
			},
			func(at time.Duration) (time.Duration, time.Duration) { return at, 24 * time.Millisecond },
		},
		"time stood still for 1 s": {
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 10*time.Second {
					at -= time.Second
				}
				return at, 0
			},
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 10*time.Second && at < 12100*time.Millisecond {
					return at, time.Second // until it is sure
				}
				return at, 0
			},
		},
		"it stood still behind the first frame": {
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 0 {
					return at, 740 * time.Millisecond
				}
				return 0, 0
			},
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 0 {
					return at + 740*time.Millisecond, 0
				}
				return 0, 0
			},
		},
		"a jump of a day": {
			func(at time.Duration) (time.Duration, time.Duration) {
				if at > 10*time.Second {
					at += 24 * time.Hour
				}
				return at, 0
			},
			func(at time.Duration) (time.Duration, time.Duration) { return at, 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c2 recorderClock
			first := &recording{}
			for at := time.Duration(0); at < 10*time.Minute; at += frame {
				source, delay := c.source(at)
				got, ok := c2.place(first, at+delay, source)
				want, within := c.want(at)
				if !ok || (got-want).Abs() > within {
					t.Fatalf("what was sent at %v is at %v, want %v within %v", at, got, want, within)
				}
			}
		})
	}
}

// A first packet that waited for the second one, behind which a picture came, is no
// reason for a gap later on.
func TestRecorderClockFirstOfSound(t *testing.T) {
	var c recorderClock
	picture, sound := &recording{codec: VP8}, &recording{codec: Opus}
	c.place(picture, 0, 0)
	c.place(sound, -700*time.Millisecond, 0)
	for at := 20 * time.Millisecond; at < 10*time.Second; at += 20 * time.Millisecond {
		if got, ok := c.place(sound, at+60*time.Millisecond, at); !ok || got != at {
			t.Fatalf("the sound of %v is at %v", at, got)
		}
	}
}

// A track that is not on the timeline that it was said to be on does not disturb
// those that are.
func TestRecorderClockOfOthers(t *testing.T) {
	var c recorderClock
	first, second := &recording{}, &recording{}
	c.place(first, 0, 0)
	if _, ok := c.place(second, time.Second, time.Hour); ok {
		t.Error("a frame an hour away is placed")
	}
	if got, ok := c.place(second, time.Second, 990*time.Millisecond); !ok || got != 990*time.Millisecond {
		t.Errorf("another's frame is at %v, %t", got, ok)
	}
	c.restart(second, 0, time.Hour)
	if got, _ := c.place(first, time.Second, time.Second); got != time.Second {
		t.Errorf("the leader's frame is at %v", got)
	}
	c.leave(first)
	if got, _ := c.place(second, 2*time.Second, time.Hour); got != 2*time.Second {
		t.Errorf("the new leader's frame is at %v", got)
	}
}

// Pictures whose times move, to fit the sound, do not take the sound with them.
func TestRecorderClockFollowsSound(t *testing.T) {
	var c recorderClock
	picture, sound := &recording{codec: VP8}, &recording{codec: Opus}
	for at := time.Duration(0); at < 10*time.Second; at += 20 * time.Millisecond {
		moved := min(at/8, 400*time.Millisecond)
		if got, ok := c.place(picture, at, at-moved); !ok || got != at-moved {
			t.Fatalf("a picture of %v is at %v", at-moved, got)
		}
		if got, ok := c.place(sound, at, at); !ok || got != at {
			t.Fatalf("the sound of %v is at %v", at, got)
		}
	}
}
