package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/server"
)

// A wire is the client's end of a socket.
type wire struct {
	conn  *websocket.Conn
	heard chan object // closed with the socket
	kept  []object    // heard while something else was waited for
	err   error       // why, after that
}

// connect opens a socket at path of the server at url.
func connect(t *testing.T, url, path string, header http.Header) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, url+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatalf("%s: %v %v", path, response, err)
	}
	conn.SetReadLimit(1 << 20)
	w := &wire{conn: conn, heard: make(chan object, 1000)}
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.CloseNow()
		<-ended
	})
	go func() {
		defer close(ended)
		defer close(w.heard)
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				w.err = err
				return
			}
			var o object
			if err := json.Unmarshal(b, &o); err != nil {
				w.err = err
				return
			}
			w.heard <- o
		}
	}()
	return w
}

func (w *wire) say(t *testing.T, v any) {
	t.Helper()
	b, ok := v.(string)
	if !ok {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b = string(text)
	}
	if err := w.conn.Write(t.Context(), websocket.MessageText, []byte(b)); err != nil {
		t.Fatal(err)
	}
}

// next returns the next message of that type.
func (w *wire) next(t *testing.T, kind string) object {
	t.Helper()
	for i, o := range w.kept {
		if o["type"] == kind {
			w.kept = slices.Delete(w.kept, i, i+1)
			return o
		}
	}
	late := time.After(patience)
	for {
		select {
		case o, ok := <-w.heard:
			if !ok {
				t.Fatalf("no %q: %v", kind, w.err)
			}
			if o["type"] == kind {
				return o
			}
			w.kept = append(w.kept, o)
		case <-late:
			t.Fatalf("no %q within 10 s", kind)
		}
	}
}

// closed waits for the end of the socket and returns its status.
func (w *wire) closed(t *testing.T) websocket.StatusCode {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-w.heard:
			if !ok {
				return websocket.CloseStatus(w.err)
			}
		case <-late:
			t.Fatal("the socket is open after 10 s")
		}
	}
}

func text(o object, name string) string {
	s, _ := o[name].(string)
	return s
}

// serve serves s on this machine.
func serve(t *testing.T, s *server.Server) (url string) {
	t.Helper()
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return ts.URL
}

// reopens is the echo, which opens a channel by itself when it is told to.
type reopens struct{ open chan struct{} }

func (h reopens) ServeCall(ctx context.Context, c *parley.Call) error {
	go func() {
		for {
			select {
			case <-h.open:
				go c.OpenChannel(ctx, nil)
			case <-ctx.Done():
				return
			}
		}
	}()
	return echo.Handler{}.ServeCall(ctx, c)
}

