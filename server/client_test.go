package server_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// frames writes a steady level to a call until it ends.
func frames(c *parley.Call, level int16) error {
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for i := range f.Samples {
		f.Samples[i] = level
	}
	for {
		if err := c.Audio().WriteFrame(&f); err != nil {
			return err
		}
	}
}

// hears waits until a call hears the level.
func hears(t *testing.T, c *parley.Call, level int16) {
	t.Helper()
	c.Audio().SetReadDeadline(time.Now().Add(patience))
	var f audio.Frame
	for {
		if err := c.Audio().ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if d := int(f.Samples[80]) - int(level); f.Kind == audio.Media && d*d < 2500 {
			return
		}
	}
}

// One program publishes with WHIP, another plays it with WHEP.
func TestClients(t *testing.T) {
	s, j := start(t, &server.Config{
		Peer: peer.Config{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000, Channels: 1}}},
		Authorize: func(r *http.Request) error {
			if server.BearerToken(r) != "secret" {
				return errors.New("the token is not good")
			}
			return nil
		},
	})
	published := make(chan *parley.Call, 1)
	s.HandleWHIP("/whip", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		published <- c
		<-ctx.Done()
		return nil
	}))
	s.HandleWHEP("/whep", parley.HandlerFunc(func(_ context.Context, c *parley.Call) error { return frames(c, 2000) }))
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer ts.Client().CloseIdleConnections()
	// With one port, nobody could tell the packets of two calls with one server apart.
	endpoint, err := peer.Listen(&peer.Config{PortMin: 20000, PortMax: 60000})
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	_, err = endpoint.Dial(ctx, peer.WHIP(ts.URL+"/whip", "wrong", ts.Client()).Exchange, nil)
	if status, ok := errors.AsType[*peer.StatusError](err); !ok || status.Code != http.StatusUnauthorized || !strings.Contains(status.Detail, "not good") {
		t.Errorf("error %v, want status 401", err)
	}

	whip := peer.WHIP(ts.URL+"/whip", "secret", ts.Client())
	publisher, err := endpoint.Dial(ctx, whip.Exchange, nil)
	if err != nil {
		t.Fatal(err)
	}
	var speaking sync.WaitGroup
	speaking.Go(func() { frames(publisher.Call, 1000) })
	call := <-published
	hears(t, call, 1000)

	whep := peer.WHEP(ts.URL+"/whep", "secret", ts.Client())
	viewer, err := endpoint.Dial(ctx, whep.Exchange, nil)
	if err != nil {
		t.Fatal(err)
	}
	hears(t, viewer.Call, 2000)

	for _, r := range []*peer.Resource{whip, whep, whip} {
		if err := r.Delete(ctx); err != nil {
			t.Error(err)
		}
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Bye)] != 2 {
		t.Errorf("ends %v, want two %s", ends, parley.Bye)
	}
	publisher.Close()
	viewer.Close()
	speaking.Wait()
}
