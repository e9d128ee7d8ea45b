package parley

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// A script has frames to say, and may take its time.
type script struct {
	frames []*audio.Frame
	pause  time.Duration // before each but the first
	read   int
}

func (s *script) ReadFrame(f *audio.Frame) error {
	if s.read > 0 {
		time.Sleep(s.pause)
	}
	if s.read == len(s.frames) {
		return io.EOF
	}
	*f = *s.frames[s.read]
	s.read++
	return nil
}

// listens counts for how long a call hears a level, until none comes for a second.
func listens(t *testing.T, c *Call) map[int16]time.Duration {
	t.Helper()
	heard := map[int16]time.Duration{}
	var f audio.Frame
	for last := time.Now(); time.Since(last) < time.Second; {
		if err := c.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if f.Kind != audio.Media {
			continue
		}
		for _, s := range f.Samples {
			heard[s] += time.Second / 8000
		}
		last = time.Now()
	}
	return heard
}

// long is a frame of a level that G.711 keeps as it is.
func long(level int16, d time.Duration) *audio.Frame {
	f := ramp(level)
	for len(f.Samples) < f.Format.Samples(d) {
		f.Samples = append(f.Samples, f.Samples[:160]...)
	}
	return f
}

func TestSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		said := make(chan error, 1)
		go func() {
			played, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{long(104, 700*ms), long(120, 3*ms), long(120, 1297*ms)}})
			if want := (stream.Played{Sent: 2020 * ms}); played != want {
				t.Errorf("played %+v, want %+v", played, want)
			}
			said <- err
		}()
		heard := listens(t, y)
		if err := <-said; err != nil {
			t.Error(err)
		}
		if d := heard[104] - 700*ms; d.Abs() > 30*ms {
			t.Errorf("heard for %v", heard[104])
		}
		if d := heard[120] - 1300*ms; d.Abs() > 30*ms {
			t.Errorf("heard for %v", heard[120])
		}
		broken := errors.New("broken")
		if _, err := x.Audio().Say(t.Context(), failing{broken}); err != broken {
			t.Errorf("error %v", err)
		}
		if _, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{{}}}); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("error %v", err)
		}
		x.Close()
		if _, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{ramp(8)}}); !errors.Is(err, x.Err()) {
			t.Errorf("error %v", err)
		}
	})
}

// The context of who panicked in the midst of saying something has nothing to do with
// what is said after that.
func TestSayPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		ctx, cancel := context.WithCancel(t.Context())
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			x.Audio().Say(ctx, (*script)(nil)) //nolint:errcheck // it does not return
		}()
		time.AfterFunc(500*ms, cancel)
		want := stream.Played{Sent: time.Second}
		if played, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{long(104, time.Second)}}); played != want || err != nil {
			t.Errorf("played %+v, %v, want %+v", played, err, want)
		}
	})
}

type failing struct{ err error }

func (r failing) ReadFrame(*audio.Frame) error { return r.err }

// Who is told to be silent is so at once, by the end of its context or a Flush, also when
// there is much to say, or nothing just then, and knows what was heard. What is said next
// is heard whole.
func TestSayIsInterrupted(t *testing.T) {
	for name, text := range map[string]script{
		"in one piece": {frames: []*audio.Frame{long(104, time.Minute)}},
		"at the end":   {frames: []*audio.Frame{long(104, 1100*ms)}},
		"hesitating":   {frames: []*audio.Frame{long(104, 1050*ms), long(104, time.Second)}, pause: 5 * time.Second},
	} {
		for how, want := range map[string]error{"context": context.Canceled, "flush": ErrFlushed} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
					// What was written before does not count.
					if _, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{long(64, 500*ms)}}); err != nil {
						t.Error(err)
					}
					if err := x.Audio().WriteFrame(long(64, 100*ms)); err != nil {
						t.Error(err)
					}
					s := text
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					first := make(chan error, 1)
					go func() {
						played, err := x.Audio().Say(ctx, &s)
						if d := played.Sent - 900*ms; d < -20*ms || d > 40*ms || played.Dropped == 0 {
							t.Errorf("played %+v", played)
						}
						first <- err
					}()
					go func() {
						time.Sleep(time.Second)
						if how == "flush" {
							x.Audio().Flush(8 * ms)
						} else {
							cancel()
						}
						if played, err := x.Audio().Say(t.Context(), &script{frames: []*audio.Frame{long(120, 500*ms)}}); err != nil || played != (stream.Played{Sent: 500 * ms}) {
							t.Errorf("said next: %+v, %v", played, err)
						}
					}()
					heard := listens(t, y)
					if d := heard[104] - 900*ms; d < -20*ms || d > 40*ms {
						t.Errorf("heard for %v", heard[104])
					}
					if d := heard[120] - 500*ms; d.Abs() > 30*ms {
						t.Errorf("what was said next is heard for %v", heard[120])
					}
					if err := <-first; err != want {
						t.Errorf("error %v, want %v", err, want)
					}
				})
			})
		}
	}
}

// What is written behind the end of the context of Say is heard whole too, also when that
// has nothing to write just then.
func TestWrittenWhenSayIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		ctx, cancel := context.WithCancel(t.Context())
		var saying sync.WaitGroup
		defer saying.Wait()
		saying.Go(func() {
			x.Audio().Say(ctx, &script{frames: []*audio.Frame{long(104, 1100*ms), long(104, time.Second)}, pause: 5 * time.Second}) //nolint:errcheck // it is cancelled
		})
		go func() {
			time.Sleep(time.Second)
			cancel()
			if err := x.Audio().WriteFrame(long(120, 150*ms)); err != nil {
				t.Error(err)
			}
		}()
		if heard := listens(t, y); (heard[120] - 150*ms).Abs() > 15*ms {
			t.Errorf("heard for %v", heard[120])
		}
	})
}
