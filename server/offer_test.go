package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/server"
)

// ask makes a request. v is the body: text, JSON, or nothing.
func ask(s http.Handler, method, path string, v any, header ...string) *httptest.ResponseRecorder {
	body, ok := v.(string)
	if !ok && v != nil {
		b, _ := json.Marshal(v)
		body = string(b)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

type object = map[string]any

// said returns a text in the JSON of an answer.
func said(t *testing.T, w *httptest.ResponseRecorder, name string) string {
	t.Helper()
	var o object
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
		t.Fatalf("status %d, body %.100q: %v", w.Code, w.Body, err)
	}
	text, _ := o[name].(string)
	return text
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %.300s", w.Code, status, w.Body)
	}
}

var candidateLines = regexp.MustCompile(`a=(candidate:.*|end-of-candidates)\r\n`)

// newTrickler returns a caller, its offer without candidates, and those as they
// come, then nil.
func newTrickler(t *testing.T) (c *caller, offer string, found <-chan *webrtc.ICECandidateInit) {
	t.Helper()
	c, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	candidates := make(chan *webrtc.ICECandidateInit, 100)
	c.pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			candidates <- nil
			return
		}
		init := candidate.ToJSON()
		candidates <- &init
	})
	offer, err = c.offer()
	if err != nil {
		t.Fatal(err)
	}
	return c, candidateLines.ReplaceAllString(offer, ""), candidates
}

// located returns a caller that has begun a call, and its Location, and hangs up when the
// test ends.
func located(t *testing.T, s *server.Server, path string) (c *caller, location string) {
	t.Helper()
	c, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	offer, err := c.offer()
	if err != nil {
		t.Fatal(err)
	}
	w := ask(s, "POST", path, object{"type": "offer", "sdp": offer})
	wantStatus(t, w, http.StatusOK)
	c.accept(t, said(t, w, "sdp"))
	return c, w.Header().Get("Location")
}

// accept takes an answer.
func (c *caller) accept(t *testing.T, answer string) {
	t.Helper()
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
}

func (c *caller) wait(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-c.connected:
	case <-time.After(within):
		t.Fatalf("not connected within %v", within)
	}
}

// poll gives the caller the candidates of the server until there are no more.
func (c *caller) poll(t *testing.T, s http.Handler, location string) {
	next := 0
	for {
		w := ask(s, "GET", fmt.Sprintf("%s/candidates?since=%d", location, next), nil)
		var answer struct {
			Candidates []webrtc.ICECandidateInit
			Next       int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			t.Errorf("status %d, body %.100q: %v", w.Code, w.Body, err)
			return
		}
		for _, candidate := range answer.Candidates {
			if err := c.pc.AddICECandidate(candidate); err != nil {
				t.Error(err)
			}
			if candidate.Candidate == "" {
				return
			}
		}
		next = answer.Next
	}
}

// An application at a path that ends as that of a socket does is found where it says.
func TestLocationOfPathLikeASocket(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.Handle("/live/ws", waits)
	w := ask(s, "POST", "/live/ws", object{"type": "offer", "sdp": chromium(t)})
	wantStatus(t, w, http.StatusOK)
	if got := w.Header().Get("Location"); got != "/live/ws/"+said(t, w, "pc_id") {
		t.Errorf("Location %q", got)
	}
	wantStatus(t, ask(s, "DELETE", w.Header().Get("Location"), nil), http.StatusNoContent)
}

