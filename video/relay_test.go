package video_test

import (
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/video"
)

const ms = time.Millisecond

// A pipe is a source that gives what is sent to it, can be interrupted, and
// counts how often it is asked for a key frame.
type pipe struct {
	frames chan video.Frame
	ended  chan error

	mu          sync.Mutex
	interrupted chan struct{}
	deadline    time.Time
	asked       []time.Time
}

func newPipe() *pipe {
	return &pipe{frames: make(chan video.Frame), ended: make(chan error), interrupted: make(chan struct{})}
}

func (p *pipe) ReadFrame(f *video.Frame) error {
	p.mu.Lock()
	interrupted := p.interrupted
	p.mu.Unlock()
	select {
	case <-interrupted:
		return os.ErrDeadlineExceeded
	default:
	}
	select {
	case <-interrupted:
		return os.ErrDeadlineExceeded
	case err := <-p.ended:
		return err
	case g := <-p.frames:
		f.Data = append(f.Data[:0], g.Data...)
		f.Key, f.Time = g.Key, g.Time
		return nil
	}
}

// SetReadDeadline knows no other deadlines than the past and none.
func (p *pipe) SetReadDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deadline = t; !t.IsZero() {
		close(p.interrupted)
	} else {
		p.interrupted = make(chan struct{})
	}
}

func (p *pipe) RequestKeyframe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, time.Now())
}

func (p *pipe) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

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
		p := newPipe()
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
		p := newPipe()
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
		give(7, 12) // 10 finds it full of 6 to 9, and no key frame among them
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
		p.ended <- io.EOF
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
		p := newPipe()
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
		s.Close()
		r.Wait()
	})
}

func TestRelayLetsGoOfItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		var hook int
		r := video.NewRelay(p, video.RelayConfig{RequestKeyframe: func() { hook++ }})
		a, b := r.Subscribe(), r.Subscribe()
		p.frames <- picture(1, true)
		expect(t, a, 1)
		a.Close()
		p.frames <- picture(2, false)
		expect(t, b, 1, 2)
		b.Close()
		r.Wait() // without another frame
		if !p.deadline.IsZero() {
			t.Error("the source keeps a deadline")
		}
		go func() { p.frames <- picture(3, false) }()
		var f video.Frame
		if err := p.ReadFrame(&f); err != nil || f.Data[0] != 3 {
			t.Errorf("the source gives %v, %v after the relay has gone", f.Data, err)
		}
		if hook != 1 || p.requests() != 0 {
			t.Errorf("the hook was called %d times and the source %d, want 1 and 0", hook, p.requests())
		}
		c := r.Subscribe()
		p.frames <- picture(4, true)
		expect(t, c, 4)
		c.Close()
		r.Wait()
	})
}

func TestRelayUnblocksReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := video.NewRelay(p, video.RelayConfig{Drain: true})
		a, b, c := r.Subscribe(), r.Subscribe(), r.Subscribe()
		read := func(s *video.Subscription) chan error {
			got := make(chan error, 1)
			go func() {
				var f video.Frame
				got <- s.ReadFrame(&f)
			}()
			synctest.Wait()
			return got
		}
		fromA, fromB := read(a), read(b)
		a.Close()
		if err := <-fromA; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Close of the subscription: %v", err)
		}
		begin := time.Now()
		c.SetReadDeadline(begin.Add(30 * ms))
		if err := <-read(c); err != os.ErrDeadlineExceeded || time.Since(begin) != 30*ms {
			t.Errorf("the deadline: %v after %v", err, time.Since(begin))
		}
		c.Close()
		b.Close()
		if err := <-fromB; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Close of the last: %v", err)
		}
		p.frames <- picture(1, true) // it drains
		r.Close()
		r.Wait()
	})
}

func TestRelayQueueRange(t *testing.T) {
	var f video.Frame
	for _, n := range []int{-1, 1 << 17} {
		if err := video.NewRelay(newPipe(), video.RelayConfig{Queue: n}).Subscribe().ReadFrame(&f); err == nil {
			t.Errorf("a queue of %d is taken", n)
		}
	}
}

type stepped struct {
	tokens chan bool
	n      int
}

func (s *stepped) ReadFrame(f *video.Frame) error {
	if !<-s.tokens {
		return io.EOF
	}
	f.Data = append(f.Data[:0], make([]byte, 20000)...)
	f.Key = s.n%8 == 0
	s.n++
	return nil
}

func TestRelayDoesNotAllocate(t *testing.T) {
	s := &stepped{tokens: make(chan bool)}
	r := video.NewRelay(s, video.RelayConfig{Queue: 4})
	defer r.Wait()
	a, stuck := r.Subscribe(), r.Subscribe()
	var f video.Frame
	next := func() {
		s.tokens <- true
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
	s.tokens <- false
}

// Each reader begins at a key frame, and misses frames only up to one.
func TestRelayProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPipe()
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
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) { readers = append(readers, &reader{s: r.Subscribe(), from: n, last: n}) },
			"key":       func(t *rapid.T) { give(true) },
			"delta":     func(t *rapid.T) { give(false) },
			"read": func(t *rapid.T) {
				if len(readers) == 0 {
					t.Skip("nobody")
				}
				x := readers[rapid.IntRange(0, len(readers)-1).Draw(t, "reader")]
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
				if len(readers) == 0 {
					t.Skip("nobody")
				}
				i := rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
				readers[i].s.Close()
				readers = append(readers[:i], readers[i+1:]...)
			},
		})
		r.Close()
		r.Wait()
	})
}

func TestRelayInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newPipe()
	r := video.NewRelay(p, video.RelayConfig{Queue: 2})
	var feeding, using sync.WaitGroup
	done := make(chan struct{})
	feeding.Go(func() {
		for n := 0; ; n++ {
			select {
			case p.frames <- picture(n, n%3 == 0):
			case <-done:
				return
			}
		}
	})
	for i := range 8 {
		using.Go(func() {
			var f video.Frame
			for range 200 {
				s := r.Subscribe()
				var other sync.WaitGroup
				if i%2 == 0 {
					other.Go(func() { s.Close() })
				}
				for range 3 {
					if err := s.ReadFrame(&f); err != nil && !errors.Is(err, os.ErrClosed) {
						t.Error(err)
					}
				}
				s.Close()
				other.Wait()
			}
		})
	}
	using.Wait()
	r.Wait()
	if !p.deadline.IsZero() {
		t.Error("the source keeps a deadline")
	}
	r.Close()
	close(done)
	feeding.Wait()
}
