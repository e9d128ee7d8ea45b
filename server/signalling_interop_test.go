//go:build interop

package server_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/video"
)

//go:embed testdata/signalling.js
var signallingScript string

// visit opens a page in Chromium that knows the functions of the script, beside
// the server.
func visit(t *testing.T, s *server.Server) *browser.Tab {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /test", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><script src=test.js></script>")
	})
	mux.HandleFunc("GET /test.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		io.WriteString(w, signallingScript)
	})
	mux.Handle("/", s)
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		ts.Close()
		s.Shutdown(context.Background())
	})
	return browser.Open(t, ts.URL+"/test", browser.View{})
}

func newLogged(t *testing.T, c *server.Config) *server.Server {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A page that trickles, adds its camera, restarts ICE and hangs up, all by PATCH
// and DELETE.
func TestTricklingPage(t *testing.T) {
	s := newLogged(t, &server.Config{})
	s.Handle("/offer", echo.Handler{})
	tab := visit(t, s)
	for try := 1; ; try++ { // the fastest counts, since the browser shares this machine
		text := tab.Eval("trickle()")
		t.Log(text)
		var seen struct {
			Ours, Theirs, Gone  int
			Empty, Restarted    bool
			AnswerMs, ConnectMs float64
		}
		if err := json.Unmarshal([]byte(text), &seen); err != nil {
			t.Fatal(err)
		}
		if !seen.Empty || !seen.Restarted || seen.Ours == 0 || seen.Theirs == 0 || seen.Gone != http.StatusNotFound {
			t.Errorf("seen %+v", seen)
		}
		eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
		if seen.AnswerMs <= 200 && seen.ConnectMs <= 2000 {
			return
		}
		if try == 3 {
			t.Fatalf("answered in %.0f ms, connected in %.0f ms; want 200 and 2000", seen.AnswerMs, seen.ConnectMs)
		}
	}
}

// pass sends what one call sees to another.
func pass(to, from *parley.Call) {
	from.Video().RequestKeyframe()
	var f video.Frame
	for from.Video().ReadFrame(&f) == nil && to.Video().WriteFrame(&f) == nil {
	}
}

// A page that publishes its camera and microphone, restarts ICE, and plays what it
// publishes.
func TestPublishingPage(t *testing.T) {
	s := newLogged(t, &server.Config{Authorize: func(r *http.Request) error {
		if server.BearerToken(r) != "secret" {
			return errors.New("the token is not good")
		}
		return nil
	}})
	published := make(chan *parley.Call, 1)
	s.HandleWHIP("/whip", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		published <- c
		<-ctx.Done()
		return nil
	}))
	s.HandleWHEP("/whep", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		from := <-published
		var seeing sync.WaitGroup
		defer seeing.Wait()
		seeing.Go(func() { pass(c, from) })
		return parley.Copy(ctx, c, from)
	}))
	text := visit(t, s).Eval("oneWay()")
	t.Log(text)
	var seen struct {
		Trickled, Restarted, Old int
		Ended                    []int
	}
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Trickled != 204 || seen.Restarted != 200 || seen.Old != 412 || !slices.Equal(seen.Ended, []int{200, 200, 404}) {
		t.Errorf("seen %+v", seen)
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
}
