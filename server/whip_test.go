package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/stream"
)

const (
	sdpType      = "application/sdp"
	fragmentType = "application/trickle-ice-sdpfrag"
)

// publish posts an offer and returns the response, which has to be status 201.
func publish(t *testing.T, s http.Handler, path, offer string) *httptest.ResponseRecorder {
	t.Helper()
	w := ask(s, "POST", path, offer, "Content-Type", sdpType)
	wantStatus(t, w, http.StatusCreated)
	return w
}

// A counter is an application that counts the packets it hears.
type counter struct{ heard atomic.Int64 }

func (c *counter) ServeCall(_ context.Context, call *parley.Call) error {
	var p stream.Packet
	for {
		if err := call.Audio().ReadPacket(&p); err != nil {
			return err
		}
		c.heard.Add(1)
	}
}

// The life of a publisher that trickles, restarts ICE and leaves (RFC 9725,
// sections 4.2 and 4.3).
func TestWHIP(t *testing.T) {
	s, j := start(t, &server.Config{})
	h := &counter{}
	s.HandleWHIP("/whip", h)
	c, offer, found := newTrickler(t)
	w := publish(t, s, "/whip", offer)
	location, tag, answer := w.Header().Get("Location"), w.Header().Get("ETag"), w.Body.String()
	if w.Header().Get("Content-Type") != sdpType || !regexp.MustCompile(`^/whip/\w{26}$`).MatchString(location) || !regexp.MustCompile(`^"\w+"$`).MatchString(tag) {
		t.Errorf("header %v", w.Header())
	}
	if !strings.Contains(answer, "a=recvonly\r\n") || strings.Contains(answer, "a=send") {
		t.Errorf("the answer to sendrecv is not recvonly:\n%s", answer)
	}
	if !strings.Contains(answer, "a=candidate:") || !strings.Contains(answer, "a=end-of-candidates") {
		t.Errorf("the answer has not all candidates:\n%s", answer)
	}
	c.accept(t, candidateLines.ReplaceAllString(answer, ""))
	fragment := credentials(offer) + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
	for candidate := range found {
		if candidate == nil {
			break
		}
		fragment += "a=" + candidate.Candidate + "\r\n"
	}
	w = ask(s, "PATCH", location, fragment+"a=end-of-candidates\r\n", "Content-Type", fragmentType, "If-Match", tag)
	wantStatus(t, w, http.StatusNoContent)
	if w.Body.Len() != 0 || w.Header().Get("ETag") != "" {
		t.Errorf("body %q, header %v", w.Body, w.Header())
	}
	c.wait(t, patience)
	eventually(t, patience, "a packet", func() bool { c.say(1); return h.heard.Load() > 0 })

	// A restart gives this end's new credentials and candidates, which replace those
	// of the answer at the client.
	again, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(again); err != nil {
		t.Fatal(err)
	}
	<-gathered
	offer = c.pc.LocalDescription().SDP
	fragment = credentials(offer) + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" + strings.Join(candidateLines.FindAllString(offer, -1), "")
	w = ask(s, "PATCH", location, fragment, "Content-Type", fragmentType, "If-Match", `"*"`)
	wantStatus(t, w, http.StatusOK)
	if w.Header().Get("Content-Type") != fragmentType || w.Header().Get("ETag") == tag || w.Header().Get("ETag") == "" {
		t.Errorf("header %v", w.Header())
	}
	renewed := w.Body.String()
	for _, line := range []string{"a=ice-ufrag:", "a=ice-pwd:", "m=audio ", "a=mid:0\r\n", "a=candidate:", "a=end-of-candidates"} {
		if !strings.Contains(renewed, line) {
			t.Errorf("no %s in\n%s", line, renewed)
		}
	}
	if ufrag(renewed) == ufrag(answer) {
		t.Error("the credentials are the old ones")
	}
	c.accept(t, replaceICE(answer, renewed))
	before := h.heard.Load()
	n := uint16(100)
	eventually(t, patience, "packets after the restart", func() bool { n++; c.sayAt(n, 1); return h.heard.Load() > before+5 })

	wantStatus(t, ask(s, "PATCH", location, fragment, "Content-Type", fragmentType, "If-Match", tag), http.StatusPreconditionFailed)
	wantStatus(t, ask(s, "PATCH", location, fragment, "Content-Type", fragmentType, "If-Match", `"a", `+w.Header().Get("ETag")), http.StatusNoContent)
	wantStatus(t, ask(s, "DELETE", location, nil, "If-Match", `"any"`), http.StatusOK)
	wantStatus(t, ask(s, "DELETE", location, nil), http.StatusNotFound)
	wantStatus(t, ask(s, "PATCH", location, fragment, "Content-Type", fragmentType, "If-Match", "*"), http.StatusNotFound)
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 1 {
		t.Errorf("ends %v, want one %s", ends, parley.Bye)
	}
}

