package room_test

import (
	"errors"
	"maps"
	"math"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/room"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// enter calls a room, and sends a tone and pictures if the call has them, until it
// ends.
func enter(t *testing.T, h parley.Handler, sound, pictures codec.Params, hz float64, n byte) *parley.Call {
	t.Helper()
	c, far := calltest.New(t, sound, pictures)
	calltest.Serve(t, far, h)
	if hz > 0 {
		go sing(c, hz)
	}
	if pictures.Name != "" {
		go calltest.Film(c, n)
	}
	return c
}

// sing sends a tone of -16 dBov until the call ends.
func sing(c *parley.Call, hz float64) { singOn(c.Audio(), hz) }

func singOn(a *parley.Audio, hz float64) {
	g, err := tone.NewGenerator(audio.Format{Rate: 16000, Channels: 1}, tone.Signal{
		Segments: []tone.Segment{{Sines: []tone.Sine{{Frequency: hz, Level: -16 - tone.ZeroDBm0}}}},
	})
	if err != nil {
		panic(err)
	}
	var f audio.Frame
	for g.ReadFrame(&f) == nil && a.WriteFrame(&f) == nil {
	}
}

// level returns how loud a sine is in what was heard, in dBov.
func level(f audio.Frame, hz float64) float64 {
	var re, im float64
	for i, s := range f.Samples {
		angle := 2 * math.Pi * hz * float64(i) / float64(f.Format.Rate)
		// A Hann window, so that one tone is not seen in the place of another.
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(len(f.Samples)))
		re += w * float64(s) * math.Cos(angle)
		im += w * float64(s) * math.Sin(angle)
	}
	amplitude := 2 * math.Hypot(re, im) / float64(len(f.Samples)) / 32768
	return 20*math.Log10(amplitude+1e-9) - 3.01
}

// Who takes a microphone and a camera away, and adds others, is heard and seen on, as
// browsers send these on lines of their own, and hears the others as before.
func TestOtherLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		c, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, &h)
		other := enter(t, &h, calltest.L16(16000), calltest.VP8(), 700, 2)
		calltest.Hear(t, other, time.Second)
		microphone, camera := calltest.Replace(t, c, far)
		go singOn(microphone, 400)
		go calltest.FilmOn(c, camera, 1)
		calltest.Hear(t, other, time.Second)
		if got := level(calltest.Hear(t, other, time.Second), 400); got < -20 {
			t.Errorf("heard at %.1f dBov", got)
		}
		if got := level(calltest.Hear(t, c, time.Second), 700); got < -20 {
			t.Errorf("hears the other at %.1f dBov", got)
		}
		var f video.Frame
		other.Video().SetReadDeadline(time.Now().Add(2 * time.Second))
		if err := other.Video().ReadFrame(&f); err != nil || calltest.Shown(&f) != 1 {
			t.Errorf("not seen: %v", err)
		}
	})
}

// A telephone and two browsers, each with a tone of its own: each one hears the
// others and not itself.
func TestEverybodyHearsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		tones := []float64{400, 700, 1100}
		calls := []*parley.Call{
			enter(t, &h, calltest.PCMU(), codec.Params{}, tones[0], 0),
			enter(t, &h, calltest.L16(48000), codec.Params{}, tones[1], 0),
			enter(t, &h, calltest.L16(16000), codec.Params{}, tones[2], 0),
		}
		stranger := enter(t, h.Room("next door"), calltest.PCMU(), codec.Params{}, 1500, 0)
		for _, c := range append(calls, stranger) {
			calltest.Hear(t, c, time.Second)
		}
		for i, c := range calls {
			heard := calltest.Hear(t, c, time.Second)
			for k, hz := range append(tones, 1500) {
				got := level(heard, hz)
				if i != k && k < 3 && got < -20 {
					t.Errorf("%d hears %v Hz at %.1f dBov", i, hz, got)
				}
				if (i == k || k == 3) && got > -55 {
					t.Errorf("%d hears %v Hz at %.1f dBov, which is not for it", i, hz, got)
				}
			}
		}
		if got := level(calltest.Hear(t, stranger, time.Second), 400); got > -80 {
			t.Errorf("next door 400 Hz is heard at %.1f dBov", got)
		}
		if got, want := h.Rooms(), map[string]int{"": 3, "next door": 1}; !maps.Equal(got, want) {
			t.Errorf("rooms %v, want %v", got, want)
		}

		calls[1].Close()
		stranger.Close()
		calltest.Hear(t, calls[0], time.Second)
		heard := calltest.Hear(t, calls[0], time.Second)
		if gone, there := level(heard, tones[1]), level(heard, tones[2]); gone > -55 || there < -20 {
			t.Errorf("after one has left: %.1f dBov, the other one %.1f", gone, there)
		}
		calls[0].Close()
		calls[2].Close()
		time.Sleep(time.Second)
		if got := h.Rooms(); len(got) > 0 {
			t.Errorf("empty rooms are kept: %v", got)
		}
	})
}

