package parley

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/internal/loop"
)

// A slow leg takes its time for each packet, as a machine does that has too much to
// do, and keeps for how long a call sent nothing.
type slowLeg struct {
	*slowness
	sent atomic.Int64
	last atomic.Int64 // when that was, since epoch
	gap  atomic.Int64 // the longest between two packets, or since the begin
}

// slowness is what slow legs have in common.
type slowness struct {
	spend func(time.Duration)
	takes atomic.Int64 // nanoseconds for a packet
	epoch time.Time
	since atomic.Int64 // when it began, in nanoseconds since epoch
}

func (l *slowLeg) WriteRTP([]byte) error {
	l.spend(time.Duration(l.takes.Load()))
	now := int64(time.Since(l.epoch))
	l.gap.Store(max(l.gap.Load(), now-max(l.last.Swap(now), l.since.Load())))
	l.sent.Add(1)
	return nil
}

func (l *slowLeg) WriteRTCP([]byte) error { return nil }
func (l *slowLeg) Close() error           { return nil }

// overloaded are calls on one loop that talk all the time.
type overloaded struct {
	slowness
	t       *testing.T
	calls   []*Call
	legs    []*slowLeg
	writing sync.WaitGroup
}

func newOverloaded(t *testing.T, calls int, spend func(time.Duration)) *overloaded {
	o := &overloaded{t: t, slowness: slowness{spend: spend, epoch: time.Now()}}
	for range calls {
		l := &slowLeg{slowness: &o.slowness}
		c, err := New(Config{Audio: &AudioConfig{Leg: l, Send: pcmu, Receive: []codec.Params{pcmu}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Connected()
		o.calls, o.legs = append(o.calls, c), append(o.legs, l)
		o.writing.Go(func() {
			for c.Audio().WriteFrame(ramp(8)) == nil {
			}
		})
	}
	return o
}

func (o *overloaded) close() {
	for _, c := range o.calls {
		c.Close()
	}
	o.writing.Wait()
}

// overload makes each packet take a time, for a while. It returns the longest time for
// which a call sent nothing, and the greatest load.
func (o *overloaded) overload(takes, d time.Duration) (longest time.Duration, worst loop.Load) {
	for _, l := range o.legs {
		l.gap.Store(0)
	}
	o.since.Store(int64(time.Since(o.epoch)))
	o.takes.Store(int64(takes))
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * ms) {
		if l := loop.CurrentLoad(); l.Share() >= worst.Share() {
			worst = l
		}
	}
	o.takes.Store(0)
	now := int64(time.Since(o.epoch))
	for _, l := range o.legs {
		longest = max(longest, time.Duration(max(l.gap.Load(), now-l.last.Load())))
	}
	return longest, worst
}

// sent returns how many packets each call has sent, and how much of the time it says
// that it left out.
func (o *overloaded) sent() (packets []int64, stalled []time.Duration) {
	for i, l := range o.legs {
		var s AudioStats
		o.calls[i].Audio().Stats(&s)
		packets, stalled = append(packets, l.sent.Load()), append(stalled, s.Stalled)
	}
	return packets, stalled
}

// well reports whether in a second each call sends nearly all of its packets and
// nearly nothing is late.
func (o *overloaded) well() bool {
	before, _ := o.sent()
	time.Sleep(time.Second)
	after, _ := o.sent()
	for i := range after {
		if after[i] < before[i]+35 {
			return false
		}
	}
	return loop.CurrentLoad().Share() < 0.3
}

// Calls that together need several times the time that there is: what is late is
// counted, and what was not sent; each call goes on to send, though less, none at the
// cost of others; a second after it is over all is as it was.
func TestOverload(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one loop
	for _, tt := range []struct {
		calls int
		takes time.Duration // of the 20 ms that all of them have
	}{{20, 2 * ms}, {20, 5 * ms}, {100, 1 * ms}} {
		synctest.Test(t, func(t *testing.T) {
			name := fmt.Sprintf("%d calls, %v", tt.calls, tt.takes)
			o := newOverloaded(t, tt.calls, time.Sleep)
			defer o.close()
			time.Sleep(2 * time.Second)
			if !o.well() {
				t.Fatal("not all is well before")
			}
			late := loop.Late()
			before, left := o.sent()
			const d = 5 * time.Second
			longest, worst := o.overload(tt.takes, d)
			late = loop.Late() - late
			time.Sleep(time.Second)
			after, stalled := o.sent()
			least, most := after[0], int64(0)
			for i := range after {
				n := after[i] - before[i]
				least, most = min(least, n), max(most, n)
				// What was not sent was left out, and said to be.
				sent := time.Duration(n) * 20 * ms
				if all := sent + stalled[i] - left[i]; all < d+time.Second-40*ms || all > d+time.Second+100*ms {
					t.Errorf("%s: call %d sent %v and left out %v in %v", name, i, sent, stalled[i]-left[i], d+time.Second)
				}
			}
			t.Logf("%s: %d runs late, up to %.0f %% of %d in a second; %d to %d packets, none for up to %v", name, late, 100*worst.Share(), worst.Runs, least, most, longest)
			if late < 50 || worst.Share() < 0.5 {
				t.Errorf("%s: %d runs were late, at most %.0f %% in a second", name, late, 100*worst.Share())
			}
			// Who is less than 100 ms late sends up to six packets to be on time again, and
			// who is the first in one round may be the last in the next.
			if longest > 2*6*time.Duration(tt.calls)*tt.takes || most > least*3/2 {
				t.Errorf("%s: a call sent nothing for %v; %d to %d packets", name, longest, least, most)
			}
			if !o.well() {
				t.Errorf("%s: not all is well a second after the overload", name)
			}
		})
	}
}

// The same on a real machine, where nothing piles up.
func TestLiveOverload(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one loop
	o := newOverloaded(t, 10, func(d time.Duration) {
		for begin := time.Now(); time.Since(begin) < d; {
		}
	})
	defer o.close()
	wait := func(when string) {
		t.Helper()
		for range 30 {
			if o.well() {
				return
			}
		}
		t.Fatalf("%s: not all is well in any of thirty seconds: %+v", when, loop.CurrentLoad())
	}
	wait("before")
	slack := census.Census{Heap: 1 << 20}
	before := census.Count()
	for try := 1; ; try++ {
		late := loop.Late()
		longest, worst := o.overload(4*ms, 3*time.Second)
		late = loop.Late() - late
		t.Logf("%d runs late, up to %.0f %% of those of a second; nothing sent for up to %v", late, 100*worst.Share(), longest)
		if late < 10 || worst.Share() < 0.5 {
			t.Errorf("%d runs were late, at most %.0f %% in a second", late, 100*worst.Share())
		}
		wait("afterwards")
		if longest < time.Second {
			break
		}
		if try == 3 { // other programs may hold this one up
			t.Errorf("three times a call sent nothing for a second and more, %v at last", longest)
			break
		}
	}
	if after := census.Return(before, slack); !after.Within(before, slack) {
		t.Errorf("%v, and after the overload %v", before, after)
	}
}
