package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns a server with an echo at /offer, an application that waits at
// /wait, and one that panics when it hears something at /panic. Unless the test says
// how long, nobody has to connect while it lasts.
func start(t *testing.T, c *server.Config) (*server.Server, *journal) {
	t.Helper()
	j := newJournal()
	c.Logger = slog.New(j)
	if c.Deadlines.Connect == 0 {
		c.Deadlines.Connect = 10 * time.Minute
	}
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/offer", echo.Handler{})
	s.Handle("/wait", waits)
	s.Handle("/panic", parley.HandlerFunc(func(context.Context, *parley.Call) error { panic("out of tune") }))
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil && !strings.Contains(err.Error(), "closed") {
			t.Error(err)
		}
	})
	return s, j
}

func TestCall(t *testing.T) {
	s, j := start(t, &server.Config{})
	c := dial(t, s, "/offer")
	if n := s.Calls(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	eventually(t, patience, "an echo", func() bool { c.say(1); return c.heard.Load() > 0 })
	c.hangUp()
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Bye)
	}
}

func TestRefusals(t *testing.T) {
	s, _ := start(t, &server.Config{})
	tests := []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
	}{
		{name: "GET of an application", method: "GET", path: "/offer", status: 405},
		{name: "DELETE of an application", method: "DELETE", path: "/offer", status: 405},
		{name: "POST of the page", method: "POST", path: "/", status: 405},
		{name: "no body", method: "POST", path: "/offer", status: 400},
		{name: "bad JSON", method: "POST", path: "/offer", body: `{"sdp": `, status: 400},
		{name: "other JSON", method: "POST", path: "/offer", body: `[1, 2]`, status: 400},
		{name: "null", method: "POST", path: "/offer", body: `null`, status: 400},
		{name: "number for text", method: "POST", path: "/offer", body: `{"type": "offer", "sdp": 1}`, status: 400},
		{name: "answer", method: "POST", path: "/offer", body: `{"type": "answer", "sdp": "v=0"}`, status: 400},
		{name: "no SDP", method: "POST", path: "/offer", body: `{"type": "offer"}`, status: 400},
		{name: "too large", method: "POST", path: "/offer", body: `{"type": "offer", "sdp": "` + strings.Repeat("v", 300<<10) + `"}`, status: 413},
		{name: "garbage", method: "POST", path: "/offer", body: `{"type": "offer", "sdp": "hello"}`, status: 400},
		{name: "hostile", method: "POST", path: "/offer", body: `{"type": "offer", "sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n` + strings.Repeat(`m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n`, 5000) + `"}`, status: 400},
		{name: "page of another site", method: "POST", path: "/offer", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "page of another host here", method: "POST", path: "/offer", header: map[string]string{"Sec-Fetch-Site": "same-site"}, status: 403},
		{name: "old browser", method: "POST", path: "/offer", header: map[string]string{"Origin": "https://evil.example"}, status: 403},
		{name: "own page", method: "POST", path: "/offer", header: map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://example.com"}, status: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			var answer struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !strings.Contains(answer.Error, " ") || len(answer.Error) > 500 {
				t.Errorf("body %.200q, want an error in words", w.Body)
			}
			if tt.status == 405 && w.Header().Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
	if n := s.Calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestPageOverHTTP(t *testing.T) {
	s, _ := start(t, &server.Config{})
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer ts.Client().CloseIdleConnections()
	for path, want := range map[string]int{"/": 200, "/app.js": 200, "/nothing": 404, "/../server.go": 404} {
		r, err := ts.Client().Get(ts.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s: status %d, want %d", path, r.StatusCode, want)
		}
		if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("GET %s: Content-Security-Policy %q", path, csp)
		}
		if h := r.Header.Get("X-Content-Type-Options"); h != "nosniff" {
			t.Errorf("GET %s: X-Content-Type-Options %q", path, h)
		}
	}
}

func TestMaxCalls(t *testing.T) {
	s, j := start(t, &server.Config{MaxCalls: 2})
	first := dial(t, s, "/wait")
	dial(t, s, "/wait")
	r := httptest.NewRequest(http.MethodPost, "/wait", strings.NewReader(`{"type": "offer", "sdp": "v=0"}`))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "2 calls") {
		t.Errorf("status %d, header %v, body %s", w.Code, w.Header(), w.Body)
	}
	first.hangUp()
	eventually(t, patience, "room for a call", func() bool { return s.Calls() == 1 })
	dial(t, s, "/wait")
	if reasons, all := j.sum(); reasons != 1 || all != 1 {
		t.Errorf("%d ends, %d with a reason, want 1", all, reasons)
	}
}

