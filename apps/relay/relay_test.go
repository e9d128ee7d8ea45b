package relay_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/relay"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

func call(t *testing.T, h parley.Handler, sound, pictures codec.Params) (*parley.Call, <-chan error) {
	t.Helper()
	c, far := calltest.New(t, sound, pictures)
	return c, calltest.Serve(t, far, h)
}

// say sends a level until the call ends.
func say(c *parley.Call, level int16) { sayOn(c.Audio(), level) }

func sayOn(a *parley.Audio, level int16) {
	f := audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 320)}
	for i := range f.Samples {
		f.Samples[i] = level
	}
	for a.WriteFrame(&f) == nil {
	}
}

// hears checks that a level is heard soon, give or take what mu-law makes of it.
func hears(t *testing.T, c *parley.Call, level int16) {
	t.Helper()
	var f audio.Frame
	c.Audio().SetReadDeadline(time.Now().Add(2 * time.Second))
	for {
		if err := c.Audio().ReadFrame(&f); err != nil {
			t.Errorf("%d is not heard: %v", level, err)
			return
		}
		if d := int(f.Samples[len(f.Samples)/2]) - int(level); f.Kind == audio.Media && d*d < 50*50 {
			return
		}
	}
}

// sees waits for the first picture, which is of n and a key frame, and returns how
// long it took.
func sees(t *testing.T, c *parley.Call, n byte) time.Duration {
	t.Helper()
	var f video.Frame
	begin := time.Now()
	c.Video().SetReadDeadline(begin.Add(2 * time.Second))
	for {
		if err := c.Video().ReadFrame(&f); err != nil {
			t.Errorf("%d is not seen: %v", n, err)
			return 0
		}
		if calltest.Shown(&f) == n {
			if !f.Key {
				t.Errorf("%d begins without a key frame", n)
			}
			return time.Since(begin)
		}
	}
}

// nowhere is a leg that sends nothing.
type nowhere struct{}

func (nowhere) WriteRTP([]byte) error  { return nil }
func (nowhere) WriteRTCP([]byte) error { return nil }
func (nowhere) Close() error           { return nil }

// Who is answered and never comes does not keep others from being heard.
func TestGhostOnStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		ghost, err := parley.New(parley.Config{
			Audio:     &parley.AudioConfig{Leg: nowhere{}, Send: calltest.PCMU(), Receive: []codec.Params{calltest.PCMU()}},
			Deadlines: parley.Deadlines{Connect: 10 * time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- parley.Serve(t.Context(), ghost, &h) }()
		time.Sleep(ms)
		first, _ := call(t, &h, calltest.L16(16000), codec.Params{})
		go say(first, 1000)
		time.Sleep(ms)
		viewer, _ := call(t, &h, calltest.L16(16000), codec.Params{})
		hears(t, viewer, 1000)
		if end, ok := errors.AsType[*parley.EndError](<-ended); !ok || end.Reason != parley.NotConnected {
			t.Errorf("the ghost ended with %v", end)
		}
		hears(t, viewer, 1000)
	})
}

// The first caller is heard and seen by all others, whenever they come, and when
// they have other codecs, or are stuck, or go.
func TestOneToMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		first, _ := call(t, &h, calltest.L16(16000), calltest.VP8())
		go say(first, 1000)
		go calltest.Film(first, 1)
		time.Sleep(time.Second)
		call(t, &h, calltest.L16(16000), calltest.VP8()) // stuck
		telephone, _ := call(t, &h, calltest.PCMU(), codec.Params{})
		browser, _ := call(t, &h, calltest.L16(48000), calltest.VP8())
		hears(t, telephone, 1000)
		sees(t, browser, 1)
		hears(t, browser, 1000)
		time.Sleep(3 * time.Second)
		late, _ := call(t, &h, calltest.L16(16000), calltest.VP8())
		if d := sees(t, late, 1); d > 600*ms {
			t.Errorf("seen %v after joining", d)
		}
		telephone.Close()
		hears(t, late, 1000)
	})
}