// Neither description has a candidate; they trickle both ways.
func TestTrickle(t *testing.T) {
	s, j := start(t, &server.Config{})
	c, offer, found := newTrickler(t)
	begin := time.Now()
	w := ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer, "trickle": true})
	wantStatus(t, w, http.StatusOK)
	answered := time.Since(begin)
	answer, location := said(t, w, "sdp"), w.Header().Get("Location")
	if strings.Contains(answer, "a=candidate:") {
		t.Error("candidates in the answer")
	}
	if location != "/offer/"+said(t, w, "pc_id") || len(location) < len("/offer/")+26 {
		t.Errorf("Location %q, pc_id %q", location, said(t, w, "pc_id"))
	}
	c.accept(t, answer)
	var polling sync.WaitGroup
	polling.Go(func() { c.poll(t, s, location) })
	for candidate := range found {
		wantStatus(t, ask(s, "PATCH", location, candidate), http.StatusNoContent)
		if candidate == nil {
			break
		}
	}
	c.wait(t, patience)
	t.Logf("answered in %v, connected in %v", answered, time.Since(begin))
	polling.Wait()
	c.chat(t)

	wantStatus(t, ask(s, "DELETE", location, nil), http.StatusNoContent)
	for _, w := range []*httptest.ResponseRecorder{
		ask(s, "DELETE", location, nil),
		ask(s, "PATCH", location, "null"),
		ask(s, "GET", location+"/candidates", nil),
	} {
		if w.Code != http.StatusNotFound || said(t, w, "error") == "" {
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Bye)
	}
}

