package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/internal/census"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// tolerance is for what is kept once, such as pools and grown maps: 2.5 kB
// for each of 200 calls. A peer connection alone holds 100 kB.
var tolerance = census.Census{Heap: 512 << 10}

// leavesNothing runs n calls twice, and checks that after the second time
// everything is where it was after the first, and that each ended for the reason
// wanted. Comparing with the time before the first would find what Go keeps of
// goroutines that have ended, half a kB for each. It keeps more where more calls
// were there at once than ever before, so what is left counts only if more is left
// each time.
func leavesNothing(t *testing.T, s *server.Server, j *journal, n int, want parley.Reason, run func()) {
	t.Helper()
	const times = 3
	run()
	eventually(t, patience, "the first calls gone", func() bool { return s.Calls() == 0 })
	before := census.Rested()
	for round := 1; ; round++ {
		j.take()
		after := leaves(t, s, j, n, want, run, before)
		if after.Within(before, tolerance) {
			return
		}
		if t.Logf("before: %v; after: %v", before, after); round == times {
			t.Error("more is left each time")
			after.LogGoroutines(t, before)
			return
		}
		before = after
	}
}

// leaves runs n calls, and returns what they leave when that is no more than was
// there before, or else after a while.
func leaves(t *testing.T, s *server.Server, j *journal, n int, want parley.Reason, run func(), before census.Census) census.Census {
	t.Helper()
	begin := time.Now()
	run()
	ran := time.Since(begin)
	eventually(t, patience, "all calls released", func() bool { return s.Calls() == 0 })
	after := census.Return(before, tolerance)
	ends := j.take()
	if len(ends) != 1 || ends[string(want)] != n {
		t.Errorf("the log has the ends %v, want %d of %s", ends, n, want)
	}
	t.Logf("%d calls in %v, all gone after %v; before: %v; after: %v; ends: %v",
		n, ran.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond), before, after, ends)
	return after
}

// inParallel runs fn n times, at most width at once.
func inParallel(n, width int, fn func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, width)
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			fn(i)
		})
	}
	wg.Wait()
}

// Offers whose browser never does anything more leave nothing behind, whether
// it is still there or not.
func TestAbandonedOffers(t *testing.T) {
	j := newJournal()
	s, err := server.New(&server.Config{Logger: slog.New(j), Deadlines: parley.Deadlines{Connect: 4 * time.Second}, MaxLate: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	s.Handle("/offer", echo.Handler{})
	const n = 200
	leavesNothing(t, s, j, n, parley.NotConnected, func() {
		var there []*caller
		var mu sync.Mutex
		inParallel(n, 20, func(i int) {
			c, err := newCaller()
			if err != nil {
				t.Error(err)
				return
			}
			offer, err := c.offer()
			if err != nil {
				t.Error(err)
				return
			}
			if status, answer := post(s, "/offer", map[string]string{"type": "offer", "sdp": offer}); status != http.StatusOK {
				if !strings.Contains(answer["error"], "not connected within") { // on a busy machine
					t.Errorf("status %d, %v", status, answer)
				}
			}
			if i%2 == 0 {
				c.hangUp()
				return
			}
			mu.Lock()
			there = append(there, c)
			mu.Unlock()
		})
		eventually(t, patience, "all calls released", func() bool { return s.Calls() == 0 })
		for _, c := range there {
			c.hangUp()
		}
	})
}

// Browsers that connect, talk and vanish without a word leave nothing behind,
// whether the connection notices it or the call.
func TestVanishedBrowsers(t *testing.T) {
	short := peer.Timeouts{Disconnected: time.Second, Failed: 200 * time.Millisecond, KeepAlive: 100 * time.Millisecond}
	for _, tt := range []struct {
		name   string
		config server.Config
		talks  bool
		want   parley.Reason
	}{
		{"ICE", server.Config{Peer: peer.Config{Timeouts: short}}, true, parley.Disconnected},
		{"silence", server.Config{Peer: peer.Config{Timeouts: lasting}, Deadlines: parley.Deadlines{Silence: 1200 * time.Millisecond}}, true, parley.Silent},
		{"no media", server.Config{Peer: peer.Config{Timeouts: lasting}, Deadlines: parley.Deadlines{FirstMedia: 1200 * time.Millisecond}}, false, parley.NoMedia},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJournal()
			tt.config.Logger, tt.config.MaxLate = slog.New(j), -1 // each is taken, however busy this machine is
			s, err := server.New(&tt.config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Shutdown(context.Background())
			s.Handle("/offer", echo.Handler{})
			const n = 100
			leavesNothing(t, s, j, n, tt.want, func() {
				inParallel(n, 8, func(int) {
					c, err := newCaller()
					if err != nil {
						t.Error(err)
						return
					}
					c.call(t, s, "/offer")
					if tt.talks {
						c.chat(t)
					}
					c.line.cut.Store(true)
					c.hangUp()
				})
				eventually(t, patience, "all calls released", func() bool { return s.Calls() == 0 })
			})
		})
	}
}
