package fanout

import (
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

var errBroken = errors.New("broken")

// A pipe is a source that gives the numbers that are sent to it, and can be
// interrupted.
type pipe struct {
	frames chan int
	ended  chan error

	mu          sync.Mutex
	interrupted chan struct{}
	deadline    time.Time
	reads       int
}

func newPipe() *pipe {
	return &pipe{frames: make(chan int), ended: make(chan error), interrupted: make(chan struct{})}
}

func (p *pipe) ReadFrame(f *int) error {
	p.mu.Lock()
	p.reads++
	interrupted := p.interrupted
	p.mu.Unlock()
	select {
	case <-interrupted:
		return os.ErrDeadlineExceeded
	case err := <-p.ended:
		return err
	case *f = <-p.frames:
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

func (s stubborn) ReadFrame(f *int) error { return s.p.ReadFrame(f) }

// A last keeps the last numbers.
type last struct {
	numbers []int
	room    int
}

func newLast(room int) Queue[int] { return &last{room: room} }

func (l *last) Push(f *int) int {
	l.numbers = append(l.numbers, *f)
	dropped := max(len(l.numbers)-l.room, 0)
	l.numbers = l.numbers[dropped:]
	return dropped
}

func (l *last) Pop(f *int) bool {
	if len(l.numbers) == 0 {
		return false
	}
	*f, l.numbers = l.numbers[0], l.numbers[1:]
	return true
}

func relayOf(source Source[int], frames int) *Relay[int] {
	return New(source, Config[int]{Name: "test", Frames: frames, Queue: newLast})
}

func expect(t *testing.T, s *Subscription[int], want ...int) {
	t.Helper()
	var f int
	for _, n := range want {
		if err := s.ReadFrame(&f); err != nil || f != n {
			t.Fatalf("frame %d, %v, want %d", f, err, n)
		}
	}
}

func expectError(t *testing.T, s *Subscription[int], want error) {
	t.Helper()
	var f int
	if err := s.ReadFrame(&f); !errors.Is(err, want) {
		t.Errorf("a read gives %d, %v, want the error %v", f, err, want)
	}
}

func TestErrorOfTheSource(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newPipe()
	r := relayOf(p, 3)
	a := r.Subscribe()
	for n := range 5 {
		p.frames <- n
	}
	p.ended <- errBroken
	r.Wait()
	if a.Dropped() != 2 || r.Subscribers() != 0 {
		t.Errorf("dropped %d for %d subscribers, want 2 and 0", a.Dropped(), r.Subscribers())
	}
	b := r.Subscribe() // the source goes on after its error
	p.frames <- 5
	expect(t, b, 5)
	expect(t, a, 2, 3, 4)
	expectError(t, a, errBroken)
	p.ended <- os.ErrDeadlineExceeded // which is not the relay's
	expectError(t, b, os.ErrDeadlineExceeded)
	r.Wait()
}

func TestLetsGoOfItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := relayOf(p, 50)
		a, b := r.Subscribe(), r.Subscribe()
		p.frames <- 1
		expect(t, a, 1)
		a.Close()
		p.frames <- 2 // for b
		expect(t, b, 1, 2)
		synctest.Wait()
		b.Close()
		r.Wait() // without another frame
		if !p.deadline.IsZero() || p.reads != 3 {
			t.Errorf("after %d reads, want 3, the source has the deadline %v", p.reads, p.deadline)
		}
		r.Close()
		if !p.deadline.IsZero() {
			t.Error("the source, which is not read, gets a deadline")
		}
	})
}

// tardy is a pipe whose errors come when they are let through.
type tardy struct {
	*pipe
	through chan bool
}

func (s tardy) ReadFrame(f *int) error {
	err := s.pipe.ReadFrame(f)
	if err != nil {
		<-s.through
	}
	return err
}

func TestSubscribeWhileItLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := tardy{newPipe(), make(chan bool)}
		r := relayOf(s, 50)
		a := r.Subscribe()
		synctest.Wait()
		a.Close()
		b := r.Subscribe()
		s.through <- true
		s.frames <- 1
		expect(t, b, 1)
		close(s.through)
		b.Close()
		r.Wait()
	})
}

// What a source gives that cannot be interrupted is for those who have come
// until then.
func TestStubbornSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		r := relayOf(stubborn{p}, 50)
		r.Subscribe().Close()
		b := r.Subscribe()
		p.frames <- 1
		expect(t, b, 1)
		synctest.Wait()
		b.Close()
		p.frames <- 2 // dropped
		r.Wait()
		if p.reads != 2 {
			t.Errorf("read %d times, want 2: never by two at once", p.reads)
		}
	})
}

func TestDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		var delivered int
		r := New(p, Config[int]{Name: "test", Frames: 50, Queue: newLast, Drain: true, Delivered: func() { delivered++ }})
		synctest.Wait()
		if p.reads != 0 {
			t.Error("the source is read before the first subscription")
		}
		r.Subscribe().Close()
		p.frames <- 1
		p.frames <- 2
		synctest.Wait()
		a := r.Subscribe()
		p.frames <- 3
		expect(t, a, 3)
		p.ended <- io.EOF
		r.Wait() // drained or not
		expectError(t, a, io.EOF)
		b := r.Subscribe()
		p.frames <- 4
		synctest.Wait()
		r.Close() // what is queued is dropped
		r.Close()
		r.Wait()
		expectError(t, b, r.Err())
		expectError(t, r.Subscribe(), r.Err())
		if delivered != 6 {
			t.Errorf("Delivered was called %d times, want 6", delivered)
		}
	})
}

func TestUnblocksReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := relayOf(newPipe(), 50)
		a, b, c, d := r.Subscribe(), r.Subscribe(), r.Subscribe(), r.Subscribe()
		var reading sync.WaitGroup
		read := func(s *Subscription[int], want error) {
			reading.Go(func() { expectError(t, s, want) })
			synctest.Wait()
		}
		read(a, os.ErrClosed)
		a.Close()
		reading.Wait()
		begin := time.Now()
		read(c, os.ErrDeadlineExceeded)
		c.SetReadDeadline(begin.Add(30 * time.Millisecond))
		reading.Wait()
		expectError(t, c, os.ErrDeadlineExceeded)
		if d := time.Since(begin); d != 30*time.Millisecond {
			t.Errorf("the deadline comes after %v, want 30 ms", d)
		}
		c.SetReadDeadline(time.Time{})
		read(b, os.ErrClosed)
		read(c, os.ErrClosed)
		c.SetReadDeadline(time.Now().Add(time.Hour))
		d.SetReadDeadline(begin)
		expectError(t, d, os.ErrDeadlineExceeded)
		r.Close() // which is stronger than deadlines, before and after
		reading.Wait()
		expectError(t, d, os.ErrClosed)
		d.SetReadDeadline(begin)
		expectError(t, d, os.ErrClosed)
		if d := time.Since(begin); d != 30*time.Millisecond {
			t.Errorf("Close comes after %v, want at once", d)
		}
		r.Wait()
	})
}

func TestRangeOfFrames(t *testing.T) {
	for _, n := range []int{-1, 0, maxFrames + 1} {
		r := relayOf(newPipe(), n)
		if r.Err() == nil {
			t.Errorf("a queue of %d is taken", n)
		}
		expectError(t, r.Subscribe(), r.Err())
	}
}

// Whatever the order of subscribing, closing and reading, each reader gets all
// frames since it subscribed, and the source is let go.
func TestInAnyOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := newPipe()
	r := relayOf(p, maxFrames)
	var feeding, using sync.WaitGroup
	done := make(chan struct{})
	feeding.Go(func() {
		for n := 0; ; n++ {
			select {
			case p.frames <- n:
			case <-done:
				return
			}
		}
	})
	for i := range 8 {
		using.Go(func() {
			for range 200 {
				s := r.Subscribe()
				var other sync.WaitGroup
				if i%2 == 0 {
					other.Go(func() { s.Close() })
				}
				var f [3]int
				for k := range f {
					if err := s.ReadFrame(&f[k]); errors.Is(err, os.ErrClosed) && i%2 == 0 {
						break
					} else if err != nil || k > 0 && f[k] != f[k-1]+1 {
						t.Errorf("the frames %v and the error %v", f[:k+1], err)
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
	close(done)
	feeding.Wait()
}

// A keeper is a pipe that counts how often it has to skip.
type keeper struct {
	*pipe
	skipped int
}

func (k *keeper) SkipUnread() { k.skipped++ }

// What came while nobody subscribed is skipped, and nothing else.
func TestSkips(t *testing.T) {
	k := &keeper{pipe: newPipe()}
	r := relayOf(k, 3)
	for n := range 3 {
		a := r.Subscribe()
		b := r.Subscribe()
		k.frames <- n
		expect(t, a, n)
		a.Close()
		expect(t, b, n)
		b.Close()
		r.Wait()
		if k.skipped != n+1 {
			t.Errorf("skipped %d times for %d", k.skipped, n+1)
		}
	}
}
