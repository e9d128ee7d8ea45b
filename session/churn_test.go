package session

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/transport"
)

// Two hundred calls a second come and go for half a minute, and leave nothing behind.
// They are in a process of their own, so that all that is counted there is theirs.
func TestChurn(t *testing.T) {
	if isChild(t) {
		churn(t, 30*time.Second)
		return
	}
	t.Parallel()
	c := startChild(t)
	t.Log(c.said("churn"))
	c.end()
}

// churned is what became of the calls of a churn.
type churned struct {
	Calls   int64
	Ends    map[parley.Reason]int64
	Frames  int64 // of media that were heard
	Mute    int64 // calls that heard nothing
	Late    time.Duration
	Took    time.Duration
	Before  census.Census
	After   census.Census
	HeapMax int
}

// churn opens a hundred pairs of calls a second.
func churn(t *testing.T, d time.Duration) {
	const pairsPerSecond = 100
	ports, err := transport.NewPorts(32000, 32767) // which no other test takes
	if err != nil {
		t.Fatal(err)
	}
	run := func(d time.Duration) (r churned) {
		r.Ends = map[parley.Reason]int64{}
		var mu sync.Mutex // guards r.Ends
		ended := func(s *Session) {
			end, _ := errors.AsType[*parley.EndError](s.Err())
			mu.Lock()
			defer mu.Unlock()
			r.Ends[end.Reason]++
		}
		var frames, mute atomic.Int64
		var all sync.WaitGroup
		begin := time.Now()
		free := make(chan struct{}, ports.Free()/2) // pairs that there are ports for
		for n := 0; ; n++ {
			due := begin.Add(time.Duration(n) * time.Second / pairsPerSecond)
			if due.Sub(begin) >= d {
				break
			}
			time.Sleep(time.Until(due))
			r.Late = max(r.Late, time.Since(due))
			free <- struct{}{}
			all.Go(func() {
				defer func() { <-free }()
				x, y, err := churnPair(t, ports, n)
				// Another program may hold ports of the range, as one that runs this test.
				for give := time.Now().Add(patience); errors.Is(err, transport.ErrNoPorts) && time.Now().Before(give); {
					time.Sleep(20 * time.Millisecond)
					x, y, err = churnPair(t, ports, n)
				}
				if err != nil {
					t.Error(err)
					return
				}
				heard := talkAndEnd(t.Context(), x, y, n)
				frames.Add(heard[0] + heard[1])
				for _, h := range heard {
					if h == 0 {
						mute.Add(1)
					}
				}
				ended(x)
				ended(y)
			})
			r.Calls += 2
			if n%pairsPerSecond == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				r.HeapMax = max(r.HeapMax, int(m.HeapInuse))
			}
		}
		all.Wait()
		r.Took, r.Frames, r.Mute = time.Since(begin), frames.Load(), mute.Load()
		return r
	}
	run(time.Second) // what is made once and kept, such as buffers
	free, before := ports.Free(), census.Rested()
	r := run(d)
	slack := census.Census{Heap: 2 << 20}
	r.Before, r.After = before, census.Return(before, slack)
	if !r.After.Within(before, slack) {
		r.After.LogGoroutines(t, before)
		t.Errorf("%v, and in the end %v", r.Before, r.After)
	}
	if n := ports.Free(); n != free {
		t.Errorf("%d pairs of ports are free, want %d", n, free)
	}
	// Each fourth pair ends in another way, and its other end hears a goodbye.
	quarter := r.Calls / 8
	for reason, want := range map[parley.Reason]int64{parley.Closed: 2 * quarter, parley.Canceled: quarter, parley.Silent: quarter, parley.Bye: 4 * quarter} {
		if got := r.Ends[reason]; got < want*9/10 || got > want*11/10 {
			t.Errorf("%d calls ended by %s, want about %d: %v", got, reason, want, r.Ends)
		}
	}
	if r.Mute > r.Calls/20 {
		t.Errorf("%d of %d calls heard nothing", r.Mute, r.Calls)
	}
	b, _ := json.Marshal(&r)
	report("churn", string(b))
}

func churnPair(t *testing.T, ports *transport.Ports, n int) (x, y *Session, err error) {
	a := Config{Local: local, Ports: ports, Mux: n%3 == 0, Deadlines: parley.Deadlines{FirstMedia: 3 * time.Second, Silence: 3 * time.Second}}
	b := a
	if n%4 == 3 {
		a.Deadlines.Silence = 300 * time.Millisecond
	}
	if x, err = Open(t.Context(), &a); err != nil {
		return nil, nil, err
	}
	b.Remote = x.LocalAddr()
	if y, err = Open(t.Context(), &b); err != nil {
		x.Close()
		return nil, nil, err
	}
	// So that x can say goodbye before it has heard anything.
	x.leg.setRemote(y.LocalAddr(), netip.AddrPort{})
	return x, y, nil
}

// talkAndEnd lets two calls talk with each other for a moment, and ends them: one by
// this program in two ways, or by its deadline, the other by the goodbye of the first.
// It returns how many frames of media each has heard.
func talkAndEnd(ctx context.Context, x, y *Session, n int) (heard [2]int64) {
	moment := time.Duration(100+n%5*20) * time.Millisecond
	var talking sync.WaitGroup
	var first [2]chan struct{} // closed with the first media, or when there will be none
	for i, s := range []*Session{x, y} {
		first[i] = make(chan struct{})
		talking.Go(func() {
			var f audio.Frame
			for s.Audio().ReadFrame(&f) == nil {
				if f.Kind == audio.Media {
					if heard[i]++; heard[i] == 1 {
						close(first[i])
					}
				}
			}
			if heard[i] == 0 {
				close(first[i])
			}
		})
	}
	// Who has said nothing says no goodbye either (RFC 3550, section 6.3.7), so both
	// are to have been heard.
	talking.Go(func() {
		for x.Audio().WriteFrame(tone(ownLevel)) == nil {
		}
	})
	silent := make(chan struct{}) // closed when y is to fall silent
	talking.Go(func() {
		for y.Audio().WriteFrame(tone(ownLevel)) == nil {
			select {
			case <-silent:
				return
			default:
			}
		}
	})
	<-first[0]
	<-first[1]
	switch n % 4 {
	case 0, 1:
		time.Sleep(moment)
		if n%4 == 0 {
			x.Close()
		} else {
			x.EndWith(&parley.EndError{Reason: parley.Closed})
		}
	case 2:
		ctx, cancel := context.WithTimeout(ctx, moment)
		defer cancel()
		parley.Serve(ctx, x.Call, parley.HandlerFunc(func(ctx context.Context, _ *parley.Call) error { //nolint:errcheck // the reason is looked at
			<-ctx.Done()
			return ctx.Err()
		}))
	case 3: // y falls silent, but stays
		time.Sleep(moment)
		close(silent)
		<-x.Done()
	}
	<-y.Done() // by the goodbye, or by a deadline
	x.Close()
	y.Close()
	talking.Wait()
	return heard
}
