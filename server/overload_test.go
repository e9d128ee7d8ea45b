package server_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/loop"
	"github.com/parley-media/parley/server"
)

// Who calls while the work for calls is late is asked to come back, what there is
// goes on, and when all is well again so is the next call.
func TestOverload(t *testing.T) {
	for _, tt := range []struct {
		limit float64
		load  loop.Load
		full  bool
	}{
		{0, loop.Load{}, false},
		{0, loop.Load{Runs: 1000, Late: 500}, false},
		{0, loop.Load{Runs: 1000, Late: 501}, true},
		{0, loop.Load{Runs: 250, Late: 250}, true},
		{0, loop.Load{Runs: 249, Late: 249}, false}, // too few to tell
		{0, loop.Load{Lateness: time.Second - 1}, false},
		{0, loop.Load{Lateness: time.Second}, true}, // stands still
		{0, loop.Load{Runs: 100000, Lateness: 10 * time.Second}, true},
		{0.02, loop.Load{Runs: 1000, Late: 20}, false},
		{0.02, loop.Load{Runs: 1000, Late: 21}, true},
		{1, loop.Load{Runs: 1000, Late: 1000}, false},
		{1, loop.Load{Lateness: time.Second}, true},
		{-1, loop.Load{Runs: 1000, Late: 1000, Lateness: time.Hour}, false},
	} {
		t.Run(fmt.Sprintf("%v of %+v", tt.limit, tt.load), func(t *testing.T) {
			s, _ := start(t, &server.Config{MaxLate: tt.limit, MaxCalls: 2})
			var load atomic.Pointer[loop.Load]
			load.Store(&loop.Load{})
			s.SetLoad(func() loop.Load { return *load.Load() })
			offer := object{"type": "offer", "sdp": chromium(t)}
			wantStatus(t, ask(s, "POST", "/wait", offer), http.StatusOK)

			load.Store(&tt.load)
			w := ask(s, "POST", "/wait", offer)
			if !tt.full {
				wantStatus(t, w, http.StatusOK)
				return
			}
			wantStatus(t, w, http.StatusServiceUnavailable)
			if after := w.Header().Get("Retry-After"); after != "2" {
				t.Errorf("Retry-After %q, want 2", after)
			}
			m := scrape(t, s)
			for _, want := range []struct {
				name   string
				labels []string
				value  float64
			}{
				{"parley_refused_calls_total", []string{"reason", "late"}, 1},
				{"parley_refused_offers_total", []string{"status", "503"}, 1},
				{"parley_loop_runs", nil, float64(tt.load.Runs)},
				{"parley_loop_late_runs", nil, float64(tt.load.Late)},
				{"parley_loop_lateness_seconds", nil, tt.load.Lateness.Seconds()},
			} {
				if got := value(m, want.name, want.labels...); got != want.value {
					t.Errorf("%s %v is %v, want %v", want.name, want.labels, got, want.value)
				}
			}
			if s.Calls() != 1 {
				t.Errorf("%d calls, want that of before", s.Calls())
			}

			load.Store(&loop.Load{Runs: 1000})
			wantStatus(t, ask(s, "POST", "/wait", offer), http.StatusOK)
			// With all calls taken, that is the reason, however late it is.
			load.Store(&tt.load)
			wantStatus(t, ask(s, "POST", "/wait", offer), http.StatusServiceUnavailable)
			if n := value(scrape(t, s), "parley_refused_calls_total", "reason", "calls"); n != 1 {
				t.Errorf("%v refused for all calls being taken, want 1", n)
			}
		})
	}
}
