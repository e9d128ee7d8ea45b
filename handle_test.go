package parley

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

func TestHandleFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		var frames, right atomic.Int64
		begin := time.Now()
		var last time.Duration
		echo := func(f *audio.Frame) {
			if n := frames.Add(1); n > 1 && f.Time != last+20*ms {
				t.Errorf("frame %d begins at %v, the one before at %v", n, f.Time, last)
			}
			last = f.Time
			if f.Kind == audio.Media && f.Samples[80] == 988 {
				right.Add(1)
			}
			if err := y.Audio().WriteLive(f); err != nil {
				t.Error(err)
			}
		}
		if err := y.Audio().HandleFrames(echo); err != nil {
			t.Fatal(err)
		}
		if err := y.Audio().ReadFrame(&audio.Frame{}); !errors.Is(err, ErrHandled) {
			t.Errorf("ReadFrame: %v", err)
		}
		y.Audio().SetReadDeadline(begin) // to get an error in any case
		if err := y.Audio().ReadPacket(&stream.Packet{}); !errors.Is(err, ErrHandled) {
			t.Fatalf("ReadPacket: %v", err)
		}
		y.Audio().SetReadDeadline(time.Time{})
		go func() {
			for range 100 {
				if err := x.Audio().WriteFrame(ramp(988)); err != nil {
					t.Error(err)
				}
			}
		}()
		heard := 0
		var f audio.Frame
		for time.Since(begin) < 2*time.Second {
			if err := x.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
			if f.Kind == audio.Media && f.Samples[80] == 988 {
				heard++
			}
		}
		if n := frames.Load(); n < 90 || n > 101 || right.Load() < 90 {
			t.Errorf("%d frames in 2 s, %d of them as they were sent", n, right.Load())
		}
		if heard < 85 {
			t.Errorf("%d frames came back", heard)
		}

		// Somebody who waits for a frame learns that there is a function now, and
		// without one frames can be read again.
		y.Audio().HandleFrames(nil) //nolint:errcheck // nothing can be wrong with none
		n := frames.Load()
		read := make(chan error, 1)
		go func() {
			for {
				if err := y.Audio().ReadFrame(&audio.Frame{}); err != nil {
					read <- err
					return
				}
			}
		}()
		time.Sleep(200 * ms)
		if frames.Load() != n {
			t.Error("the function is called although there is none")
		}
		if err := y.Audio().HandleFrames(echo); err != nil {
			t.Fatal(err)
		}
		if err := <-read; !errors.Is(err, ErrHandled) {
			t.Errorf("a ReadFrame that waited: %v", err)
		}
		last = 0
		y.Audio().HandleFrames(func(*audio.Frame) { frames.Add(1) }) //nolint:errcheck // as before

		// After the end the function is not called any more.
		x.Close()
		<-y.Done()
		n = frames.Load()
		time.Sleep(time.Second)
		if frames.Load() != n {
			t.Error("the function is called after the end")
		}
		var err error
		for err == nil {
			err = y.Audio().ReadFrame(&f)
		}
		if err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	})
}

// What a function writes leaves in the same run of the loop, also when it is due a little
// later than that.
func TestHandledFramesLeaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, toX := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		handled := make(chan time.Time, 100)
		frames := 0
		y.Audio().HandleFrames(func(f *audio.Frame) { //nolint:errcheck // nothing can be wrong
			handled <- time.Now()
			if frames++; frames > 1 {
				y.Audio().WriteLive(f) //nolint:errcheck // the test looks at what leaves
			}
		})
		go func() {
			for x.Audio().WriteFrame(ramp(988)) == nil {
			}
		}()
		<-handled
		time.Sleep(50 * time.Microsecond)
		y.Audio().WriteLive(ramp(988)) //nolint:errcheck // as above
		written := time.Now()
		var p stream.Packet
		for i := range 50 {
			if err := x.Audio().ReadPacket(&p); err != nil {
				t.Fatal(err)
			}
			if late := p.Arrival.Sub(written) - toX.delay; late != 0 {
				t.Fatalf("packet %d left %v after it was written", i, late)
			}
			written = <-handled
		}
	})
}

func TestHandleFramesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nothing := func(*audio.Frame) {}
		x, _, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		x.Audio().readPacket(ctx, &stream.Packet{}) //nolint:errcheck // its time is over
		if err := x.Audio().HandleFrames(nothing); !errors.Is(err, ErrCoded) {
			t.Errorf("where packets are read: %v", err)
		}
		y, _, _, _ := pair(t, AudioConfig{Send: coded}, AudioConfig{Send: coded}, Deadlines{})
		if err := y.Audio().HandleFrames(nothing); !errors.Is(err, codec.ErrUnknown) {
			t.Errorf("a codec that nobody knows: %v", err)
		}
	})
}

// A panic costs the call that it belongs to, and so does a function that leaves the
// goroutine.
func TestHandleFramesPanics(t *testing.T) {
	for want, fn := range map[string]func(){
		"out of ideas": func() { panic("out of ideas") },
		"Goexit":       runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
			if err := y.Audio().HandleFrames(func(*audio.Frame) { fn() }); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				x.Audio().WriteFrame(ramp(988)) //nolint:errcheck // the other end may have gone
			}
			<-y.Done()
			if end, ok := errors.AsType[*EndError](y.Err()); !ok || end.Reason != Panicked || !strings.Contains(end.Detail, want) {
				t.Errorf("ended by %v", y.Err())
			}
		})
	}
}

func TestHandleFramesSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		n := 0
		slow := func(*audio.Frame) {
			if n++; n <= 3 {
				time.Sleep(slowFrame + ms)
			}
		}
		if err := y.Audio().HandleFrames(slow); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			x.Audio().WriteFrame(ramp(988)) //nolint:errcheck // it has room
		}
		time.Sleep(time.Second)
		var s AudioStats
		if y.Audio().Stats(&s); s.SlowFrames != 3 {
			t.Errorf("%d slow frames, want 3", s.SlowFrames)
		}
	})
}

// A well is a leg that has to be asked for packets.
type well struct {
	wire
	packets chan []byte
	polls   []poll
	call    *Call
}

type poll struct {
	at      time.Time
	clocked bool
}

func (w *well) Poll(clocked bool, scratch []byte) (more bool) {
	if len(scratch) < 1<<16 {
		panic("too little to read into")
	}
	w.polls = append(w.polls, poll{time.Now(), clocked})
	select {
	case b := <-w.packets:
		w.call.Audio().DeliverRTP(time.Now(), netip.AddrPort{}, append(scratch[:0], b...))
		return len(w.packets) > 0
	default:
		return false
	}
}

// fill puts packets of 20 ms in at their pace, and wakes the call for the first of them.
func (w *well) fill(after time.Duration, packets int) {
	time.Sleep(after)
	for n := range packets {
		w.packets <- rtpPacket(7, n, make([]byte, 160))
		if n < 3 {
			w.call.Wake()
		}
		time.Sleep(20 * ms)
	}
}

// since returns how the leg was polled after begin.
func (w *well) since(begin time.Time) (clocked, told int, longest time.Duration) {
	synctest.Wait()
	last := begin
	for _, p := range w.polls {
		if p.at.Before(begin) {
			continue
		}
		if p.clocked {
			clocked++
		} else {
			told++
		}
		longest = max(longest, p.at.Sub(last))
		last = p.at
	}
	return clocked, told, longest
}

func TestPolledLeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &well{packets: make(chan []byte, 1000)}
		c, err := New(Config{Audio: &AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w.call = c
		c.Connected()
		time.Sleep(time.Second)
		if clocked, told, _ := w.since(time.Now().Add(-900 * ms)); clocked+told > 3 {
			t.Errorf("asked %d times although nobody called", clocked+told)
		}

		var frames int
		c.Audio().HandleFrames(func(*audio.Frame) { frames++ }) //nolint:errcheck // it can be decoded
		n := 0
		talk := func(d time.Duration, wake bool) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * ms) {
				w.packets <- rtpPacket(7, n, make([]byte, 160))
				if n++; wake {
					c.Wake()
				}
			}
		}
		talk(100*ms, true)
		begin := time.Now()
		talk(2*time.Second, false)
		if clocked, told, longest := w.since(begin); told != 0 || clocked < 99 || clocked > 250 || longest > 22*ms {
			t.Errorf("while media came, asked %d times by the clock, %d times for being told, at least each %v", clocked, told, longest)
		}
		if frames < 95 {
			t.Errorf("%d frames in 2.1 s", frames)
		}
		var s AudioStats
		if c.Audio().Stats(&s); s.Received != int64(n) || s.Lost != 0 {
			t.Errorf("%d packets received of %d, %d lost", s.Received, n, s.Lost)
		}

		// In a pause it is up to the leg again.
		time.Sleep(2 * time.Second)
		begin = time.Now()
		time.Sleep(time.Second)
		if clocked, _, _ := w.since(begin); clocked != 0 {
			t.Errorf("asked by the clock %d times in a pause", clocked)
		}

		// What there is more of is read soon.
		for range 10 {
			w.packets <- rtpPacket(7, n, make([]byte, 160))
			n++
		}
		c.Wake()
		time.Sleep(15 * ms)
		if len(w.packets) != 0 {
			t.Errorf("%d packets left after 15 ms", len(w.packets))
		}
	})
}

// However late a loop comes to a call, since others keep it, what has come in is read
// before each frame.
func TestPolledBeforeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets = 500
		var talking sync.WaitGroup
		for i := range 12 {
			w := &well{packets: make(chan []byte, packets)}
			c, err := New(Config{Audio: &AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}}})
			if err != nil {
				t.Fatal(err)
			}
			defer time.Sleep(10 * ms) // of the loop, which may be in the function
			defer c.Close()
			w.call = c
			c.Connected()
			random := rand.New(rand.NewPCG(3, uint64(i)))
			polls := 0
			c.Audio().HandleFrames(func(f *audio.Frame) { //nolint:errcheck // it can be decoded
				if len(w.polls) == polls {
					t.Errorf("nothing was read before the frame at %v", f.Time)
				}
				polls = len(w.polls)
				time.Sleep(time.Duration(random.IntN(1500)) * time.Microsecond)
			})
			talking.Go(func() { w.fill(time.Duration(i)*500*time.Microsecond, packets) })
		}
		talking.Wait()
	})
}

// A dated well knows when it was asked last.
type datedWell struct {
	well
	asked atomic.Int64
}

func (w *datedWell) Poll(clocked bool, scratch []byte) (more bool) {
	w.asked.Store(time.Now().UnixNano())
	return w.well.Poll(clocked, scratch)
}

// Who reads frames has nothing before the leg was read for it either, however late the
// loop is, and whatever else wakes the reader.
func TestPolledBeforeReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packets = 200
		var talking sync.WaitGroup
		for i := range 12 {
			w := &datedWell{well: well{packets: make(chan []byte, packets)}}
			c, err := New(Config{Audio: &AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}}})
			if err != nil {
				t.Fatal(err)
			}
			defer time.Sleep(10 * ms) // of the loop, which may be in the function
			defer c.Close()
			w.call = c
			c.Connected()
			a := c.Audio()
			talking.Go(func() { w.fill(time.Duration(i)*500*time.Microsecond, packets) })
			if i%2 == 0 { // makes the loop late
				a.HandleFrames(func(*audio.Frame) { time.Sleep(1500 * time.Microsecond) }) //nolint:errcheck // it can be decoded
				continue
			}
			talking.Go(func() {
				for range packets * 20 {
					time.Sleep(ms)
					c.cond.Broadcast()
				}
			})
			talking.Go(func() {
				var f audio.Frame
				for range packets - 5 {
					if err := a.ReadFrame(&f); err != nil {
						t.Error(err)
						return
					}
					c.mu.Lock()
					due := a.receiver.Next().Add(-20 * ms)
					c.mu.Unlock()
					if early := due.UnixNano() - w.asked.Load(); early > 0 {
						t.Errorf("the leg was read %v before the frame at %v was due, and not since", time.Duration(early), f.Time)
					}
				}
			})
		}
		talking.Wait()
	})
}
