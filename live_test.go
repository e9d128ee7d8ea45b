package parley

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/audio"
)

// hums writes a hum of 200 Hz until the call ends.
func hums(c *Call) {
	f := ramp(0)
	for n := 0; ; {
		for i := range f.Samples {
			f.Samples[i] = int16(8000 * math.Sin(2*math.Pi*float64(n)/40))
			n++
		}
		if c.Audio().WriteFrame(f) != nil {
			return
		}
	}
}

// Who writes live what is read has the delay of before two seconds after a stall of
// 300 ms, without a click at the far end, and without stalls nothing is left out.
func TestLiveAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y, _, _ := pair(t, AudioConfig{}, AudioConfig{}, Deadlines{})
		stalls := make(chan struct{}, 1)
		var running sync.WaitGroup
		running.Go(func() { hums(x) })
		running.Go(func() {
			var f audio.Frame
			for y.Audio().ReadFrame(&f) == nil {
				select {
				case <-stalls:
					time.Sleep(300 * ms)
				default:
				}
				if y.Audio().WriteLive(&f) != nil {
					return
				}
			}
		})
		steepest := 0
		running.Go(func() {
			var f audio.Frame
			var last int16
			for x.Audio().ReadFrame(&f) == nil {
				for _, v := range f.Samples {
					steepest = max(steepest, int(v)-int(last), int(last)-int(v))
					last = v
				}
			}
		})
		var s AudioStats
		if q := longest(y.Audio(), 20*time.Second, &s); q > 40*ms || s.LeftOut != 0 {
			t.Errorf("without a stall %v queued, %v left out", q, s.LeftOut)
		}
		for n := range 3 {
			before := s.LeftOut
			stalls <- struct{}{}
			high := longest(y.Audio(), 2300*ms, &s)
			q := longest(y.Audio(), 5*time.Second, &s)
			t.Logf("stall %d: %v queued, then %v; %v left out", n, high, q, s.LeftOut-before)
			if d := s.LeftOut - before; high < 160*ms || q > 50*ms || d < 220*ms || d > 320*ms {
				t.Errorf("after a stall %v queued, later %v, %v left out", high, q, d)
			}
		}
		x.Close()
		y.Close()
		running.Wait()
		t.Logf("steps of %d", steepest)
		if steepest > 3000 {
			t.Errorf("a click: a step of %d", steepest)
		}
	})
}

// longest returns how much was queued at most in a time, and what is counted at its
// end.
func longest(a *Audio, d time.Duration, s *AudioStats) (queued time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(ms) {
		a.Stats(s)
		queued = max(queued, s.Queued)
	}
	return queued
}

// What is copied as frames has no delay for long either.
func TestCopyLeavesDelayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mu, a := AudioConfig{Send: pcmu}, AudioConfig{Send: pcma}
		x, in, _, _ := pair(t, mu, mu, Deadlines{})
		out, y, _, _ := pair(t, a, a, Deadlines{})
		var running sync.WaitGroup
		running.Go(func() { hums(x) })
		running.Go(func() { Copy(t.Context(), out, in) }) //nolint:errcheck // until the call ends
		var s AudioStats
		if longest(out.Audio(), 5*time.Second, &s); s.PacketsSent < 200 || s.LeftOut != 0 {
			t.Errorf("stats %+v", s)
		}
		for range 20 { // as after a stall
			if err := out.Audio().WriteLive(ramp(0)); err != nil {
				t.Fatal(err)
			}
		}
		high := longest(out.Audio(), 2*time.Second, &s)
		if q := longest(out.Audio(), 5*time.Second, &s); high < 160*ms || q > 50*ms || s.LeftOut < 340*ms {
			t.Errorf("%v queued, later %v, %v left out", high, q, s.LeftOut)
		}
		for _, c := range []*Call{x, in, out, y} {
			c.Close()
		}
		running.Wait()
	})
}

// Half of what is written in a burst has no room, and nobody waits.
func ExampleAudio_WriteLive() {
	c := exampleCall()
	defer c.Close()
	late := &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 3200)}
	fmt.Println(c.Audio().WriteLive(late))
	var s AudioStats
	c.Audio().Stats(&s)
	fmt.Println(s.LeftOut)
	// Output:
	// <nil>
	// 200ms
}
