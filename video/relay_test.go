package video_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/video"
)

const ms = time.Millisecond

// A feed is a source that gives what is sent to it, until that is closed, and
// counts how often it is asked for a key frame.
type feed struct {
	frames chan video.Frame
	asked  atomic.Int32
}

func newFeed() *feed { return &feed{frames: make(chan video.Frame)} }

func (c *feed) ReadFrame(f *video.Frame) error {
	g, ok := <-c.frames
	if !ok {
		return io.EOF
	}
	data := append(f.Data[:0], g.Data...)
	*f = g
	f.Data = data
	return nil
}

func (c *feed) RequestKeyframe() { c.asked.Add(1) }

func (c *feed) requests() int { return int(c.asked.Load()) }

func picture(n int, key bool) video.Frame {
	return video.Frame{Data: []byte{byte(n), byte(n >> 8)}, Key: key, Time: time.Duration(n) * 40 * ms}
}

func expect(t *testing.T, s *video.Subscription, want ...int) {
	t.Helper()
	var f video.Frame
	for _, n := range want {
		if err := s.ReadFrame(&f); err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		if got := int(f.Data[0]) | int(f.Data[1])<<8; got != n || f.Time != time.Duration(n)*40*ms {
			t.Fatalf("frame %d at %v, want %d", got, f.Time, n)
		}
	}
}

func TestRelayBeginsAtKeyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFeed()
		r := video.NewRelay(p, video.RelayConfig{})
		a := r.Subscribe()
		if p.requests() != 1 {
			t.Errorf("a subscription makes %d requests, want 1", p.requests())
		}
		p.frames <- picture(1, false)
		p.frames <- picture(2, true)
		p.frames <- picture(3, false)
		expect(t, a, 2, 3)

		late := r.Subscribe()
		if p.requests() != 1 {
			t.Error("a second request at once")
		}
		time.Sleep(499 * ms)
		p.frames <- picture(4, false)
		expect(t, a, 4)
		synctest.Wait()
		if p.requests() != 1 {
			t.Error("a second request after 499 ms")
		}
		time.Sleep(1 * ms)
		p.frames <- picture(5, false)
		expect(t, a, 5)
		synctest.Wait()
		if p.requests() != 2 {
			t.Errorf("%d requests after 500 ms, want 2", p.requests())
		}
		p.frames <- picture(6, true)
		expect(t, a, 6)
		expect(t, late, 6)
		time.Sleep(5 * time.Second)
		p.frames <- picture(7, false)
		expect(t, late, 7)
		synctest.Wait()
		if p.requests() != 2 || a.Dropped() != 1 || late.Dropped() != 2 {
			t.Errorf("%d requests, dropped %d and %d, want 2, 1 and 2", p.requests(), a.Dropped(), late.Dropped())
		}
		late.RequestKeyframe()
		late.RequestKeyframe()
		r.RequestKeyframe()
		if p.requests() != 3 {
			t.Errorf("%d requests after a reader's own, want 3", p.requests())
		}
		r.Close()
		close(p.frames)
		r.Wait()
		r.RequestKeyframe()
		time.Sleep(time.Second)
		late.RequestKeyframe()
		if p.requests() != 3 {
			t.Error("a closed relay asks")
		}
	})
}

// A subscriber whose queue was full goes on at a key frame, which is asked for
// when it reads, and not before.
func TestRelayDropsToKeyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFeed()
		r := video.NewRelay(p, video.RelayConfig{Queue: 4})
		fast, slow := r.Subscribe(), r.Subscribe()
		key := map[int]bool{1: true, 4: true, 20: true}
		give := func(from, to int) {
			for n := from; n <= to; n++ {
				time.Sleep(40 * ms)
				p.frames <- picture(n, key[n])
				expect(t, fast, n)
			}
		}
		give(1, 6) // 5 finds it full of 1 to 4, which leaves 4
		expect(t, slow, 4, 5)
		give(7, 11) // 10 finds it full of 6 to 9, and no key frame among them
		time.Sleep(500 * ms)
		give(12, 12)
		synctest.Wait()
		if n := p.requests(); n != 1 {
			t.Errorf("%d requests for one that does not read, want 1", n)
		}
		got := make(chan struct{})
		go func() {
			expect(t, slow, 20, 21)
			close(got)
		}()
		synctest.Wait()
		give(13, 21)
		<-got
		if n := p.requests(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		if d := slow.Dropped(); d != 3+4+10 {
			t.Errorf("dropped %d frames, want 17", d)
		}
		close(p.frames)
		var f video.Frame
		for _, s := range []*video.Subscription{fast, slow} {
			if err := s.ReadFrame(&f); err != io.EOF {
				t.Errorf("the end is %v", err)
			}
		}
		r.Wait()
	})
}

func TestRelayBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFeed()
		r := video.NewRelay(p, video.RelayConfig{})
		s := r.Subscribe()
		for n := 1; n <= 5; n++ {
			f := picture(n, true)
			f.Data = append(f.Data, make([]byte, 3<<20)...)
			p.frames <- f
		}
		synctest.Wait()
		expect(t, s, 4, 5) // two of 3 MiB in 8 MiB
		f := picture(6, true)
		f.Data = append(f.Data, make([]byte, 9<<20)...)
		p.frames <- f
		expect(t, s, 6)
		close(p.frames)
		r.Wait()
	})
}