var credentialLines = regexp.MustCompile(`a=ice-(ufrag|pwd):.*\r\n`)

// credentials returns the first user name and password of a description.
func credentials(description string) string {
	return strings.Join(credentialLines.FindAllString(description, 2), "")
}

// replaceICE returns the description with the credentials and candidates of a
// fragment.
func replaceICE(description, fragment string) string {
	description = candidateLines.ReplaceAllString(description, "")
	first := true
	return credentialLines.ReplaceAllStringFunc(description, func(line string) string {
		line = regexp.MustCompile(strings.SplitAfter(line, ":")[0] + `.*\r\n`).FindString(fragment)
		if first {
			line += strings.Join(candidateLines.FindAllString(fragment, -1), "")
		}
		first = false
		return line
	})
}

// Each status by its reason (RFC 9725, sections 4.2 to 4.5).
func TestWHIPRefusals(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHIP("/whip", waits)
	s.HandleWHEP("/whep", waits)
	offer := chromium(t)
	w := publish(t, s, "/whip", offer)
	location, tag := w.Header().Get("Location"), w.Header().Get("ETag")
	current := credentials(offer)
	const line = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\n"
	const av1 = "m=video 9 UDP/TLS/RTP/SAVPF 45\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:45 AV1/90000\r\n"
	const renewed = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n"
	sdp, fragment := []string{"Content-Type", sdpType}, []string{"Content-Type", fragmentType}
	matching := append(fragment[:2:2], "If-Match", tag)
	any := append(fragment[:2:2], "If-Match", "*")
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"GET", "GET", "/whip", "", nil, 405},
		{"HEAD", "HEAD", "/whip", "", nil, 405},
		{"PUT", "PUT", "/whip", offer, sdp, 405},
		{"PATCH of the endpoint", "PATCH", "/whip", line, fragment, 405},
		{"DELETE of the endpoint", "DELETE", "/whip", "", nil, 405},
		{"no type", "POST", "/whip", offer, nil, 415},
		{"another type", "POST", "/whip", offer, []string{"Content-Type", "application/json"}, 415},
		{"bad type", "POST", "/whip", offer, []string{"Content-Type", "application/sdp; ="}, 415},
		{"empty", "POST", "/whip", "", sdp, 400},
		{"malformed", "POST", "/whip", "hello", sdp, 400},
		{"no media", "POST", "/whip", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", sdp, 400},
		{"no codec", "POST", "/whip", strings.ReplaceAll(strings.ReplaceAll(offer, "opus", "nope"), "UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "UDP/TLS/RTP/SAVPF 111"), sdp, 400},
		{"video without codec", "POST", "/whip", offer + av1, sdp, 422},
		{"video without codec, to play", "POST", "/whep", offer + av1, sdp, 422},
		{"wants to play", "POST", "/whip", strings.Replace(offer, "a=sendrecv", "a=recvonly", 1), sdp, 422},
		{"inactive", "POST", "/whip", strings.Replace(offer, "a=sendrecv", "a=inactive", 1), sdp, 422},
		{"WHEP that publishes", "POST", "/whep", strings.Replace(offer, "a=sendrecv", "a=sendonly", 1), sdp, 422},
		{"too large", "POST", "/whip", offer + strings.Repeat("a=x\r\n", 1<<20), sdp, 413},
		{"page of another site", "POST", "/whip", offer, append(sdp[:2:2], "Origin", "https://evil.example"), 403},

		{"GET of a session", "GET", location, "", nil, 405},
		{"POST to a session", "POST", location, offer, sdp, 405},
		{"session of nobody", "PATCH", "/whip/nobody", line, matching, 404},
		{"session at another endpoint", "PATCH", strings.Replace(location, "whip", "whep", 1), line, matching, 404},
		{"DELETE of nobody", "DELETE", "/whip/nobody", "", nil, 404},
		{"PATCH without type", "PATCH", location, line, []string{"If-Match", tag}, 415},
		{"PATCH with an offer", "PATCH", location, offer, append(sdp[:2:2], "If-Match", tag), 415},
		{"PATCH of words", "PATCH", location, "hello", matching, 400},
		{"PATCH of nothing", "PATCH", location, "\r\n", matching, 400},
		{"user name alone", "PATCH", location, "a=ice-ufrag:abcd\r\n", any, 400},
		{"short password", "PATCH", location, "a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n", any, 400},
		{"two user names", "PATCH", location, current + renewed, any, 400},
		{"bad candidate", "PATCH", location, current + "a=candidate:hello\r\n", matching, 400},
		{"bad candidate and restart", "PATCH", location, renewed + "a=candidate:hello\r\n", any, 400},
		{"many candidates", "PATCH", location, current + strings.Repeat(line, 101), matching, 422},
		{"many candidates and restart", "PATCH", location, renewed + strings.Repeat(line, 101), any, 422},
		{"no If-Match", "PATCH", location, current + line, fragment, 428},
		{"other If-Match", "PATCH", location, current + line, append(fragment[:2:2], "If-Match", `"other"`), 412},
		{"weak If-Match", "PATCH", location, current + line, append(fragment[:2:2], "If-Match", "W/"+tag), 412},
		{"PATCH too large", "PATCH", location, strings.Repeat(line, 1<<14), matching, 413},

		{"candidate", "PATCH", location, current + line, matching, 204},
		{"candidate without credentials", "PATCH", location, line, matching, 204},
		{"of any session", "PATCH", location, current + line, any, 204},
		{"type with parameter", "PATCH", location, line, []string{"Content-Type", fragmentType + "; charset=utf-8", "If-Match", tag}, 204},
		{"name that nobody resolves", "PATCH", location, "a=candidate:1 1 udp 1 a.local 9 typ host\r\n", matching, 204},
		{"TCP", "PATCH", location, "a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\n", matching, 204},
		{"end", "PATCH", location, "a=end-of-candidates\r\n", matching, 204},
	}
	for _, tt := range tests {
		w := ask(s, tt.method, tt.path, tt.body, tt.header...)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %.200s", tt.name, w.Code, tt.status, w.Body)
		}
		h := w.Header()
		switch {
		case w.Code == 405 && h.Get("Allow") == "", w.Code == 415 && h.Get("Accept-Post")+h.Get("Accept-Patch") == "":
			t.Errorf("%s: header %v", tt.name, h)
		case w.Code >= 400 && said(t, w, "error") == "":
			t.Errorf("%s: body %s", tt.name, w.Body)
		}
		if s.Calls() != 1 {
			t.Fatalf("%s: %d calls", tt.name, s.Calls())
		}
	}
	wantStatus(t, ask(s, "DELETE", location, nil), http.StatusOK)
	wantStatus(t, ask(s, "DELETE", location, nil), http.StatusNotFound)
}

