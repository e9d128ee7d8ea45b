package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/speech"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// How long callers wait for an answer is in the metrics, and told to an application that
// measures it too.
func TestReplyInMetrics(t *testing.T) {
	s, _ := start(t, &server.Config{Peer: peer.Config{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000, Channels: 1}}}})
	told := make(chan time.Duration, 1)
	s.Handle("/parrot", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		defer c.Audio().MeasureReplies(func(wait time.Duration) { told <- wait })()
		return parrot.Handler{}.ServeCall(ctx, c)
	}))
	endpoint, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	p, err := endpoint.Dial(ctx, func(_ context.Context, offer string) (string, error) {
		w := ask(s, "POST", "/parrot", object{"type": "offer", "sdp": offer})
		return said(t, w, "sdp"), nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	wide := audio.Format{Rate: speech.Rate, Channels: 1}
	pcm := make([]int16, speech.Rate) // in which the noise is learnt
	pcm = append(pcm, speech.PCM()[:2*speech.Rate]...)
	pcm = append(pcm, make([]int16, speech.Rate)...)
	if err := p.Audio().WriteFrame(&audio.Frame{Format: wide, Samples: pcm}); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "a reply in the metrics", func() bool { return value(scrape(t, s), "parley_reply_seconds") == 1 })
	// The parrot waits for half a second, and on a busy machine some more.
	if wait := sum(scrape(t, s), "parley_reply_seconds"); wait < 0.49 || wait > 3 {
		t.Errorf("the reply came after %v s", wait)
	}
	select {
	case <-told:
	case <-time.After(patience):
		t.Error("the application is not told")
	}
}
