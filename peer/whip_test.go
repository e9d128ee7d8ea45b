package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-media/parley/peer"
)

// A whipServer answers each offer in the same way, and remembers what it was
// asked.
type whipServer struct {
	status   int
	header   map[string]string
	answer   string
	deleted  int // status
	requests []string
	offer    string
}

func (s *whipServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests = append(s.requests, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	switch {
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/whip", http.StatusTemporaryRedirect)
	case r.Method == http.MethodDelete:
		w.WriteHeader(s.deleted)
	default:
		offer, _ := io.ReadAll(r.Body)
		s.offer = r.Header.Get("Content-Type") + "\n" + string(offer)
		for k, v := range s.header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(s.status)
		io.WriteString(w, s.answer)
	}
}

// whipOffer is what matters of an offer here: channels go both ways in any case.
const whipOffer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sendrecv\r\n"

func TestWHIP(t *testing.T) {
	sdp := map[string]string{"Content-Type": "application/sdp; charset=utf-8", "Location": "/session/1"}
	tests := []struct {
		name, path string
		server     whipServer
		err        string
		requests   []string
		deleteErr  string
	}{
		{
			name: "relative Location", path: "/whip", server: whipServer{status: 201, header: sdp, answer: "v=0", deleted: 200},
			requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
		{
			name: "redirection", path: "/moved", server: whipServer{status: 201, header: map[string]string{"Content-Type": "application/sdp", "Location": "session/1"}, answer: "v=0", deleted: 204},
			requests: []string{"POST /moved Bearer t", "POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
		{
			name: "no Location", path: "/whip", server: whipServer{status: 200, header: map[string]string{"Content-Type": "application/sdp"}, answer: "v=0"},
			requests: []string{"POST /whip Bearer t"},
		},
		{
			name: "gone already", path: "/whip", server: whipServer{status: 201, header: sdp, answer: "v=0", deleted: 404},
			requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
		{
			name: "DELETE fails", path: "/whip", server: whipServer{status: 201, header: sdp, answer: "v=0", deleted: 500},
			requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"}, deleteErr: "peer: WHIP: status 500 Internal Server Error",
		},
		{
			name: "refused", path: "/whip", server: whipServer{status: 503, answer: " busy\n" + strings.Repeat("x", 1000)},
			err: "peer: WHIP: status 503 Service Unavailable: busy\n" + strings.Repeat("x", 194), requests: []string{"POST /whip Bearer t"},
		},
		{
			name: "another type", path: "/whip", server: whipServer{status: 201, header: map[string]string{"Location": "/session/1", "Content-Type": "text/html"}, answer: "v=0", deleted: 200},
			err: "peer: the server sent no session description", requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
		{
			name: "cut off", path: "/whip", server: whipServer{status: 201, header: map[string]string{"Location": "/session/1", "Content-Type": "application/sdp", "Content-Length": "9"}, answer: "v=0", deleted: 200},
			err: "peer: WHIP: unexpected EOF", requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
		{
			name: "endless answer", path: "/whip", server: whipServer{status: 201, header: sdp, answer: strings.Repeat("x", 1<<20), deleted: 200},
			err: "peer: the server sent no session description", requests: []string{"POST /whip Bearer t", "DELETE /session/1 Bearer t"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := httptest.NewServer(&tt.server)
			defer ts.Close()
			r := peer.WHIP(ts.URL+tt.path, "t", ts.Client())
			answer, err := r.Exchange(t.Context(), whipOffer)
			if text(err) != tt.err || err == nil && answer != tt.server.answer {
				t.Errorf("answer %q, error %v, want %q", answer, err, tt.err)
			}
			if err := r.Delete(t.Context()); text(err) != tt.deleteErr {
				t.Errorf("Delete: %v, want %q", err, tt.deleteErr)
			}
			if err := r.Delete(t.Context()); err != nil {
				t.Errorf("Delete again: %v", err)
			}
			if fmt.Sprint(tt.server.requests) != fmt.Sprint(tt.requests) {
				t.Errorf("requests %q, want %q", tt.server.requests, tt.requests)
			}
			if want := "application/sdp\n" + strings.Replace(whipOffer, "sendrecv", "sendonly", 1); tt.server.offer != want {
				t.Errorf("offer %q, want %q", tt.server.offer, want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A token is not shown where everybody can read it.
func TestWHIPDowngrade(t *testing.T) {
	s := &whipServer{status: 201, header: map[string]string{"Content-Type": "application/sdp", "Location": "http://127.0.0.1:9/session/1"}, answer: "v=0"}
	ts := httptest.NewTLSServer(s)
	defer ts.Close()
	r := peer.WHEP(ts.URL+"/whep", "t", ts.Client())
	if answer, err := r.Exchange(t.Context(), whipOffer); err == nil || answer != "" || !strings.Contains(err.Error(), "https to http") {
		t.Errorf("answer %q, error %v", answer, err)
	}
	if !strings.Contains(s.offer, "a=recvonly") {
		t.Errorf("offer %q", s.offer)
	}
	if err := r.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

// The same goes for a redirection, which is followed otherwise as the client has it.
func TestWHIPRedirections(t *testing.T) {
	s := &whipServer{status: 201, header: map[string]string{"Content-Type": "application/sdp"}, answer: "v=0"}
	plain := httptest.NewServer(s)
	defer plain.Close()
	ts := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/whip", http.StatusTemporaryRedirect))
	defer ts.Close()
	if _, err := peer.WHIP(ts.URL, "t", ts.Client()).Exchange(t.Context(), whipOffer); err == nil || !strings.Contains(err.Error(), "https to http") || len(s.requests) > 0 {
		t.Errorf("error %v, requests %q", err, s.requests)
	}
	circle := httptest.NewServer(http.RedirectHandler("/", http.StatusTemporaryRedirect))
	defer circle.Close()
	for want, check := range map[string]func(*http.Request, []*http.Request) error{
		"stopped after 10": nil,
		"none for us":      func(*http.Request, []*http.Request) error { return errors.New("none for us") },
	} {
		client := &http.Client{CheckRedirect: check, Transport: circle.Client().Transport}
		if _, err := peer.WHIP(circle.URL, "t", client).Exchange(t.Context(), whipOffer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestWHIPUnreachable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := peer.WHIP("http://127.0.0.1:9/", "", nil).Exchange(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := peer.WHIP("http://[bad/", "", nil).Exchange(t.Context(), ""); err == nil {
		t.Error("a bad URL")
	}
}