// A viewer hears what the application says, whether it offers to receive only or
// both ways.
func TestWHEP(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHEP("/whep", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			if err := c.Audio().WritePacket(&stream.Packet{Codec: c.Audio().Codec(), Seq: int64(i), Timestamp: uint32(i) * 960, Payload: []byte{0xfc, 0xff, 0xfe}}); err != nil {
				return err
			}
		}
		return nil
	}))
	c, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	offer, err := c.offer()
	if err != nil {
		t.Fatal(err)
	}
	w := publish(t, s, "/whep", offer)
	if answer := w.Body.String(); !strings.Contains(answer, "a=sendonly\r\n") || strings.Contains(answer, "recv") {
		t.Errorf("the answer to sendrecv is not sendonly:\n%s", answer)
	}
	c.accept(t, w.Body.String())
	c.wait(t, patience)
	eventually(t, patience, "something heard", func() bool { return c.heard.Load() > 10 })
	wantStatus(t, ask(s, "DELETE", w.Header().Get("Location"), nil), http.StatusOK)
}

// What a page of another site has to be told by OPTIONS and in answers, and is
// told only if its site is allowed.
func TestOrigins(t *testing.T) {
	s, _ := start(t, &server.Config{Origins: []string{"https://studio.example"}})
	s.HandleWHIP("/whip", waits)
	open, _ := start(t, &server.Config{Origins: []string{"*"}})
	open.HandleWHIP("/whip", waits)
	tests := []struct {
		name    string
		server  http.Handler
		origin  string
		allowed bool
	}{
		{"allowed", s, "https://studio.example", true},
		{"another", s, "https://evil.example", false},
		{"another scheme", s, "http://studio.example", false},
		{"any", open, "https://evil.example", true},
	}
	for _, tt := range tests {
		for _, path := range []string{"/whip", "/whip/nobody", "/offer"} {
			w := ask(tt.server, "OPTIONS", path, nil, "Origin", tt.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization, content-type, if-match")
			wantStatus(t, w, http.StatusOK)
			h := w.Header()
			if path == "/whip" && h.Get("Accept-Post") != sdpType || path == "/whip/nobody" && h.Get("Accept-Patch") != fragmentType {
				t.Errorf("%s: header %v", tt.name, h)
			}
			if got := h.Get("Access-Control-Allow-Origin"); (got == tt.origin) != tt.allowed || !tt.allowed && got != "" {
				t.Errorf("%s %s: Access-Control-Allow-Origin %q", tt.name, path, got)
			}
			if tt.allowed && (!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PATCH") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "If-Match") || h.Get("Vary") != "Origin") {
				t.Errorf("%s: header %v", tt.name, h)
			}
		}
		w := ask(tt.server, "POST", "/whip", chromium(t), "Content-Type", sdpType, "Origin", tt.origin, "Sec-Fetch-Site", "cross-site")
		switch {
		case !tt.allowed:
			if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: status %d, header %v", tt.name, w.Code, w.Header())
			}
			continue
		case w.Code != http.StatusCreated || w.Header().Get("Access-Control-Allow-Origin") != tt.origin || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "Location"):
			t.Errorf("%s: status %d, header %v", tt.name, w.Code, w.Header())
		}
		wantStatus(t, ask(tt.server, "DELETE", w.Header().Get("Location"), nil, "Origin", tt.origin), http.StatusOK)
	}
	if _, err := server.New(&server.Config{Origins: []string{"studio.example/page"}}); err == nil {
		t.Error("an origin that is none")
	}
}