// The life of a call over a socket: it trickles both ways, either end offers, its
// socket is lost and replaced, and it ends with a word.
func TestSocket(t *testing.T) {
	s, j := start(t, &server.Config{})
	h := reopens{make(chan struct{})}
	s.Handle("/live", h)
	url := serve(t, s)
	c, offer, found := newTrickler(t)
	w := connect(t, url, "/live/ws?room=1", nil)
	w.say(t, object{"type": "offer", "sdp": offer})
	answer := w.next(t, "answer")
	location := text(answer, "location")
	if strings.Contains(text(answer, "sdp"), "a=candidate:") || location != "/live/"+text(answer, "pc_id") || len(location) != len("/live/")+26 {
		t.Errorf("answer %.100v", answer)
	}
	c.accept(t, text(answer, "sdp"))
	for candidate := range found {
		if candidate == nil {
			w.say(t, "null")
			break
		}
		w.say(t, candidate)
	}
	for {
		o := w.next(t, "candidate")
		if text(o, "candidate") == "" {
			break
		}
		mid := text(o, "sdpMid")
		if err := c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: text(o, "candidate"), SDPMid: &mid}); err != nil {
			t.Error(err)
		}
	}
	c.wait(t, patience)
	c.chat(t)

	// The server offers. Until it has its answer it takes no other offer.
	h.open <- struct{}{}
	theirs := w.next(t, "offer")
	if !strings.Contains(text(theirs, "sdp"), "m=application") {
		t.Errorf("no channels in the offer:\n%s", theirs["sdp"])
	}
	w.say(t, object{"type": "offer", "sdp": offer})
	if o := w.next(t, "error"); o["status"] != 409.0 || text(o, "error") == "" {
		t.Errorf("error %v", o)
	}
	// The socket is lost, the call is not, and the offer comes again.
	w.conn.CloseNow()
	w.closed(t)
	c.chatOn(t)
	old := connect(t, url, location+"/ws", nil)
	if again := old.next(t, "offer"); again["sdp"] != theirs["sdp"] {
		t.Errorf("another offer: %v", again)
	}
	w = connect(t, url, location+"/ws", nil)
	if status := old.closed(t); status != websocket.StatusGoingAway {
		t.Errorf("the socket before the newest ends with %v", status)
	}
	theirs = w.next(t, "offer")
	for text(w.next(t, "candidate"), "candidate") != "" { // a new socket has all of them again
	}
	open := make(chan struct{})
	c.pc.OnDataChannel(func(*webrtc.DataChannel) { close(open) })
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: text(theirs, "sdp")}); err != nil {
		t.Fatal(err)
	}
	ours, err := c.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(ours); err != nil {
		t.Fatal(err)
	}
	w.say(t, object{"type": "answer", "sdp": ours.SDP})
	select {
	case <-open:
	case <-time.After(patience):
		t.Fatal("no channel after 5 s")
	}
	// The answer again, another one, and nonsense, are of no effect.
	w.say(t, object{"type": "answer", "sdp": ours.SDP})
	w.say(t, object{"type": "answer", "sdp": ours.SDP + "a=another\r\n"})
	w.say(t, "hello")
	for range 2 {
		if o := w.next(t, "error"); o["status"] != 400.0 {
			t.Errorf("error %v", o)
		}
	}
	// Now the client may offer again, by the socket or by PATCH.
	c.renegotiate(t, &webrtc.OfferOptions{ICERestart: true}, func(offer string) *httptest.ResponseRecorder {
		w.say(t, object{"type": "offer", "sdp": offer})
		o := w.next(t, "answer")
		if i := slices.IndexFunc(w.kept, func(o object) bool { return o["type"] == "candidate" }); i >= 0 {
			t.Errorf("an address before the description that it belongs to: %v", w.kept[i])
		}
		recorder := httptest.NewRecorder()
		json.NewEncoder(recorder).Encode(o)
		return recorder
	})
	for {
		o := w.next(t, "candidate")
		mid := text(o, "sdpMid")
		if err := c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: text(o, "candidate"), SDPMid: &mid}); err != nil || text(o, "candidate") == "" {
			break
		}
	}
	c.chatOn(t)
	c.renegotiate(t, nil, func(offer string) *httptest.ResponseRecorder {
		return ask(s, "PATCH", location, object{"type": "offer", "sdp": offer})
	})
	c.chatOn(t)

	w.say(t, object{"type": "bye"})
	if o := w.next(t, "bye"); o["reason"] != string(parley.Bye) {
		t.Errorf("%v", o)
	}
	if status := w.closed(t); status != websocket.StatusNormalClosure {
		t.Errorf("the socket ends with %v", status)
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Bye)
	}
	if _, r, err := websocket.Dial(t.Context(), url+location+"/ws", nil); err == nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("a socket of a call that has ended: %v, %v", r, err)
	}
}

