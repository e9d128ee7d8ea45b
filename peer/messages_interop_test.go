//go:build interop

package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// What is written before there is a connection is there when it opens, in order,
// and what a page says of its channels is known at this end.
func TestMessagesChromium(t *testing.T) {
	p, e := watching(t), listen(t, nil)
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
	kinds := []struct {
		init options
		want parley.ChannelConfig
	}{
		{options{}, parley.ChannelConfig{Label: "plain"}},
		{options{"ordered": false, "protocol": "chat"}, parley.ChannelConfig{Label: "loose", Protocol: "chat", Unordered: true}},
		{options{"maxRetransmits": 0}, parley.ChannelConfig{Label: "once", MaxRetransmits: -1}},
		{options{"maxPacketLifeTime": 500}, parley.ChannelConfig{Label: "Grüße 🎈", MaxLifetime: 500e6}},
	}
	for _, k := range kinds {
		p.do(t, "channel", k.want.Label, k.init)
	}
	far, answer, err := e.Answer(t.Context(), p.do(t, "offer", p.patience()), nil)
	if err != nil {
		t.Fatal(err)
	}
	var speaking sync.WaitGroup
	defer speaking.Wait()
	defer far.Close()
	echoes(t, far)
	early, err := far.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "early"})
	if err != nil {
		t.Fatal(err)
	}
	const waiting = 100
	for i := range waiting {
		if err := early.WriteMessage(t.Context(), &parley.Message{Text: i%2 == 0, Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	// The page cannot write that early.
	if got := p.do(t, "refused", "plain", 1); got != "InvalidStateError" {
		t.Errorf("writing before the channel opens: %s", got)
	}
	p.do(t, "accept", answer)
	p.connect(t, far)
	if got := p.do(t, "takes", "early", waiting); got != strings.Trim(fmt.Sprint(numbers(waiting)), "[]") {
		t.Errorf("the page got %s", got)
	}

	open, ended := map[string]parley.Channel{}, map[string]chan error{}
	for range kinds {
		ch, err := far.AcceptChannel(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open[ch.Config().Label] = ch
	}
	for _, k := range kinds {
		ch := open[k.want.Label]
		if ch == nil || ch.Config() != k.want {
			t.Fatalf("of %+v this end has %v", k.want, ch)
		}
		over := make(chan error, 1)
		ended[k.want.Label] = over
		speaking.Go(func() { over <- sendBack(ch) })
		for _, text := range []string{"", "x", "Grüße 🎈"} {
			if got := p.do(t, "ask", k.want.Label, text); got != text {
				t.Errorf("%s: %q came back as %q", k.want.Label, text, got)
			}
		}
	}

	// Too much is an error at either end, and the channel goes on.
	if got := p.do(t, "refused", "plain", 256<<10+1); got != "TypeError" {
		t.Errorf("the page may send too much: %s", got)
	}
	if err := open["plain"].WriteMessage(t.Context(), &parley.Message{Data: make([]byte, 256<<10+1)}); !errors.Is(err, peer.ErrMessageTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if got := p.do(t, "ask", "plain", strings.Repeat("ü", 10_000)); got != strings.Repeat("ü", 10_000) {
		t.Errorf("%d bytes came back", len(got))
	}

	// Small messages are fast while the media run.
	p.do(t, "hears", far.Audio().Mid(), 440)
	p.shows(t, far.Video().Mid(), 1)
	best := 1e9
	for range 3 {
		p95 := p.number(t, "trips", "loose", 60)
		t.Logf("round trips: p95 %.1f ms", p95)
		if best = min(best, p95); best < 30 {
			break
		}
	}
	if best > 30 {
		t.Errorf("the 95th percentile of the round trips is %.1f ms", best)
	}

	// Each end closes, and the other one is told.
	if err := open["plain"].Close(); err != nil {
		t.Error(err)
	}
	p.do(t, "gone", "plain")
	p.do(t, "shut", "loose")
	select {
	case err := <-ended["loose"]:
		if err != io.EOF {
			t.Errorf("after the page has closed: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("this end is not told that the page has closed")
	}
	p.do(t, "stop")
}

// numbers are those below n.
func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// sendBack sends back what comes, until the channel ends.
func sendBack(ch parley.Channel) error {
	var m parley.Message
	for {
		if err := ch.ReadMessage(context.Background(), &m); err != nil {
			return err
		}
		if err := ch.WriteMessage(context.Background(), &m); err != nil {
			return err
		}
	}
}