// Nothing is done for who may not, on any path and by any method.
func TestAuthorize(t *testing.T) {
	s, _ := start(t, &server.Config{
		Authorize: func(r *http.Request) error {
			switch server.BearerToken(r) {
			case "good":
				return nil
			case "visitor":
				return server.ErrForbidden
			}
			return context.DeadlineExceeded // such as a token that has expired
		},
		ICEServers: func(r *http.Request) []peer.Server {
			if server.BearerToken(r) != "good" {
				t.Error("asked for servers of a stranger")
			}
			return []peer.Server{
				{URLs: []string{"stun:stun.example"}},
				{URLs: []string{"turn:turn.example?transport=udp", "turns:turn.example"}, Username: "1700000000:me", Password: `a"b\c`},
			}
		},
	})
	s.HandleWHIP("/whip", waits)
	const good = "Bearer good"
	w := ask(s, "POST", "/whip", chromium(t), "Content-Type", sdpType, "Authorization", good)
	wantStatus(t, w, http.StatusCreated)
	want := []string{
		`<stun:stun.example>; rel="ice-server"`,
		`<turn:turn.example?transport=udp>; rel="ice-server"; username="1700000000:me"; credential="a\"b\\c"; credential-type="password"`,
		`<turns:turn.example>; rel="ice-server"; username="1700000000:me"; credential="a\"b\\c"; credential-type="password"`,
	}
	if got := w.Header().Values("Link"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("Link %q", got)
	}
	location := w.Header().Get("Location")
	w = ask(s, "POST", "/offer", object{"type": "offer", "sdp": chromium(t)}, "Authorization", "bearer good")
	wantStatus(t, w, http.StatusOK)
	call := w.Header().Get("Location")
	for _, tt := range []struct {
		token  string
		status int
		want   string
	}{
		{"", 401, `Bearer`},
		{"Bearer ", 401, `Bearer error="invalid_token"`},
		{"Bearer forged", 401, `Bearer error="invalid_token"`},
		{"Basic good", 401, `Bearer error="invalid_token"`},
		{"good", 401, `Bearer error="invalid_token"`},
		{"Bearer goodgood", 401, `Bearer error="invalid_token"`},
		{"Bearer visitor", 403, `Bearer error="insufficient_scope"`},
	} {
		header := []string{"Content-Type", sdpType, "If-Match", "*"}
		if tt.token != "" {
			header = append(header, "Authorization", tt.token)
		}
		for _, request := range [][3]string{
			{"POST", "/whip", chromium(t)},
			{"PATCH", location, "a=end-of-candidates\r\n"},
			{"DELETE", location, ""},
			{"DELETE", "/whip/nobody", ""},
			{"POST", "/offer", `{"type": "offer", "sdp": "v=0"}`},
			{"PATCH", "/offer", "null"},
			{"PATCH", call, "null"},
			{"DELETE", call, ""},
			{"GET", call + "/candidates", ""},
			{"GET", call + "/stats", ""},
			{"GET", call + "/ws", ""},
			{"GET", location + "/stats", ""},
			{"GET", "/offer/ws", ""},
			{"GET", "/apps", ""},
			{"GET", "/ice-servers", ""},
		} {
			w := ask(s, request[0], request[1], request[2], header...)
			if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.want || said(t, w, "error") == "" || w.Header().Get("Link") != "" {
				t.Errorf("%q, %s %s: status %d, header %v", tt.token, request[0], request[1], w.Code, w.Header())
			}
		}
	}
	if s.Calls() != 2 {
		t.Errorf("%d calls", s.Calls())
	}
	wantStatus(t, ask(s, "GET", "/", nil), http.StatusOK)
	wantStatus(t, ask(s, "OPTIONS", "/whip", nil), http.StatusOK)
	wantStatus(t, ask(s, "DELETE", location, nil, "Authorization", good), http.StatusOK)
	wantStatus(t, ask(s, "DELETE", call, nil, "Authorization", good), http.StatusNoContent)
}

