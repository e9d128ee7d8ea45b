package parley

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/parley-media/parley/codec"
)

// tapeCall returns a connected call with PCMU over a leg.
func tapeCall(t *testing.T, leg Leg) *Call {
	t.Helper()
	c, err := New(Config{Audio: &AudioConfig{Leg: leg, Send: pcmu, Receive: []codec.Params{pcmu}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.Connected()
	return c
}

// What is due when it is written has left when the write returns, also up to a
// millisecond before its time; what is due later leaves at its time.
func TestLeavesWhenWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leg := &tape{}
		a := tapeCall(t, leg).Audio()
		write := func() []uint16 {
			if err := a.WriteLive(ramp(8)); err != nil {
				t.Fatal(err)
			}
			return leg.sequence()
		}
		first := write()
		if len(first) != 1 {
			t.Fatalf("%d packets left with the first frame", len(first))
		}
		time.Sleep(20*ms - ms/2)
		if got := write(); len(got) != 1 || got[0] != first[0]+1 {
			t.Errorf("%v left half a millisecond early, after %v", got, first)
		}
		if got := write(); len(got) != 0 {
			t.Errorf("%v left %v early", got, 20*ms+ms/2)
		}
		time.Sleep(20 * ms)
		if got := leg.sequence(); len(got) != 0 {
			t.Errorf("%v left early", got)
		}
		time.Sleep(2 * ms)
		if got := leg.sequence(); len(got) != 1 || got[0] != first[0]+2 {
			t.Errorf("%v left at its time, after %v", got, first)
		}
	})
}

// sequence returns the numbers of the packets that were sent since the last time.
func (l *tape) sequence() (numbers []uint16) {
	for _, p := range l.take() {
		numbers = append(numbers, p.SequenceNumber)
	}
	return numbers
}

// A hesitant leg takes its time with the first packet.
type hesitant struct {
	tape
	begun atomic.Bool
}

func (l *hesitant) WriteRTP(b []byte) error {
	if !l.begun.Swap(true) {
		time.Sleep(50 * ms)
	}
	return l.tape.WriteRTP(b)
}

// No packet overtakes the one that the writer sends.
func TestOrderOfWriterAndLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leg := &hesitant{}
		a := tapeCall(t, leg).Audio()
		begin := time.Now()
		f := ramp(8)
		f.Samples = make([]int16, 3*160)
		far := source{to: a, ssrc: 7, units: 160}
		go func() { // what comes in has the loop run
			for n := range 3 {
				time.Sleep(15 * ms)
				far.send(n)
			}
		}()
		if err := a.WriteLive(f); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 50*ms {
			t.Errorf("written after %v", d)
		}
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := leg.sequence()
		for i := range got {
			if got[i] != got[0]+uint16(i) {
				t.Fatalf("sent in the order %v", got)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d packets", len(got))
		}
	})
}

// A pollTape is a leg that is asked for what has come, and counts how often it is.
type pollTape struct {
	tape
	polls atomic.Int64
}

func (l *pollTape) Poll(bool, []byte) bool { l.polls.Add(1); return false }

// A reader that was told of a frame and does not come, as on a machine that has too
// much to do, does not make the loop run the call again and again.
func TestReaderThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leg := &pollTape{}
		c := tapeCall(t, leg)
		a := c.Audio()
		c.mu.Lock()
		a.waiting.frame++
		c.mu.Unlock()
		far := source{to: a, ssrc: 7, units: 160}
		for n := range 50 {
			far.send(n)
			time.Sleep(20 * ms)
		}
		if n := leg.polls.Load(); n < 40 || n > 110 {
			t.Errorf("asked %d times in 50 frames", n)
		}
		c.mu.Lock()
		a.waiting.frame--
		c.mu.Unlock()
	})
}

// Who drains waits for what is queued, and not for a writer that has much to say.
func TestDrainBesideWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := tapeCall(t, &tape{})
		wrote := make(chan error)
		go func() {
			f := ramp(8)
			f.Samples = make([]int16, 60*8000)
			wrote <- c.Audio().WriteFrame(f)
		}()
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 110*ms)
		defer cancel()
		if err := c.Audio().Drain(ctx); err != context.DeadlineExceeded || time.Since(begin) != 110*ms {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if err := c.Audio().Drain(t.Context()); err != nil || time.Since(begin) != 320*ms {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		c.Close()
		if err := <-wrote; err == nil {
			t.Error("all was written")
		}
	})
}

// When the line is removed that has not said goodbye, the goodbye of the other one ends
// the call, although nothing else happens.
func TestRemoveAfterGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := videoPair(t, VideoConfig{}, &AudioConfig{}, nil)
		for n := range 5 {
			if err := errors.Join(x.Audio().WriteFrame(ramp(8)), x.Video().WriteFrame(picture(n, n == 0, 500))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(1500 * ms)
		bye, err := (&rtcp.Goodbye{Sources: []uint32{x.Audio().SSRC()}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		y.Audio().DeliverRTCP(time.Now(), netip.AddrPort{}, bye)
		time.Sleep(50 * ms)
		begin := time.Now()
		y.Video().line.Remove()
		<-y.Done()
		if end, ok := errors.AsType[*EndError](y.Err()); !ok || end.Reason != Bye || time.Since(begin) > byeGrace {
			t.Errorf("%v after %v", y.Err(), time.Since(begin))
		}
	})
}
