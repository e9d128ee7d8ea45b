package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/server"
)

// A notebook keeps the lines of a log, from any goroutine.
type notebook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(b)
}

// String returns what was logged until now.
func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// lines returns what was logged until now.
func (n *notebook) lines(t *testing.T) (all []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(n.String())); ; {
		var line map[string]any
		switch err := d.Decode(&line); err {
		case nil:
			all = append(all, line)
		case io.EOF:
			return all
		default:
			t.Fatal(err)
		}
	}
}

// everything is below the lowest level that anything is logged at.
const everything = slog.LevelDebug - 10

// Whatever a call logs, from the answer to its release, and whichever part of it
// does so, has the id of the call, also in the midst of others.
func TestLogOfCalls(t *testing.T) {
	tests := []struct{ name string }{{"one log"}, {"a log of its own for calls"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var of, media notebook
			c := server.Config{Logger: slog.New(slog.NewJSONHandler(&of, &slog.HandlerOptions{Level: everything}))}
			if tt.name != "one log" {
				c.Peer.Logger = slog.New(slog.NewJSONHandler(&media, &slog.HandlerOptions{Level: everything}))
			}
			s, err := server.New(&c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Shutdown(context.WithoutCancel(t.Context())) })
			s.Handle("/offer", echo.Handler{})
			s.Handle("/loud", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
				c.Emit(parley.Event{Kind: "hello"})
				<-ctx.Done()
				panic("in the handler")
			}))
			ids := map[any]bool{}
			for _, path := range []string{"/offer", "/loud"} {
				caller := dial(t, s, path)
				caller.say(5)
				w := ask(s, http.MethodPost, path, object{"type": "offer", "sdp": chromium(t)})
				wantStatus(t, w, http.StatusOK)
				location := w.Header().Get("Location")
				ids[location[strings.LastIndexByte(location, '/')+1:]] = true
				wantStatus(t, ask(s, http.MethodDelete, location, nil), http.StatusNoContent)
				caller.hangUp()
			}
			eventually(t, 10*time.Second, "all calls released", func() bool { return s.Calls() == 0 })

			told := map[any]map[string]int{} // by id, and what the line is about
			for _, line := range append(of.lines(t), media.lines(t)...) {
				what, _ := line["msg"].(string)
				id, of := line["call"]
				if scope, ok := line["scope"]; ok {
					what, _ = scope.(string)
				}
				if what == "port" { // which all of them share
					continue
				}
				if !of {
					t.Errorf("a line without a call: %v", line)
				}
				if told[id] == nil {
					told[id] = map[string]int{}
				}
				told[id][what]++
			}
			if len(told) != 4 {
				t.Errorf("%d calls are told of, want 4", len(told))
			}
			for id, lines := range told {
				t.Logf("%v: %v", id, lines)
				delete(ids, id)
				for _, what := range []string{"call made", "call ended", "call released", "pc", "ice"} {
					if lines[what] == 0 {
						t.Errorf("call %v tells nothing of %q", id, what)
					}
				}
			}
			for id := range ids {
				t.Errorf("nothing is told of call %v", id)
			}
		})
	}
}