// Whoever owns a name can make it lead to the loopback interface, so that a page of that
// site has the same Host as its Origin here.
func TestRebinding(t *testing.T) {
	s, _ := start(t, &server.Config{Origins: []string{"http://studio.example"}})
	web := httptest.NewServer(s)
	defer web.Close()
	port := web.URL[strings.LastIndex(web.URL, ":"):]
	for _, tt := range []struct {
		origin string
		allow  bool
	}{
		{"http://evil.example" + port, false},
		{"http://127.evil.example" + port, false},
		{"http://evil-localhost" + port, false},
		{"http://studio.example", true},
		{"https://proxied.example", true},
		{"http://127.0.0.1" + port, true},
		{"http://[::1]" + port, true},
		{"http://localhost" + port, true},
		{"http://app.localhost" + port, true},
		{"", true}, // no browser
	} {
		for _, way := range []string{"POST /wait", "DELETE /wait/x", "GET /wait/ws"} {
			method, path, _ := strings.Cut(way, " ")
			r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.origin != "" {
				_, r.Host, _ = strings.Cut(tt.origin, "://")
				r.Header.Set("Origin", tt.origin)
			}
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if allowed := answer.StatusCode != http.StatusForbidden; allowed != tt.allow {
				t.Errorf("%s from %q: status %d", way, tt.origin, answer.StatusCode)
			}
		}
	}
}
