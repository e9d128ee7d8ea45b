package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/server"
	"github.com/parley-media/parley/stream"
)

// A client without a socket waits for an offer of this end, which adds a line, and
// hears it.
func TestOfferToClientThatPolls(t *testing.T) {
	s, _ := start(t, &server.Config{})
	add := make(chan struct{})
	added := make(chan error, 1)
	s.Handle("/add", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		<-add
		line, err := c.AddAudio(ctx)
		added <- err
		if err != nil {
			return err
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		p := stream.Packet{Codec: line.Codec(), Payload: make([]byte, 40)}
		for ; ; p.Seq, p.Timestamp = p.Seq+1, p.Timestamp+960 {
			if err := line.WritePacket(&p); err != nil {
				return err
			}
			<-tick.C
		}
	}))
	c, location := located(t, s, "/add")
	c.wait(t, patience)

	// Of two who wait, the newer one does.
	polls := make(chan *httptest.ResponseRecorder, 1)
	poll := func() { polls <- ask(s, "GET", location+"/offer", nil) }
	go poll()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 3 {
		go poll()
		select {
		case w := <-polls:
			wantStatus(t, w, http.StatusNoContent)
		case <-ctx.Done():
			t.Fatal("the older poll waits on")
		}
	}
	close(add)
	var theirs string
	select {
	case w := <-polls:
		wantStatus(t, w, http.StatusOK)
		theirs = said(t, w, "sdp")
		if said(t, w, "type") != "offer" {
			t.Errorf("%s", w.Body)
		}
	case <-ctx.Done():
		t.Fatal("no offer")
	}
	if again := ask(s, "GET", location+"/offer", nil); said(t, again, "sdp") != theirs {
		t.Error("another offer before the first has its answer")
	}
	// Ours crosses it.
	wantStatus(t, ask(s, "PATCH", location, object{"type": "offer", "sdp": c.pc.LocalDescription().SDP}), http.StatusConflict)

	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: theirs}); err != nil {
		t.Fatal(err)
	}
	ours, err := c.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.pc.SetLocalDescription(ours); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, ask(s, "PATCH", location, object{"type": "answer", "sdp": ours.SDP}), http.StatusNoContent)
	if err := <-added; err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the line is heard", func() bool { return c.heard.Load() > 10 })

	k := connect(t, serve(t, s), location+"/ws", nil)
	for status := 0; status != http.StatusConflict; { // as soon as the socket is there
		if ctx.Err() != nil {
			t.Fatalf("status %d", status)
		}
		quick, stop := context.WithTimeout(ctx, 50*time.Millisecond)
		r := httptest.NewRequestWithContext(quick, "GET", location+"/offer", nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		stop()
		status = w.Code
	}
	k.say(t, object{"type": "bye"})
	k.closed(t)
	wantStatus(t, ask(s, "GET", location+"/offer", nil), http.StatusNotFound)
}

// An offer of this end is over with an answer that is of no use, if that leaves nothing
// to be answered: it does not come again.
func TestUselessAnswerEndsTheOffer(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.Handle("/add", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		_, err := c.AddAudio(ctx)
		<-ctx.Done()
		return err
	}))
	c, location := located(t, s, "/add")
	w := ask(s, "GET", location+"/offer", nil)
	wantStatus(t, w, http.StatusOK)
	theirs := said(t, w, "sdp")
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: theirs}); err != nil {
		t.Fatal(err)
	}
	ours, err := c.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	w = ask(s, "PATCH", location, object{"type": "answer", "sdp": strings.ReplaceAll(ours.SDP, " 9 UDP/", " 0 UDP/")})
	if w.Code < 400 {
		t.Errorf("status %d for an answer without lines", w.Code)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", location+"/offer", nil))
	if w.Code == http.StatusOK && said(t, w, "sdp") == theirs {
		t.Error("the same offer again")
	}
}
