package parley

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/internal/speech"
)

var wideSound = audio.Format{Rate: speech.Rate, Channels: 1}

// beep returns sound, or silence.
func beep(d time.Duration, level int16) *audio.Frame {
	f := &audio.Frame{Format: wideSound, Samples: make([]int16, wideSound.Samples(d))}
	for i := range f.Samples {
		f.Samples[i] = level * int16(i/20%2*2-1)
	}
	return f
}

// question is silence, a second and a half of speech, and silence.
func question() []int16 {
	q := make([]int16, wideSound.Samples(4500*ms))
	copy(q[wideSound.Samples(2*time.Second):], speech.PCM()[wideSound.Samples(500*ms):][:wideSound.Samples(1500*ms)])
	return q
}

// ends returns where speech stops by package vad.
func ends(t *testing.T, pcm []int16) (stops []time.Duration) {
	t.Helper()
	d, err := vad.New(wideSound, vad.Config{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := d.Detect(nil, &audio.Frame{Format: wideSound, Samples: pcm})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == vad.Stop {
			stops = append(stops, e.Time)
		}
	}
	return stops
}

// conversation lets one end put the question, from the first packet on, while the
// other one reads and does what the test says, and returns the replies that were
// measured, and how long after the first packet of the question what began is what
// they are counted from.
func conversation(t *testing.T, replying func(y *Audio, begin time.Time)) (waits []time.Duration, asked time.Duration) {
	t.Helper()
	wide := codec.Params{Name: "L16", PayloadType: 97, ClockRate: speech.Rate, Channels: 1}
	x, y, _, _ := pair(t, AudioConfig{Send: wide}, AudioConfig{Send: wide}, Deadlines{})
	pcm := question()
	stops := ends(t, pcm)
	if len(stops) != 1 {
		t.Fatalf("the question ends at %v", stops)
	}
	y.Audio().MeasureReplies(func(wait time.Duration) { waits = append(waits, wait) })
	begin := time.Now()
	go func() {
		x.Audio().WriteFrame(&audio.Frame{Format: wideSound, Samples: append(pcm, make([]int16, 2*speech.Rate)...)})
	}()
	go replying(y.Audio(), begin)
	var f audio.Frame
	for time.Since(begin) < 6*time.Second {
		if err := y.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	x.Close()
	y.Close()
	// A packet leaves when its first sample would be said, and is 10 ms on the way;
	// the measure goes by when its last sample came.
	return waits, stops[0] - 20*ms + 10*ms
}

// measured checks that there was one reply. The delay of the playout, which is part of
// it, is known to a millisecond.
func measured(t *testing.T, waits []time.Duration, want time.Duration) {
	t.Helper()
	if len(waits) != 1 || (waits[0]-want).Abs() > ms {
		t.Errorf("measured %v, want %v", waits, want)
	}
}

// A reply is measured from the last sound of the question to the first sound of the
// answer.
func TestReplyMeasured(t *testing.T) {
	for _, test := range []struct {
		name  string
		say   func(a *Audio) error
		after time.Duration // of the first sound in what is said
	}{
		{"at once", func(a *Audio) error { return a.WriteFrame(beep(300*ms, 1000)) }, 0},
		{"after silence", func(a *Audio) error {
			if err := a.WriteFrame(beep(105*ms, 3)); err != nil {
				return err
			}
			return a.WriteFrame(beep(300*ms, 1000))
		}, 105 * ms},
		{"in one piece", func(a *Audio) error {
			f := beep(150*ms, 0)
			f.Samples = append(f.Samples, beep(2*time.Second, 1000).Samples...)
			return a.WriteFrame(f)
		}, 150 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const at = 4 * time.Second
				waits, asked := conversation(t, func(y *Audio, begin time.Time) {
					time.Sleep(time.Until(begin.Add(at)))
					test.say(y)
				})
				measured(t, waits, at+test.after-asked)
			})
		})
	}
}

// An answer may begin before it is clear that the question is over, which is when
// there was silence for 300 ms.
func TestReplyBeforeTheEndIsClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := ends(t, question())[0]
		at := stop + 100*ms
		waits, asked := conversation(t, func(y *Audio, begin time.Time) {
			time.Sleep(time.Until(begin.Add(at)))
			y.WriteFrame(beep(time.Second, 1000))
		})
		measured(t, waits, at-asked)
	})
}

// Several are told of the same reply, such as an application and the server that it is in,
// but none who has stopped.
func TestReplyIsToldToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const at = 4 * time.Second
		var second, stopped []time.Duration
		waits, asked := conversation(t, func(y *Audio, begin time.Time) {
			y.MeasureReplies(func(wait time.Duration) { second = append(second, wait) })
			y.MeasureReplies(func(wait time.Duration) { stopped = append(stopped, wait) })()
			time.Sleep(time.Until(begin.Add(at)))
			y.WriteFrame(beep(time.Second, 1000))
		})
		measured(t, waits, at-asked)
		if !slices.Equal(second, waits) {
			t.Errorf("the second one is told of %v, the first one of %v", second, waits)
		}
		if len(stopped) != 0 {
			t.Errorf("told after the end: %v", stopped)
		}
	})
}

// When all who measure have stopped nobody listens for speech.
func TestRepliesNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		a := x.Audio()
		first, second := a.MeasureReplies(func(time.Duration) {}), a.MeasureReplies(func(time.Duration) {})
		first()
		first()
		if a.replies == nil {
			t.Error("not measured for the second one")
		}
		second()
		if a.replies != nil {
			t.Error("measured for nobody")
		}
		x.Close()
		y.Close()
	})
}

// What is no reply is not measured, and does not hide the one that comes.
func TestNoReply(t *testing.T) {
	const at = 4500 * ms
	for _, test := range []struct {
		name   string
		before func(a *Audio, begin time.Time) // at the same end, from the beginning on
		want   bool
	}{
		{"silence", func(a *Audio, _ time.Time) { a.WriteFrame(beep(4200*ms, 3)) }, true},
		{"sound that goes on from before", func(a *Audio, _ time.Time) { a.WriteFrame(beep(6*time.Second, 1000)) }, false},
		{"flushed before it left", func(a *Audio, begin time.Time) {
			a.WriteFrame(beep(3900*ms, 0))
			f := beep(100*ms, 0)
			f.Samples = append(f.Samples, beep(50*ms, 1000).Samples...)
			a.WriteFrame(f)
			a.Flush(8 * ms)
		}, true},
		{"passed on", func(a *Audio, begin time.Time) {
			for time.Since(begin) < 6*time.Second {
				a.WriteLive(beep(20*ms, 1000))
				time.Sleep(20 * ms)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				waits, asked := conversation(t, func(y *Audio, begin time.Time) {
					test.before(y, begin)
					time.Sleep(time.Until(begin.Add(at)))
					y.WriteFrame(beep(300*ms, 1000))
				})
				if test.want {
					measured(t, waits, at-asked)
				} else if len(waits) > 0 {
					t.Errorf("measured %v", waits)
				}
			})
		})
	}
}
