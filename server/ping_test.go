package server

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-media/parley"
)

// A socket whose client does not answer is closed, and so is one whose client has
// nothing to say at first. The call of the former goes on, and so does the socket
// of a client that has nothing to say but is there.
func TestSilentSockets(t *testing.T) {
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(context.Background())
	s.ping, s.patience = 50*time.Millisecond, 3*time.Second
	s.Handle("/wait", parley.HandlerFunc(func(ctx context.Context, _ *parley.Call) error {
		<-ctx.Done()
		return nil
	}))
	ts := httptest.NewServer(s)
	defer ts.Close()
	open := func() *websocket.Conn {
		conn, _, err := websocket.Dial(t.Context(), ts.URL+"/wait/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		conn.SetReadLimit(maxBody)
		return conn
	}
	call := func() *websocket.Conn {
		conn := open()
		sdp, err := json.Marshal(chromiumOffer(t))
		if err != nil {
			t.Fatal(err)
		}
		offer := `{"type": "offer", "sdp": ` + string(sdp) + `}`
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(offer)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	there := call()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, _, err := there.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	call() // reads nothing, and so answers no ping
	open()
	sockets := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sockets
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(20 * time.Second); sockets() != 1 || s.Calls() != 2; <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d sockets and %d calls, want 1 and 2", sockets(), s.Calls())
		}
	}
	for range 30 { // of pings
		<-poll.C
		<-poll.C
	}
	select {
	case <-gone:
		t.Error("the socket of a client that is there is closed")
	default:
	}
	there.CloseNow()
	<-gone
}