// The offer of a socket is refused as that of a request is, and so is the socket.
func TestSocketRefusals(t *testing.T) {
	s, _ := start(t, &server.Config{MaxCalls: 1, Origins: []string{"https://friend.example"}, Authorize: func(r *http.Request) error {
		if server.BearerToken(r) != "secret" {
			return errors.New("the token is not good")
		}
		return nil
	}})
	url := serve(t, s)
	for _, tt := range []struct {
		name, path string
		header     http.Header
		status     int
	}{
		{"no token", "/wait/ws", nil, 401},
		{"another token", "/wait/ws?access_token=guess", nil, 401},
		{"token in the header", "/wait/ws", http.Header{"Authorization": {"Bearer secret"}}, 101},
		{"token in the address", "/wait/ws?access_token=secret", nil, 101},
		{"header before address", "/wait/ws?access_token=secret", http.Header{"Authorization": {"Bearer guess"}}, 401},
		{"another site", "/wait/ws?access_token=secret", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another site, as browsers of today tell", "/wait/ws?access_token=secret", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, 403},
		{"own site", "/wait/ws?access_token=secret", http.Header{"Origin": {url}}, 101},
		{"friend", "/wait/ws?access_token=secret", http.Header{"Origin": {"https://friend.example"}, "Sec-Fetch-Site": {"cross-site"}}, 101},
		{"no such call", "/wait/nobody/ws?access_token=secret", nil, 404},
		{"no such application", "/nothing/ws?access_token=secret", nil, 404},
	} {
		conn, r, err := websocket.Dial(t.Context(), url+tt.path, &websocket.DialOptions{HTTPHeader: tt.header})
		if r == nil || r.StatusCode != tt.status {
			t.Errorf("%s: %v, %v, want %d", tt.name, r, err, tt.status)
		}
		if conn != nil {
			conn.CloseNow()
		}
	}
	if w := ask(s, "GET", "/wait/ws", nil, "Authorization", "Bearer secret"); w.Code != http.StatusUpgradeRequired {
		t.Errorf("a GET that is no socket: status %d", w.Code)
	}

	const path = "/wait/ws?access_token=secret"
	for _, tt := range []struct {
		name   string
		first  any
		status float64
	}{
		{"not JSON", "hello", 400},
		{"no offer", object{"type": "answer", "sdp": "v=0"}, 400},
		{"no SDP", object{"type": "offer"}, 400},
		{"not SDP", object{"type": "offer", "sdp": "hello"}, 400},
	} {
		w := connect(t, url, path, nil)
		w.say(t, tt.first)
		if o := w.next(t, "error"); o["status"] != tt.status || !strings.Contains(text(o, "error"), " ") {
			t.Errorf("%s: %v", tt.name, o)
		}
		if status := w.closed(t); status != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %v", tt.name, status)
		}
	}
	offer := object{"type": "offer", "sdp": chromium(t)}
	w := connect(t, url, path, nil)
	w.say(t, offer)
	w.next(t, "answer")
	second := connect(t, url, path, nil)
	second.say(t, offer)
	if o := second.next(t, "error"); o["status"] != 503.0 {
		t.Errorf("a call too many: %v", o)
	}
	// A client that says too much at once, or too often, has its socket closed.
	w.conn.Write(t.Context(), websocket.MessageText, make([]byte, 300<<10)) // of which the end may find nobody
	if status := w.closed(t); status != websocket.StatusMessageTooBig && status != -1 {
		t.Errorf("a large message: closed with %v", status)
	}
	if s.Calls() != 1 {
		t.Fatalf("%d calls", s.Calls())
	}
}

// An offer that may be posted may be said too: one of many lines is longer than what a
// socket takes by itself, 32 kB.
func TestSocketLongOffer(t *testing.T) {
	s, _ := start(t, &server.Config{})
	w := connect(t, serve(t, s), "/wait/ws", nil)
	w.say(t, object{"type": "offer", "sdp": chromium(t) + strings.Repeat("a=x-long:"+strings.Repeat("x", 89)+"\r\n", 2000)})
	if answer := w.next(t, "answer"); text(answer, "pc_id") == "" {
		t.Errorf("%.100v", answer)
	}
}

func TestSocketFlood(t *testing.T) {
	s, _ := start(t, &server.Config{})
	url := serve(t, s)
	w := connect(t, url, "/wait/ws", nil)
	w.say(t, object{"type": "offer", "sdp": chromium(t)})
	w.next(t, "answer")
	for range 1000 {
		if w.conn.Write(t.Context(), websocket.MessageText, []byte("null")) != nil {
			break
		}
	}
	o := w.next(t, "error")
	for o["status"] == 422.0 { // so many candidates, from who is slow enough
		o = w.next(t, "error")
	}
	if o["status"] != 429.0 {
		t.Errorf("%v", o)
	}
	if status := w.closed(t); status != websocket.StatusPolicyViolation {
		t.Errorf("closed with %v", status)
	}
	if s.Calls() != 1 {
		t.Errorf("%d calls", s.Calls())
	}
}

// Shutdown ends sockets with their calls, and those that have none, at once.
func TestSocketShutdown(t *testing.T) {
	s, _ := start(t, &server.Config{})
	url := serve(t, s)
	silent := connect(t, url, "/wait/ws", nil)
	w := connect(t, url, "/wait/ws", nil)
	w.say(t, object{"type": "offer", "sdp": chromium(t)})
	w.next(t, "answer")
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("shut down in %v", time.Since(begin))
	w.next(t, "bye") // the handler may be faster than the end of its context
	w.closed(t)
	silent.closed(t)
	if _, r, _ := websocket.Dial(t.Context(), url+"/wait/ws", nil); r == nil || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a socket after the end: %v", r)
	}
}
