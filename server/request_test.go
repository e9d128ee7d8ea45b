package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// The application is chosen by path, parameter and body.
func ExampleServer_HandleOffer() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.HandleOffer("/rooms/{room}", func(o *server.Offer) (parley.Handler, error) {
		room, effect := o.PathValue("room"), o.Text("video_transform")
		if room != "lobby" {
			return nil, fmt.Errorf("room %q: %w", room, fs.ErrNotExist)
		}
		fmt.Printf("into the %s with effect %q\n", room, effect)
		return echo.Handler{}, nil
	})
	endpoint, err := peer.Listen(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer endpoint.Close()
	ctx := context.Background()
	p, offer, err := endpoint.Offer(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()

	body := map[string]string{"sdp": offer, "type": "offer", "video_transform": "edges"}
	fmt.Print(ask(s, "POST", "/rooms/cellar", body).Body)
	w := ask(s, "POST", "/rooms/lobby", body)
	fmt.Println(w.Code, strings.HasPrefix(w.Header().Get("Location"), "/rooms/lobby/"))
	s.Shutdown(ctx)
	// Output:
	// {"error":"room \"cellar\": file does not exist"}
	// into the lobby with effect "edges"
	// 200 true
}

func ExampleServer_Describe() {
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Shutdown(context.Background())
	s.Handle("/offer", echo.Handler{})
	s.Describe(server.App{Path: "/offer", Name: "Echo", About: "You hear yourself.", Media: []string{"audio"}})
	fmt.Print(ask(s, "GET", "/apps", nil).Body)
	// Output:
	// [{"path":"offer","name":"Echo","about":"You hear yourself.","media":["audio"]}]
}

func TestHandleOffer(t *testing.T) {
	s, _ := start(t, &server.Config{})
	var last *server.Offer
	s.HandleOffer("/choose", func(o *server.Offer) (parley.Handler, error) {
		last = o
		switch why := o.Text("why"); why {
		case "":
			return waits, nil
		case "nobody":
			return nil, nil
		case "forbidden":
			return nil, fmt.Errorf("not you: %w", server.ErrForbidden)
		case "missing":
			return nil, fmt.Errorf("no such film: %w", fs.ErrNotExist)
		default:
			return nil, errors.New("no idea what is " + why)
		}
	})
	offer := chromium(t)
	for why, status := range map[string]int{"nobody": 404, "forbidden": 403, "missing": 404, "this": 400} {
		for _, w := range []*httptest.ResponseRecorder{
			ask(s, "POST", "/choose", object{"type": "offer", "sdp": offer, "why": why}),
			ask(s, "POST", "/choose?why="+why, object{"type": "offer", "sdp": offer}),
		} {
			if w.Code != status || !strings.Contains(said(t, w, "error"), " ") {
				t.Errorf("%s: status %d, %s, want %d", why, w.Code, w.Body, status)
			}
		}
	}
	if n := s.Calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
	w := ask(s, "POST", "/choose?b=2", object{"type": "offer", "sdp": offer, "a": object{"x": []int{1}}, "why": nil, "b": 1})
	wantStatus(t, w, http.StatusOK)
	if string(last.Members["a"]) != `{"x":[1]}` || last.Text("b") != "2" || last.Text("c") != "" || last.SDP != offer {
		t.Errorf("members %s", last.Members)
	}
	// What goes on in the call is no choice any more.
	last = nil
	wantStatus(t, ask(s, "POST", "/choose?why=this", object{"type": "offer", "sdp": offer, "pc_id": said(t, w, "pc_id")}), http.StatusOK)
	wantStatus(t, ask(s, "PATCH", w.Header().Get("Location"), object{"type": "offer", "sdp": offer}), http.StatusOK)
	if last != nil {
		t.Error("chosen again")
	}
}

// What the page asks for besides calls.
func TestPageData(t *testing.T) {
	s, _ := start(t, &server.Config{
		Authorize: func(r *http.Request) error {
			if server.BearerToken(r) == "" {
				return errors.New("no token")
			}
			return nil
		},
		ICEServers: func(r *http.Request) []peer.Server {
			return []peer.Server{{URLs: []string{"stun:a"}}, {URLs: []string{"turn:b", "turn:c"}, Username: server.BearerToken(r), Password: "p"}}
		},
	})
	s.Describe(server.App{Path: "/offer", Name: "Echo", About: "You hear yourself.", Media: []string{"audio"}})
	s.Describe(server.App{Path: "wait", Name: "Wait"})
	for path, want := range map[string]string{
		"/apps":        `[{"path":"offer","name":"Echo","about":"You hear yourself.","media":["audio"]},{"path":"wait","name":"Wait","about":"","media":[]}]`,
		"/ice-servers": `{"iceServers":[{"urls":["stun:a"]},{"urls":["turn:b","turn:c"],"username":"me","credential":"p"}]}`,
	} {
		w := ask(s, "GET", path, nil, "Authorization", "Bearer me")
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
		wantStatus(t, ask(s, "GET", path, nil), http.StatusUnauthorized)
		wantStatus(t, ask(s, "POST", path, nil, "Authorization", "Bearer me"), http.StatusMethodNotAllowed)
	}
	wantStatus(t, ask(s, "GET", "/healthz", nil), http.StatusOK)
	wantStatus(t, ask(s, "HEAD", "/healthz", nil), http.StatusOK)

	bare, _ := start(t, &server.Config{})
	for path, want := range map[string]string{"/apps": `[]`, "/ice-servers": `{"iceServers":[]}`} {
		if w := ask(bare, "GET", path, nil); strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s: %s, want %s", path, w.Body, want)
		}
	}
	bare.Shutdown(t.Context())
	if w := ask(bare, "GET", "/healthz", nil); w.Code != http.StatusServiceUnavailable || !strings.Contains(said(t, w, "error"), "shutting down") {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
}

// Calls end when their time is up, and those who ask for too many have to wait.
func TestLimits(t *testing.T) {
	s, j := start(t, &server.Config{MaxDuration: 3 * time.Second, OffersPerMinute: 3})
	s.HandleWHIP("/whip", waits)
	offer := object{"type": "offer", "sdp": chromium(t), "trickle": true}
	w := ask(s, "POST", "/wait", offer)
	wantStatus(t, w, http.StatusOK)
	wantStatus(t, ask(s, "PATCH", w.Header().Get("Location"), offer), http.StatusOK) // is no call of its own
	wantStatus(t, ask(s, "POST", "/wait", object{"type": "offer", "sdp": "v=0"}), http.StatusBadRequest)
	publish(t, s, "/whip", chromium(t))
	for _, w := range []*httptest.ResponseRecorder{
		ask(s, "POST", "/wait", offer),
		ask(s, "POST", "/whip", chromium(t), "Content-Type", sdpType),
	} {
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "20" || !strings.Contains(said(t, w, "error"), "3 calls") {
			t.Errorf("status %d, %v, %s", w.Code, w.Header(), w.Body)
		}
	}
	other := httptest.NewRequest("POST", "/wait", strings.NewReader(string(must(json.Marshal(offer)))))
	other.RemoteAddr = "192.0.2.77:1"
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, other)
	wantStatus(t, recorder, http.StatusOK)
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); ends[string(server.TimeUp)] != 3 {
		t.Errorf("ends %v, want three %s", ends, server.TimeUp)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