// Candidates that come late, twice, or in other forms are taken, and nonsense is
// refused without harm. The caller has no candidate of the server, so it connects
// by its own only.
func TestPatch(t *testing.T) {
	s, _ := start(t, &server.Config{})
	c, offer, found := newTrickler(t)
	w := ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer})
	wantStatus(t, w, http.StatusOK)
	id, location := said(t, w, "pc_id"), w.Header().Get("Location")
	c.accept(t, candidateLines.ReplaceAllString(said(t, w, "sdp"), ""))

	line := func(s string) object { return object{"candidate": s, "sdpMid": "0", "sdpMLineIndex": 0} }
	const elsewhere = "candidate:1 1 udp 2130706431 192.0.2.1 9 typ host"
	for _, tt := range []struct {
		name   string
		body   any
		status int
	}{
		{"nothing", "", 400},
		{"not JSON", "hello", 400},
		{"empty object", object{}, 400},
		{"number", "1", 400},
		{"text", `"candidate:1"`, 400},
		{"candidate that is a number", object{"candidate": 1}, 400},
		{"line that is a text", object{"candidate": elsewhere, "sdpMLineIndex": "0"}, 400},
		{"no candidate in a list", []object{{"sdpMid": "0"}}, 400},
		{"words", line("hello"), 400},
		{"few words", line("candidate:1 1 udp 1 192.0.2.1 9 typ"), 400},
		{"no port", line("candidate:1 1 udp 1 192.0.2.1 x typ host"), 400},
		{"port too large", line("candidate:1 1 udp 1 192.0.2.1 65536 typ host"), 400},
		{"two lines", line(elsewhere + "\r\na=ice-lite"), 400},
		{"very long", line(elsewhere + strings.Repeat(" x", 300)), 400},
		{"good and bad", []object{line(elsewhere), line("hello")}, 400},
		{"too many", []object(make([]object, 101)), 422},
		{"answer", object{"type": "answer", "sdp": "v=0"}, 400},
		{"offer without SDP", object{"type": "offer"}, 400},
		{"offer that is none", object{"type": "offer", "sdp": "hello"}, 400},
		{"offer without media", object{"type": "offer", "sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"}, 400},
		{"offer and candidate", object{"type": "offer", "sdp": offer, "candidate": elsewhere}, 400},
		{"offer with a thousand candidates", object{"type": "offer", "sdp": offer + strings.Repeat("a="+elsewhere+"\r\n", 1000)}, 400},
		{"null", "null", 204},
		{"null as candidate", object{"candidate": nil}, 204},
		{"empty candidate", line(""), 204},
		{"empty list", "[]", 204},
		{"empty list in an object", object{"candidates": []object{}}, 204},
		{"list with null", "[null]", 204},
		{"another address", line(elsewhere), 204},
		{"candidate in another object", object{"type": "candidate", "candidate": line(elsewhere)}, 204},
		{"bad candidate in another object", object{"candidate": line("hello")}, 400},
		{"empty object as candidate", object{"candidate": object{}}, 400},
		{"twice", []object{line(elsewhere), line(elsewhere)}, 204},
		{"name", line("candidate:1 1 udp 1 a1b2.local 9 typ host"), 204},
		{"TCP", line("candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active"), 204},
		{"component of RTCP", line("candidate:1 2 UDP 1 192.0.2.1 9 typ host"), 204},
		{"of another generation", line(elsewhere + " generation 0 ufrag nope"), 204},
		{"unknown type", line("candidate:1 1 udp 1 192.0.2.1 9 typ carrier-pigeon"), 204},
		{"IPv6", line("candidate:1 1 udp 1 2001:db8::1 9 typ srflx raddr ::1 rport 9"), 204},
		{"another id in the body", object{"candidate": elsewhere, "pc_id": "nobody"}, 204},
	} {
		if w := ask(s, "PATCH", location, tt.body); w.Code != tt.status || w.Code != 204 && said(t, w, "error") == "" {
			t.Errorf("%s: status %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
	}
	wantStatus(t, ask(s, "GET", location+"/candidates?since=-1", nil), 400)
	wantStatus(t, ask(s, "GET", location+"/candidates?since=x", nil), 400)
	select {
	case <-c.connected:
		t.Fatal("connected too early")
	default:
	}

	candidate := <-found
	w = ask(s, "PATCH", "/offer", object{"pc_id": id, "candidates": []object{
		{"candidate": candidate.Candidate, "sdp_mid": "0", "sdp_mline_index": 0},
	}})
	wantStatus(t, w, http.StatusOK)
	if said(t, w, "status") != "success" {
		t.Errorf("body %s", w.Body)
	}
	c.wait(t, patience)
	c.chat(t)
}

// renegotiate makes another offer by send, and takes its answer.
func (c *caller) renegotiate(t *testing.T, o *webrtc.OfferOptions, send func(offer string) *httptest.ResponseRecorder) (w *httptest.ResponseRecorder, answer string) {
	t.Helper()
	offer, err := c.pc.CreateOffer(o)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	w = send(c.pc.LocalDescription().SDP)
	wantStatus(t, w, http.StatusOK)
	answer = said(t, w, "sdp")
	c.accept(t, answer)
	return w, answer
}

// chatOn talks until it hears more.
func (c *caller) chatOn(t *testing.T) {
	t.Helper()
	before := c.heard.Load()
	n := uint16(0)
	eventually(t, patience, "more of the echo", func() bool {
		n++
		c.sayAt(1000+n, 1)
		return c.heard.Load() > before+5
	})
}

func ufrag(description string) string {
	return regexp.MustCompile(`a=ice-ufrag:(\S+)`).FindString(description)
}

// A call gets data channels and a new way through the network while it goes on,
// by its Location and by its id.
func TestRenegotiation(t *testing.T) {
	s, _ := start(t, &server.Config{MaxCalls: 1})
	c, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	offer, err := c.offer()
	if err != nil {
		t.Fatal(err)
	}
	w := ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer, "pc_id": nil, "restart_pc": false})
	wantStatus(t, w, http.StatusOK)
	id, location, first := said(t, w, "pc_id"), w.Header().Get("Location"), said(t, w, "sdp")
	c.accept(t, first)
	c.wait(t, patience)
	c.chat(t)

	channel, err := c.pc.CreateDataChannel("chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	channel.OnOpen(func() { close(open) })
	patched := func(offer string) *httptest.ResponseRecorder {
		return ask(s, "PATCH", location, object{"type": "offer", "sdp": offer})
	}
	if _, answer := c.renegotiate(t, nil, patched); ufrag(answer) != ufrag(first) {
		t.Error("ICE was restarted")
	}
	select {
	case <-open:
	case <-time.After(patience):
		t.Fatal("no channel after 5 s")
	}
	restart := &webrtc.OfferOptions{ICERestart: true}
	if _, answer := c.renegotiate(t, restart, patched); ufrag(answer) == ufrag(first) {
		t.Error("ICE was not restarted")
	}
	c.chatOn(t)
	w, _ = c.renegotiate(t, nil, func(offer string) *httptest.ResponseRecorder {
		return ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer, "pc_id": id})
	})
	if said(t, w, "pc_id") != id {
		t.Errorf("pc_id %s, want %s", said(t, w, "pc_id"), id)
	}
	c.chatOn(t)
	if n := s.Calls(); n != 1 {
		t.Errorf("%d calls", n)
	}

	// There is room for one call only, and the first one makes it.
	again, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.hangUp)
	if offer, err = again.offer(); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer}), http.StatusServiceUnavailable)
	w = ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer, "pc_id": id, "restart_pc": true})
	wantStatus(t, w, http.StatusOK)
	if said(t, w, "pc_id") == id || s.Calls() != 1 {
		t.Errorf("pc_id %s as before, %d calls", id, s.Calls())
	}
	again.accept(t, said(t, w, "sdp"))
	again.wait(t, patience)
	again.chat(t)
	wantStatus(t, ask(s, "PATCH", location, "null"), http.StatusNotFound)
}

