package audio_test

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

	"github.com/parley-media/parley/audio"
)

var errBroken = errors.New("broken")

// A pipe is a source that gives what is sent to it, and can be interrupted.
type pipe struct {
	frames chan audio.Frame
	ended  chan error

	mu          sync.Mutex
	interrupted chan struct{}
	deadline    time.Time
	reads       int
}

func newPipe() *pipe {
	return &pipe{frames: make(chan audio.Frame), ended: make(chan error), interrupted: make(chan struct{})}
}

func (p *pipe) ReadFrame(f *audio.Frame) error {
	p.mu.Lock()
	p.reads++
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
		f.Samples = append(f.Samples[:0], g.Samples...)
		f.Format, f.Time = g.Format, g.Time
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

// stubborn is a pipe that cannot be interrupted.
type stubborn struct{ p *pipe }

func (s stubborn) ReadFrame(f *audio.Frame) error { return s.p.ReadFrame(f) }

func numbered(n int) audio.Frame {
	return audio.Frame{
		Format:  audio.Format{Rate: 8000, Channels: 1},
		Samples: []int16{int16(n), int16(n)},
		Time:    time.Duration(n) * 20 * time.Millisecond,
	}
}

func expect(t *testing.T, s *audio.Subscription, want ...int) {
	t.Helper()
	var f audio.Frame
	for _, n := range want {
		if err := s.ReadFrame(&f); err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		if f.Samples[0] != int16(n) || f.Time != time.Duration(n)*20*time.Millisecond {
			t.Fatalf("frame %d at %v, want %d", f.Samples[0], f.Time, n)
		}
	}
}

func TestRelayGivesEachItsOwn(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newPipe()
	r := audio.NewRelay(p, audio.RelayConfig{Queue: 3})
	a := r.Subscribe()
	p.frames <- numbered(0)
	expect(t, a, 0)
	b := r.Subscribe()
	for n := 1; n <= 5; n++ {
		p.frames <- numbered(n)
		expect(t, a, n)
	}
	p.ended <- errBroken
	r.Wait()
	expect(t, b, 3, 4, 5) // it was slow
	var f audio.Frame
	for _, s := range []*audio.Subscription{a, b} {
		if err := s.ReadFrame(&f); err != errBroken {
			t.Errorf("the end is %v, want that of the source", err)
		}
	}
	if a.Dropped() != 0 || b.Dropped() != 2 {
		t.Errorf("dropped %d and %d, want 0 and 2", a.Dropped(), b.Dropped())
	}
	if n := r.Subscribers(); n != 0 {
		t.Errorf("%d subscribers after the end", n)
	}
	c := r.Subscribe() // the source goes on after its error
	p.frames <- numbered(6)
	expect(t, c, 6)
	if err := a.ReadFrame(&f); err != errBroken {
		t.Errorf("who was subscribed gets %v after another subscribed", err)
	}
	c.Close()
	r.Wait()
}

func TestRelayLetsGoOfItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := audio.NewRelay(p, audio.RelayConfig{})
		a, b := r.Subscribe(), r.Subscribe()
		p.frames <- numbered(1)
		expect(t, a, 1)
		a.Close()
		p.frames <- numbered(2) // for b
		expect(t, b, 1, 2)
		b.Close()
		r.Wait() // without another frame
		if !p.deadline.IsZero() {
			t.Error("the source keeps a deadline")
		}
		go func() { p.frames <- numbered(3) }()
		var f audio.Frame
		if err := p.ReadFrame(&f); err != nil || f.Samples[0] != 3 {
			t.Errorf("the source gives %v, %v after the relay has gone", f.Samples, err)
		}
		for range 3 { // and it can be relayed again, however quickly
			r.Subscribe().Close()
		}
		c := r.Subscribe()
		p.frames <- numbered(4)
		expect(t, c, 4)
		c.Close()
		r.Wait()
	})
}

// What a source gives that cannot be interrupted is for those who have come
// until then.
func TestRelayOfAStubbornSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := audio.NewRelay(stubborn{p}, audio.RelayConfig{})
		r.Subscribe().Close()
		b := r.Subscribe()
		p.frames <- numbered(1)
		expect(t, b, 1)
		synctest.Wait()
		b.Close()
		p.frames <- numbered(2) // dropped
		r.Wait()
		if p.reads != 2 {
			t.Errorf("read %d times, want 2: never by two at once", p.reads)
		}
	})
}

func TestRelayDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := audio.NewRelay(p, audio.RelayConfig{Drain: true})
		synctest.Wait()
		if p.reads != 0 {
			t.Error("the source is read before the first subscription")
		}
		r.Subscribe().Close()
		p.frames <- numbered(1)
		p.frames <- numbered(2)
		synctest.Wait()
		a := r.Subscribe()
		p.frames <- numbered(3)
		expect(t, a, 3)
		r.Close()
		r.Close()
		r.Wait()
		var f audio.Frame
		if err := a.ReadFrame(&f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a read after Close: %v", err)
		}
		if err := r.Subscribe().ReadFrame(&f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("a subscription after Close: %v", err)
		}
	})
}

func TestRelayUnblocksReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := audio.NewRelay(p, audio.RelayConfig{})
		a, b, c := r.Subscribe(), r.Subscribe(), r.Subscribe()
		read := func(s *audio.Subscription) chan error {
			got := make(chan error, 1)
			go func() {
				var f audio.Frame
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
		c.SetReadDeadline(begin.Add(30 * time.Millisecond))
		if err := <-read(c); err != os.ErrDeadlineExceeded || time.Since(begin) != 30*time.Millisecond {
			t.Errorf("the deadline: %v after %v", err, time.Since(begin))
		}
		c.SetReadDeadline(time.Time{})
		fromC := read(c)
		c.SetReadDeadline(time.Now().Add(time.Hour)) // which Close takes back
		r.Close()
		for _, got := range []chan error{fromB, fromC} {
			if err := <-got; !errors.Is(err, os.ErrClosed) {
				t.Errorf("Close of the relay: %v", err)
			}
		}
		r.Wait()
	})
}

// A subscription is a source like others.
func TestRelayOfARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		outer := audio.NewRelay(p, audio.RelayConfig{})
		first := outer.Subscribe()
		inner := audio.NewRelay(first, audio.RelayConfig{})
		a := inner.Subscribe()
		p.frames <- numbered(1)
		expect(t, a, 1)
		a.Close()
		inner.Wait()
		p.frames <- numbered(2)
		expect(t, first, 2)
		first.Close()
		outer.Wait()
	})
}

func TestRelayQueueRange(t *testing.T) {
	var f audio.Frame
	for _, n := range []int{-1, 1 << 17} {
		if err := audio.NewRelay(newPipe(), audio.RelayConfig{Queue: n}).Subscribe().ReadFrame(&f); err == nil {
			t.Errorf("a queue of %d is taken", n)
		}
	}
}

type endless struct{ f audio.Frame }

func (e *endless) ReadFrame(f *audio.Frame) error {
	f.Samples = append(f.Samples[:0], e.f.Samples...)
	f.Format, f.Time = e.f.Format, e.f.Time
	e.f.Time += 20 * time.Millisecond
	return nil
}

// stepped gives a frame for each token.
type stepped struct {
	endless
	tokens chan bool
}

func (s *stepped) ReadFrame(f *audio.Frame) error {
	if !<-s.tokens {
		return io.EOF
	}
	return s.endless.ReadFrame(f)
}

func TestRelayDoesNotAllocate(t *testing.T) {
	s := &stepped{endless{audio.Frame{Format: audio.Format{Rate: 48000, Channels: 2}, Samples: make([]int16, 1920)}}, make(chan bool)}
	r := audio.NewRelay(s, audio.RelayConfig{Queue: 4})
	defer r.Wait()
	a, stuck := r.Subscribe(), r.Subscribe()
	var f audio.Frame
	next := func() {
		s.tokens <- true
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
	s.tokens <- false
}

// Whatever the order of subscribing, closing and reading, each reader gets
// consecutive frames from the first after it subscribed, but for those it was too
// slow for, and the source is let go.
func TestRelayProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPipe()
		queue := rapid.IntRange(1, 4).Draw(t, "queue")
		r := audio.NewRelay(p, audio.RelayConfig{Queue: queue})
		type reader struct {
			s       *audio.Subscription
			waiting []int
			dropped int64
		}
		var readers []*reader
		n := 0
		pick := func(t *rapid.T) int {
			if len(readers) == 0 {
				t.Skip("nobody")
			}
			return rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) { readers = append(readers, &reader{s: r.Subscribe()}) },
			"frame": func(t *rapid.T) {
				pick(t)
				last := r.Subscribe() // once it has the frame, so have the others
				n++
				p.frames <- numbered(n)
				var f audio.Frame
				if err := last.ReadFrame(&f); err != nil || f.Samples[0] != int16(n) {
					t.Fatalf("a new reader gets %v, %v, want %d", f.Samples, err, n)
				}
				last.Close()
				for _, x := range readers {
					x.waiting = append(x.waiting, n)
					if len(x.waiting) > queue {
						x.waiting = x.waiting[1:]
						x.dropped++
					}
				}
			},
			"read": func(t *rapid.T) {
				x := readers[pick(t)]
				if len(x.waiting) == 0 {
					t.Skip("nothing")
				}
				var f audio.Frame
				if err := x.s.ReadFrame(&f); err != nil || f.Samples[0] != int16(x.waiting[0]) {
					t.Fatalf("read %v, %v, want %d", f.Samples, err, x.waiting[0])
				}
				x.waiting = x.waiting[1:]
			},
			"close": func(t *rapid.T) {
				i := pick(t)
				readers[i].s.Close()
				readers = append(readers[:i], readers[i+1:]...)
				if len(readers) == 0 {
					r.Wait()
				}
			},
			"": func(t *rapid.T) {
				for _, x := range readers {
					if d := x.s.Dropped(); d != x.dropped {
						t.Fatalf("dropped %d, want %d", d, x.dropped)
					}
				}
			},
		})
		r.Close()
		r.Wait()
	})
}

func TestRelayInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newPipe()
	r := audio.NewRelay(p, audio.RelayConfig{Queue: 2})
	var feeding, using sync.WaitGroup
	done := make(chan struct{})
	feeding.Go(func() {
		for n := 0; ; n++ {
			select {
			case p.frames <- numbered(n):
			case <-done:
				return
			}
		}
	})
	for i := range 8 {
		using.Go(func() {
			var f audio.Frame
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