// One who never reads or writes anything does not hold up the others, nor are they
// late because of it.
func TestStuckMemberHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		enter(t, &h, calltest.L16(16000), calltest.VP8(), 0, 1) // stuck
		listener := enter(t, &h, calltest.L16(16000), codec.Params{}, 0, 0)
		enter(t, &h, calltest.L16(16000), codec.Params{}, 700, 0)
		var f audio.Frame
		begin := time.Now()
		heard, missing := time.Duration(0), 0
		for heard < 10*time.Second {
			if err := listener.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
			heard += f.Duration()
			if heard > time.Second && (f.Kind != audio.Media || level(f, 700) < -25) {
				missing++
			}
		}
		if d := time.Since(begin); missing > 0 || d > 10200*time.Millisecond {
			t.Errorf("%d frames of 500 are missing, heard in %v", missing, d)
		}
	})
}

// see returns which pictures are seen for a time, and checks that each that is new
// begins with a key frame.
func see(t *testing.T, c *parley.Call, d time.Duration) (seen map[byte]int) {
	t.Helper()
	seen = map[byte]int{}
	var f video.Frame
	last := byte(0)
	c.Video().SetReadDeadline(time.Now().Add(d))
	for {
		err := c.Video().ReadFrame(&f)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return seen
		}
		if err != nil {
			t.Fatal(err)
		}
		n := calltest.Shown(&f)
		if last != 0 && n != last && !f.Key {
			t.Errorf("%d begins without a key frame", n)
		}
		last = n
		seen[n]++
	}
}

// With one screen, who speaks is shown to the others, and to themselves who spoke
// before.
func TestSpeakerIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		watcher := enter(t, &h, calltest.L16(16000), calltest.VP8(), 0, 1)
		first := enter(t, &h, calltest.L16(16000), calltest.VP8(), 400, 2)
		if seen := see(t, watcher, 3*time.Second); len(seen) != 1 || seen[2] < 40 {
			t.Errorf("seen at first: %v", seen)
		}
		second := enter(t, &h, calltest.L16(16000), calltest.VP8(), 0, 3)
		time.Sleep(time.Second)
		if seen := see(t, first, time.Second); len(seen) != 1 {
			t.Errorf("the speaker sees %v", seen)
		}
		first.Close()
		go sing(second, 500)
		see(t, watcher, 2*time.Second)
		if seen := see(t, watcher, 2*time.Second); len(seen) != 1 || seen[3] < 30 {
			t.Errorf("seen when the other one speaks: %v", seen)
		}
		if seen := see(t, second, 2*time.Second); len(seen) != 1 || seen[1] < 30 {
			t.Errorf("the new speaker sees %v", seen)
		}
	})
}

// Who has a line for pictures, but sends none, takes nobody's place.
func TestNobodyIsDark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		dark, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, &h)
		go sing(dark, 400)
		watcher := enter(t, &h, calltest.L16(16000), calltest.VP8(), 0, 1)
		enter(t, &h, calltest.L16(16000), calltest.VP8(), 0, 2)
		see(t, watcher, time.Second)
		if seen := see(t, watcher, 2*time.Second); len(seen) != 1 || seen[2] < 38 {
			t.Errorf("seen: %v", seen)
		}
	})
}

// Who changes the codec in mid-call is seen by those who have that one, and after
// that by those who have the one before.
func TestOtherCodecIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h room.Handler
		old, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, &h)
		modern, far := calltest.New(t, calltest.L16(16000), calltest.VP9())
		calltest.Serve(t, far, &h)
		one, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, &h)
		for n, p := range []codec.Params{calltest.VP8(), calltest.VP9(), calltest.VP8()} {
			calltest.Switch(t, one, far, p)
			shoot := calltest.Picture
			if n == 1 {
				shoot = calltest.PictureVP9
			}
			var filming sync.WaitGroup
			filming.Go(func() {
				for i := range 60 {
					at := time.Duration(60*n+i) * 50 * time.Millisecond
					one.Video().WriteFrame(shoot(byte(n+1), at, i == 0 || one.Video().KeyframeRequested()))
					time.Sleep(50 * time.Millisecond)
				}
			})
			seen := make(chan map[byte]int)
			go func() { seen <- see(t, modern, 3*time.Second) }()
			byThose, byOthers := see(t, old, 3*time.Second), <-seen
			filming.Wait()
			if n == 1 {
				byThose, byOthers = byOthers, byThose
			}
			if delete(byOthers, byte(n)); byThose[byte(n+1)] < 40 || len(byOthers) > 0 { // what came before may be on its way
				t.Errorf("%s is seen by those who have it: %v, by others: %v", p.Name, byThose, byOthers)
			}
		}
	})
}