// Candidates of a new ICE session may overtake its offer.
func TestEarlyCandidates(t *testing.T) {
	s, _ := start(t, &server.Config{})
	c, offer, found := newTrickler(t)
	for candidate := range found {
		if candidate == nil {
			break
		}
	}
	w := ask(s, "POST", "/offer", object{"type": "offer", "sdp": offer})
	wantStatus(t, w, http.StatusOK)
	location := w.Header().Get("Location")
	c.accept(t, said(t, w, "sdp"))
	c.wait(t, patience)
	c.chat(t)
	again, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(again); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(ufrag(again.SDP), "a=ice-ufrag:")
	for candidate := range found {
		if candidate == nil {
			break
		}
		if !strings.Contains(candidate.Candidate+" ", " ufrag "+name+" ") {
			t.Fatalf("candidate %q of session %s", candidate.Candidate, name)
		}
		body := object{"candidate": candidate.Candidate, "sdpMid": "0", "usernameFragment": ""}
		wantStatus(t, ask(s, "PATCH", location, body), http.StatusNoContent)
	}
	w = ask(s, "PATCH", location, object{"type": "offer", "sdp": candidateLines.ReplaceAllString(again.SDP, "")})
	wantStatus(t, w, http.StatusOK)
	c.accept(t, candidateLines.ReplaceAllString(said(t, w, "sdp"), ""))
	c.chatOn(t)
}

// A lostWriter is the answer to a client that goes away while it is written.
type lostWriter struct {
	*httptest.ResponseRecorder
	lost func()
}

func (w lostWriter) Write(b []byte) (int, error) {
	w.lost()
	return len(b), nil
}

// Who does not wait for the answer leaves no call behind.
func TestClientThatDoesNotWait(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHIP("/whip", new(counter))
	for _, path := range []string{"/offer", "/whip"} {
		c, err := newCaller()
		if err != nil {
			t.Fatal(err)
		}
		body, err := c.offer()
		if err != nil {
			t.Fatal(err)
		}
		contentType := sdpType
		if path == "/offer" {
			b, _ := json.Marshal(object{"type": "offer", "sdp": body})
			body, contentType = string(b), "application/json"
		}
		ctx, lost := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := lostWriter{httptest.NewRecorder(), lost}
		s.ServeHTTP(w, r)
		if w.Header().Get("Location") == "" {
			t.Errorf("%s: no call was made", path)
		}
		eventually(t, patience, path+": the call gone", func() bool { return s.Calls() == 0 })
		c.hangUp()
	}
}