// When the first one goes, the others stay for the next.
func TestNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		first, served := call(t, &h, calltest.L16(16000), calltest.VP8())
		go say(first, 1000)
		go calltest.Film(first, 1)
		time.Sleep(100 * ms)
		watcher, _ := call(t, &h, calltest.L16(16000), calltest.VP8())
		hears(t, watcher, 1000)
		sees(t, watcher, 1)
		first.Close()
		<-served
		time.Sleep(5 * time.Second)
		if watcher.Err() != nil {
			t.Fatal(watcher.Err())
		}
		next, _ := call(t, &h, calltest.L16(16000), calltest.VP8())
		go say(next, 3000)
		go calltest.Film(next, 2)
		hears(t, watcher, 3000)
		sees(t, watcher, 2)
	})
}

// Who publishes is heard, and hears nothing. Another one who does takes over, as an
// encoder that comes again while its lost connection is there still.
func TestPublisherAndWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		watcher, _ := call(t, h.Watcher(), calltest.L16(16000), calltest.VP8())
		time.Sleep(time.Second)
		publisher, served := call(t, h.Publisher(), calltest.L16(16000), calltest.VP8())
		go say(publisher, 2000)
		go calltest.Film(publisher, 1)
		hears(t, watcher, 2000)
		sees(t, watcher, 1)
		var f audio.Frame
		publisher.Audio().SetReadDeadline(time.Now().Add(time.Second))
		if err := publisher.Audio().ReadFrame(&f); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the publisher hears %v, %v", f.Kind, err)
		}
		again, _ := call(t, h.Publisher(), calltest.L16(16000), calltest.VP8())
		select {
		case err := <-served:
			if !errors.Is(err, relay.ErrTaken) {
				t.Errorf("the publisher before: %v", err)
			}
		case <-time.After(time.Second):
			t.Error("the publisher before stays")
		}
		go say(again, 4000)
		go calltest.Film(again, 2)
		hears(t, watcher, 4000)
		if d := sees(t, watcher, 2); d > 600*ms {
			t.Errorf("seen after %v", d)
		}
	})
}

// Who takes a microphone and a camera away, and adds others, is heard and seen on, as
// browsers send these on lines of their own.
func TestPublisherOnOtherLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		publisher, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, h.Publisher())
		go say(publisher, 2000)
		go calltest.Film(publisher, 1)
		watcher, _ := call(t, h.Watcher(), calltest.L16(16000), calltest.VP8())
		hears(t, watcher, 2000)
		sees(t, watcher, 1)
		microphone, camera := calltest.Replace(t, publisher, far)
		go sayOn(microphone, 4000)
		go calltest.FilmOn(publisher, camera, 2)
		hears(t, watcher, 4000)
		if d := sees(t, watcher, 2); d > 600*ms {
			t.Errorf("seen after %v", d)
		}
	})
}

// Who shows a screen beside a camera, and then takes the camera away, is seen on, and so
// is the camera that comes back when the screen goes.
func TestPublisherTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		publisher, far := calltest.New(t, calltest.L16(16000), calltest.VP8())
		calltest.Serve(t, far, h.Publisher())
		go calltest.Film(publisher, 1)
		watcher, _ := call(t, h.Watcher(), calltest.L16(16000), calltest.VP8())
		sees(t, watcher, 1)
		_, screen := calltest.Add(t, publisher, far, codec.Params{}, calltest.VP8())
		go calltest.FilmOn(publisher, screen, 2)
		for _, shows := range []byte{2, 1} {
			ours, theirs := parley.RecvOnly, parley.SendOnly
			if shows == 1 {
				ours, theirs = parley.SendRecv, parley.SendRecv
			}
			if err := errors.Join(publisher.Video().SetDirection(ours), far.Video().SetDirection(theirs)); err != nil {
				t.Fatal(err)
			}
			if d := sees(t, watcher, shows); d > 600*ms {
				t.Errorf("%d is seen after %v", shows, d)
			}
		}
	})
}

// Who is on a stage that is for all becomes one of those who watch when somebody
// comes to publish, and nobody else takes it over.
func TestPublisherTakesStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h relay.Handler
		first, _ := call(t, &h, calltest.L16(16000), codec.Params{})
		go say(first, 1000)
		time.Sleep(ms)
		publisher, _ := call(t, h.Publisher(), calltest.L16(16000), codec.Params{})
		go say(publisher, 3000)
		hears(t, first, 3000)
		third, _ := call(t, &h, calltest.L16(16000), codec.Params{})
		hears(t, third, 3000)
	})
}
