package audio_test

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
)

// A feed is a source that gives what is sent to it, until it is closed.
type feed chan audio.Frame

func (c feed) ReadFrame(f *audio.Frame) error {
	g, ok := <-c
	if !ok {
		return io.EOF
	}
	samples := append(f.Samples[:0], g.Samples...)
	*f = g
	f.Samples = samples
	return nil
}

func numbered(n int) audio.Frame {
	return audio.Frame{
		Format:   audio.Format{Rate: 8000, Channels: 1},
		Samples:  []int16{int16(n), int16(n)},
		Time:     time.Duration(n) * 20 * time.Millisecond,
		Captured: time.Unix(int64(n), 0),
		Kind:     audio.Noise,
	}
}

func expect(t rapid.TB, s *audio.Subscription, want ...int) {
	t.Helper()
	var f audio.Frame
	for _, n := range want {
		if err := s.ReadFrame(&f); err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		if w := numbered(n); !reflect.DeepEqual(f, w) {
			t.Fatalf("frame %+v, want %+v", f, w)
		}
	}
}

// The oldest frames are dropped for who is slow, and each has copies of its own.
func TestRelayDropsOldest(t *testing.T) {
	defer goleak.VerifyNone(t)
	rapid.Check(t, func(t *rapid.T) {
		c := make(feed)
		queue := rapid.IntRange(1, 4).Draw(t, "queue")
		r := audio.NewRelay(c, audio.RelayConfig{Queue: queue})
		fast, slow := r.Subscribe(), r.Subscribe() // what the one has, the other has too
		var given, next, dropped int
		for range 40 {
			if next < given && rapid.Bool().Draw(t, "read") {
				expect(t, slow, next)
				next++
				continue
			}
			c <- numbered(given)
			expect(t, fast, given)
			if given++; given-next > queue {
				next++
				dropped++
			}
		}
		close(c)
		r.Wait()
		for ; next < given; next++ {
			expect(t, slow, next)
		}
		var f audio.Frame
		if err := slow.ReadFrame(&f); err != io.EOF {
			t.Errorf("the end is %v, want that of the source", err)
		}
		if fast.Dropped() != 0 || slow.Dropped() != int64(dropped) {
			t.Errorf("dropped %d and %d, want 0 and %d", fast.Dropped(), slow.Dropped(), dropped)
		}
	})
}

// A subscription is a source like others, which can be let go.
func TestRelayOfARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := make(feed)
		outer := audio.NewRelay(c, audio.RelayConfig{Drain: true})
		first := outer.Subscribe()
		inner := audio.NewRelay(first, audio.RelayConfig{})
		a := inner.Subscribe()
		c <- numbered(1)
		expect(t, a, 1)
		a.Close()
		inner.Wait()
		for n := range 51 { // one more than wait by default
			c <- numbered(n)
		}
		synctest.Wait()
		expect(t, first, 1)
		if n := outer.Subscribers(); n != 1 {
			t.Errorf("%d subscribers, want 1", n)
		}
		first.Close()
		c <- numbered(2) // it drains
		c <- numbered(3)
		last := outer.Subscribe()
		synctest.Wait() // it reads
		outer.Close()
		begin := time.Now()
		time.AfterFunc(time.Second, func() { close(c) })
		if outer.Wait(); time.Since(begin) != time.Second {
			t.Error("Wait does not wait for a source that cannot be interrupted")
		}
		var f audio.Frame
		if err := last.ReadFrame(&f); !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), "audio relay: ") {
			t.Errorf("a read after Close: %v", err)
		}
	})
}

func TestRelayDoesNotAllocate(t *testing.T) {
	c := make(feed)
	r := audio.NewRelay(c, audio.RelayConfig{Queue: 4})
	defer r.Wait()
	defer close(c)
	a, stuck := r.Subscribe(), r.Subscribe()
	stereo := audio.Frame{Format: audio.Format{Rate: 48000, Channels: 2}, Samples: make([]int16, 1920)}
	var f audio.Frame
	next := func() {
		c <- stereo
		if err := a.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		next()
	}
	if n := testing.AllocsPerRun(200, next); n != 0 {
		t.Errorf("a frame allocates %v times", n)
	}
	if stuck.Dropped() == 0 {
		t.Error("nothing was dropped for the one that does not read")
	}
}