// A subscription is a source like others, which can be let go, and asked for key
// frames.
func TestRelayOfARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFeed()
		var hook int
		outer := video.NewRelay(p, video.RelayConfig{Drain: true, KeyframeInterval: ms, RequestKeyframe: func() { hook++ }})
		first := outer.Subscribe()
		time.Sleep(ms)
		inner := video.NewRelay(first, video.RelayConfig{})
		a := inner.Subscribe()
		p.frames <- picture(1, true)
		expect(t, a, 1)
		a.Close()
		inner.Wait()
		for n := range 65 { // one more than wait by default
			p.frames <- picture(n, true)
		}
		synctest.Wait()
		expect(t, first, 1)
		if n := outer.Subscribers(); n != 1 {
			t.Errorf("%d subscribers, want 1", n)
		}
		first.Close()
		p.frames <- picture(2, true) // it drains
		p.frames <- picture(3, true)
		if hook != 2 || p.requests() != 0 {
			t.Errorf("the hook was called %d times and the source %d, want 2 and 0", hook, p.requests())
		}
		last := outer.Subscribe()
		outer.Close()
		begin := time.Now()
		time.AfterFunc(time.Second, func() { close(p.frames) })
		if outer.Wait(); time.Since(begin) != time.Second {
			t.Error("Wait does not wait for a source that cannot be interrupted")
		}
		var f video.Frame
		if err := last.ReadFrame(&f); !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), "video relay: ") {
			t.Errorf("a read after Close: %v", err)
		}
	})
}

func TestRelayDoesNotAllocate(t *testing.T) {
	p := newFeed()
	r := video.NewRelay(p, video.RelayConfig{Queue: 4})
	defer r.Wait()
	defer close(p.frames)
	a, stuck := r.Subscribe(), r.Subscribe()
	n, data := 0, make([]byte, 20000)
	var f video.Frame
	next := func() {
		p.frames <- video.Frame{Data: data, Key: n%8 == 0}
		n++
		if err := a.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		next()
	}
	if n := testing.AllocsPerRun(200, next); n != 0 {
		t.Errorf("a frame allocates %v times", n)
	}
	if stuck.Dropped() == 0 {
		t.Error("nothing was dropped for the one that does not read")
	}
}

// Each reader begins at a key frame, and misses frames only up to one.
func TestRelayProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newFeed()
		r := video.NewRelay(p, video.RelayConfig{Queue: rapid.IntRange(1, 5).Draw(t, "queue")})
		first := r.Subscribe() // which reads everything, and so tells when a frame is with all
		type reader struct {
			s          *video.Subscription
			from, last int   // the frame before its first one, and the one that it read last
			read       int64 // frames
		}
		var readers []*reader
		keys := map[int]bool{1: true}
		n := 0
		give := func(key bool) {
			n++
			keys[n] = key
			p.frames <- picture(n, key)
			var f video.Frame
			if err := first.ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		give(true)
		pick := func(t *rapid.T) int {
			if len(readers) == 0 {
				t.Skip("nobody")
			}
			return rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) { readers = append(readers, &reader{s: r.Subscribe(), from: n, last: n}) },
			"key":       func(t *rapid.T) { give(true) },
			"delta":     func(t *rapid.T) { give(false) },
			"read": func(t *rapid.T) {
				x := readers[pick(t)]
				if int64(n-x.from) == x.read+x.s.Dropped() {
					t.Skip("nothing")
				}
				var f video.Frame
				if err := x.s.ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
				got := int(f.Data[0]) | int(f.Data[1])<<8
				if got <= x.last || (got != x.last+1 || x.read == 0) && !f.Key {
					t.Fatalf("frame %d (key %t) after %d", got, f.Key, x.last)
				}
				if f.Key != keys[got] {
					t.Fatalf("frame %d is no key frame any more, or one now", got)
				}
				x.last = got
				x.read++
			},
			"close": func(t *rapid.T) {
				i := pick(t)
				readers[i].s.Close()
				readers = append(readers[:i], readers[i+1:]...)
			},
		})
		close(p.frames)
		r.Wait()
	})
}

// The source is asked for key frames by those who subscribe and by the one who
// reads it, at the same time.
func TestRelayInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newFeed()
	r := video.NewRelay(p, video.RelayConfig{Queue: 2, Drain: true, KeyframeInterval: 1})
	var using sync.WaitGroup
	for range 8 {
		using.Go(func() {
			var f video.Frame
			for err := error(nil); err != io.EOF; {
				s := r.Subscribe()
				if err = s.ReadFrame(&f); err == nil && !f.Key {
					t.Error("it does not begin at a key frame")
				}
				s.Close()
			}
		})
	}
	for n := range 3000 {
		p.frames <- picture(n, n%3 == 0)
	}
	close(p.frames)
	using.Wait()
	r.Wait()
}
