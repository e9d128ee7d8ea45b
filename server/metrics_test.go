package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/server"
)

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, s *server.Server) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	s.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	wantStatus(t, w, http.StatusOK)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value returns that of the metric with these labels, the number of what was
// observed of a histogram, or NaN if there is none.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	for _, m := range families[name].GetMetric() {
		var got []string
		for _, l := range m.GetLabel() {
			got = append(got, l.GetName(), l.GetValue())
		}
		if strings.Join(got, " ") != strings.Join(labels, " ") {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		}
	}
	return math.NaN()
}

// sum returns the sum of a histogram.
func sum(families map[string]*dto.MetricFamily, name string) float64 {
	var total float64
	for _, m := range families[name].GetMetric() {
		total += m.GetHistogram().GetSampleSum()
	}
	return total
}

// What happens to calls is in the metrics while they go on and after they have
// ended, and each failure with its reason.
func TestMetrics(t *testing.T) {
	s, _ := start(t, &server.Config{MaxCalls: 3, OffersPerMinute: 100, Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") == "Bearer bad" {
			return errors.New("bad token")
		}
		return nil
	}})
	release := make(chan struct{})
	s.Handle("/stuck", parley.HandlerFunc(func(context.Context, *parley.Call) error { <-release; return nil }))
	s.Handle("/odd", parley.HandlerFunc(func(_ context.Context, c *parley.Call) error {
		c.EndWith(&parley.EndError{Reason: "whatever a client says"})
		return nil
	}))
	for name, family := range scrape(t, s) {
		for _, m := range family.GetMetric() {
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				t.Errorf("%s is %v at the beginning", name, v)
			}
		}
	}

	c := dial(t, s, "/offer")
	c.chat(t)
	waiting := ask(s, "POST", "/wait", object{"type": "offer", "sdp": chromium(t)}).Header().Get("Location")
	var m map[string]*dto.MetricFamily
	n := uint16(1000)
	eventually(t, 5*time.Second, "media in the metrics", func() bool {
		c.sayAt(n, 5)
		n += 5
		m = scrape(t, s)
		return value(m, "parley_packets_total", "direction", "in", "media", "audio") > 5 && value(m, "parley_packets_total", "direction", "out", "media", "audio") > 5 &&
			value(m, "parley_first_media_seconds") == 1
	})
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"parley_calls", []string{"state", "connected"}, 1},
		{"parley_calls", []string{"state", "connecting"}, 1},
		{"parley_calls", []string{"state", "ending"}, 0},
		{"parley_calls_made_total", nil, 2},
		{"parley_connect_seconds", nil, 1},
		{"parley_stuck_handlers_total", nil, 0},
	} {
		if got := value(m, want.name, want.labels...); got != want.value {
			t.Errorf("%s %v is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if d := sum(m, "parley_connect_seconds"); d <= 0 || d > sum(m, "parley_first_media_seconds") {
		t.Errorf("connected after %v s, media after %v s", d, sum(m, "parley_first_media_seconds"))
	}

	// Each way to fail, and to end.
	ask(s, "POST", "/wait", object{"type": "offer", "sdp": "hello"})
	ask(s, "POST", "/wait", "hello")
	ask(s, "POST", "/wait", object{"type": "offer", "sdp": "v=0"}, "Authorization", "Bearer bad")
	ask(s, "DELETE", waiting, nil)
	post(s, "/odd", object{"type": "offer", "sdp": chromium(t)})
	eventually(t, 5*time.Second, "one call", func() bool { return s.Calls() == 1 })
	stuck := ask(s, "POST", "/stuck", object{"type": "offer", "sdp": chromium(t)}).Header().Get("Location")
	ask(s, "DELETE", stuck, nil)
	eventually(t, 5*time.Second, "a call that has ended and its handler not", func() bool {
		return value(scrape(t, s), "parley_calls", "state", "ending") == 1
	})
	c.hangUp()
	eventually(t, 8*time.Second, "no calls", func() bool { return s.Calls() == 0 })
	close(release)
	after := scrape(t, s)
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"parley_calls", []string{"state", "connected"}, 0},
		{"parley_calls", []string{"state", "connecting"}, 0},
		{"parley_calls_made_total", nil, 4},
		{"parley_call_duration_seconds", nil, 4},
		{"parley_call_ends_total", []string{"reason", "bye"}, 3},
		{"parley_call_ends_total", []string{"reason", "other"}, 1},
		{"parley_refused_offers_total", []string{"status", "400"}, 2},
		{"parley_refused_offers_total", []string{"status", "401"}, 1},
		{"parley_stuck_handlers_total", nil, 1},
		{"parley_connect_seconds", nil, 1},
	} {
		if got := value(after, want.name, want.labels...); got != want.value {
			t.Errorf("in the end %s %v is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	for _, name := range []string{"parley_queue_delay_seconds", "parley_jitter_buffer_delay_seconds"} {
		if got := value(after, name); !(got >= 1) {
			t.Errorf("in the end %s was observed %v times", name, got)
		}
	}
	if got := value(after, "parley_loss_ratio", "direction", "in"); !(got >= 1) {
		t.Errorf("in the end the loss was observed %v times", got)
	}
	for _, direction := range []string{"in", "out"} {
		before, now := value(m, "parley_packets_total", "direction", direction, "media", "audio"), value(after, "parley_packets_total", "direction", direction, "media", "audio")
		if now < before {
			t.Errorf("%v packets %s after the end, %v before", now, direction, before)
		}
	}
	if n := value(after, "parley_lost_packets_total", "direction", "in", "media", "audio"); !(n > 0) {
		t.Errorf("%v packets lost", n)
	}
}

// A scrape is possible while calls come and go, and counters never go down.
func TestScrapesAtAnyTime(t *testing.T) {
	s, _ := start(t, &server.Config{})
	offer := object{"type": "offer", "sdp": chromium(t), "trickle": true}
	var scraping sync.WaitGroup
	stop := make(chan struct{})
	scraping.Go(func() {
		last := 0.0
		for {
			select {
			case <-stop:
				return
			default:
			}
			n := value(scrape(t, s), "parley_calls_made_total")
			if n < last {
				t.Errorf("%v calls made, %v before", n, last)
			}
			last = n
		}
	})
	inParallel(40, 8, func(int) {
		w := ask(s, "POST", "/wait", offer)
		ask(s, "GET", w.Header().Get("Location")+"/stats", nil)
		ask(s, "DELETE", w.Header().Get("Location"), nil)
	})
	close(stop)
	scraping.Wait()
	eventually(t, 5*time.Second, "no calls", func() bool { return s.Calls() == 0 })
	m := scrape(t, s)
	if made, ends := value(m, "parley_calls_made_total"), value(m, "parley_call_ends_total", "reason", "bye"); made != 40 || ends != 40 {
		t.Errorf("%v calls made, %v ended by bye", made, ends)
	}
}

// The lines of the server about a call have its id, and each refused offer its
// reason.
func TestLog(t *testing.T) {
	var log notebook
	s, err := server.New(&server.Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	s.Handle("/wait", waits)
	c := dial(t, s, "/wait")
	var id string
	s.Handle("/id", waits)
	ask(s, "POST", "/id", object{"type": "offer", "sdp": "hello"})
	eventually(t, 5*time.Second, "call connected", func() bool { return strings.Contains(log.String(), "call connected") })
	c.hangUp()
	eventually(t, 5*time.Second, "no calls", func() bool { return s.Calls() == 0 })
	seen := map[string]bool{}
	for line := range strings.Lines(log.String()) {
		var l struct{ Msg, Call, Error, Reason, End string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[l.Msg] = true
		switch l.Msg {
		case "call made":
			id = l.Call
		case "offer refused":
			if l.Error == "" {
				t.Errorf("no reason: %s", line)
			}
		}
		if (l.Msg == "call connected" || l.Msg == "call released") && (l.Call == "" || l.Call != id) {
			t.Errorf("another call than %s: %s", id, line)
		}
		if l.Msg == "call released" && !strings.Contains(l.End, "bye") {
			t.Errorf("no reason: %s", line)
		}
	}
	for _, msg := range []string{"call made", "call connected", "call released", "offer refused"} {
		if !seen[msg] {
			t.Errorf("no %q in the log:\n%s", msg, log.String())
		}
	}
}

func ExampleServer_Metrics() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Shutdown(context.Background())
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.Handle("GET /metrics", s.Authorized(s.Metrics()))
	for line := range strings.Lines(ask(mux, "GET", "/metrics", nil).Body.String()) {
		if strings.HasPrefix(line, "parley_calls{") {
			fmt.Print(line)
		}
	}
	// Output:
	// parley_calls{state="connected"} 0
	// parley_calls{state="connecting"} 0
	// parley_calls{state="ending"} 0
}