// What goes wrong in one call is no concern of the others.
func TestPanic(t *testing.T) {
	s, j := start(t, &server.Config{})
	good := dial(t, s, "/offer")
	bad, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bad.hangUp)
	offer, err := bad.offer()
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := post(s, "/panic", map[string]string{"type": "offer", "sdp": offer}); status != http.StatusOK {
		t.Fatalf("status %d, %v", status, answer)
	}
	eventually(t, patience, "one call", func() bool { return s.Calls() == 1 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Panicked)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Panicked)
	}
	eventually(t, patience, "an echo in the other call", func() bool { good.say(1); return good.heard.Load() > 0 })
}

// A server that drains takes no more calls, and those that there are can do what they
// could before, until the last one has ended.
func TestDrain(t *testing.T) {
	s, j := start(t, &server.Config{})
	c, location := located(t, s, "/offer")
	c.wait(t, patience)
	c.chat(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a call, and no time: %v", err)
	}
	wantStatus(t, ask(s, "GET", "/healthz", nil), http.StatusServiceUnavailable)
	refused := ask(s, "POST", "/offer", object{"type": "offer", "sdp": chromium(t)})
	wantStatus(t, refused, http.StatusServiceUnavailable)
	if refused.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After for a call that is refused")
	}
	c.renegotiate(t, &webrtc.OfferOptions{ICERestart: true}, func(offer string) *httptest.ResponseRecorder {
		return ask(s, "PATCH", location, object{"type": "offer", "sdp": offer})
	})
	connect(t, serve(t, s), location+"/ws", nil)
	c.chatOn(t)

	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx) }()
	wantStatus(t, ask(s, "DELETE", location, nil), http.StatusNoContent)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Bye)
	}
	if err := s.Drain(ctx); err != nil {
		t.Errorf("without calls: %v", err)
	}
}

func TestShutdown(t *testing.T) {
	s, j := start(t, &server.Config{})
	s.Handle("/echo", echo.Handler{})
	var callers []*caller
	for range 10 {
		callers = append(callers, dial(t, s, "/echo"))
	}
	// Only an end that has begun to read media takes notice of a goodbye.
	for _, c := range callers {
		c.chat(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	d := time.Since(begin)
	t.Logf("%d calls ended in %v", len(callers), d)
	if d > 8*time.Second {
		t.Errorf("Shutdown took %v", d)
	}
	if n := s.Calls(); n != 0 {
		t.Errorf("%d calls after Shutdown", n)
	}
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Canceled)] != len(callers) {
		t.Errorf("ends %v, want %d of %s", ends, len(callers), parley.Canceled)
	}
	// The goodbye of DTLS is one datagram, which nobody sends again.
	eventually(t, patience, "callers that notice", func() bool {
		noticed := 0
		for _, c := range callers {
			select {
			case <-c.closed:
				noticed++
			default:
			}
		}
		return noticed >= len(callers)-2
	})
	if status, answer := post(s, "/offer", map[string]string{"type": "offer", "sdp": "v=0"}); status != http.StatusServiceUnavailable || !strings.Contains(answer["error"], "shutting down") {
		t.Errorf("status %d, %v after Shutdown", status, answer)
	}
	conn, err := net.ListenPacket("udp", fmt.Sprintf(":%d", s.Port()))
	if err != nil {
		t.Fatalf("the UDP port is not free: %v", err)
	}
	conn.Close()
}

// Shutdown does not wait longer than its context for a handler that does not
// want to end, and the port is closed all the same.
func TestShutdownStuck(t *testing.T) {
	s, _ := start(t, &server.Config{})
	release := make(chan struct{})
	s.Handle("/stuck", parley.HandlerFunc(func(context.Context, *parley.Call) error { <-release; return nil }))
	dial(t, s, "/stuck")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("Shutdown says that all has ended")
	}
	if d := time.Since(begin); d > 1900*time.Millisecond { // a handler has two seconds
		t.Errorf("Shutdown took %v", d)
	}
	eventually(t, patience, "a handler counted as stuck", func() bool { return s.Stuck() == 1 && s.Calls() == 0 })
	close(release)
}
