//go:build interop

package peer_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// Neither description has a candidate; the answer is there at once.
func TestTrickleChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	p.trickle = true
	twice(t, "call", func(t *testing.T) error {
		p.do(t, "start")
		p.do(t, "tone", 440)
		offer := p.do(t, "offer", 0)
		if line(offer, "a=candidate:") != "" {
			t.Error("the offer has candidates")
		}
		begin := time.Now()
		far, answer, err := e.Answer(t.Context(), offer, &peer.CallConfig{Gather: -1})
		took := time.Since(begin)
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		if line(answer, "a=candidate:") != "" {
			t.Error("the answer has candidates")
		}
		echoes(t, far)
		p.do(t, "accept", answer)
		p.carry(t, far)
		connected := p.connect(t, far)
		p.do(t, "hears", far.Audio().Mid(), 440)
		t.Logf("answered in %v, connected in %v", took, connected)
		if took > 200*time.Millisecond || connected > 2*time.Second {
			return fmt.Errorf("answered in %v, connected in %v", took, connected)
		}
		return nil
	})
}

// A page that may not use the microphone tells no address of its own, only
// names that nobody here resolves (.local): it is found by what it sends.
func TestNoMicrophone(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, string) *headless.Process{"Chromium": headless.Ungranted, "Firefox": headless.Firefox} {
		t.Run(name, func(t *testing.T) {
			p, e := open(t, start), listen(t, nil)
			p.do(t, "start")
			p.do(t, "tone", 440)
			offer := p.do(t, "offer", 1500)
			for l := range strings.Lines(offer) {
				if fields := strings.Fields(l); strings.HasPrefix(l, "a=candidate:") && len(fields) > 4 && net.ParseIP(fields[4]) != nil && !strings.Contains(l, "tcptype") {
					t.Errorf("the page tells its address: %s", l)
				}
			}
			far := p.call(t, e, nil)
			echoes(t, far)
			p.do(t, "hears", far.Audio().Mid(), 440)
			pair, err := far.Connection().SCTP().Transport().ICETransport().GetSelectedCandidatePair()
			if err != nil || pair.Remote.Typ.String() != "prflx" {
				t.Errorf("connected by %v, %v", pair, err)
			}
		})
	}
}

// noticed returns how long it takes until the call has ended.
func noticed(t *testing.T, p *peer.Peer, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	select {
	case <-p.Done():
	case <-time.After(within):
		t.Fatalf("the call goes on after %v", within)
	}
	return time.Since(begin)
}

// happened waits for an event of the call and returns how long that took.
func happened(t *testing.T, p *peer.Peer, kind parley.EventKind, within time.Duration) time.Duration {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		switch e, err := p.ReadEvent(ctx); {
		case err != nil:
			t.Fatalf("no %s: %v", kind, err)
		case e.Kind == kind:
			return time.Since(begin)
		}
	}
}

// Calls come and go, and nothing is left of them.
func TestEndsChromium(t *testing.T) {
	p, e := open(t, headless.Chromium), listen(t, nil)
	talk := func(t *testing.T) *peer.Peer {
		p.do(t, "start")
		p.do(t, "tone", 440)
		p.do(t, "camera", "camera", 1, options{})
		p.do(t, "channel", "chat")
		far := p.call(t, e, nil)
		echoes(t, far)
		return far
	}
	t.Run("closed", func(t *testing.T) { // once warm
		far := talk(t)
		p.sees(t, far.Video().Mid(), 5)
		p.do(t, "stop")
		took := noticed(t, far, 5*time.Second)
		t.Logf("%v after %v", far.Err(), took)
		if took > time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
	before := settled()
	for i := range 5 {
		t.Run(fmt.Sprintf("cycle %d", i), func(t *testing.T) {
			far := talk(t)
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			p.do(t, "stop")
			noticed(t, far, 5*time.Second)
		})
	}
	eventually(t, 10*time.Second, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before+2 })
	t.Run("killed", func(t *testing.T) {
		p.do(t, "start")
		p.do(t, "tone", 440)
		far := p.call(t, e, nil)
		happened(t, far, parley.FirstMedia, 5*time.Second)
		p.process.Kill()
		begin := time.Now()
		doubted := happened(t, far, parley.Unreachable, 6*time.Second)
		noticed(t, far, 20*time.Second)
		took := time.Since(begin)
		t.Logf("%v: in doubt after %v, over after %v", far.Err(), doubted, took)
		if took > 8*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

// The connection is made anew (RFC 8445, section 2.4) by either end, and all
// that goes on over it goes on.
func TestRestartChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	for _, by := range []string{"page", "server"} {
		twice(t, by, func(t *testing.T) error { return restart(t, p, e, by) })
	}
}

func restart(t *testing.T, p *page, e *peer.Endpoint, by string) error {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "channel", "chat")
	far := p.call(t, e, nil)
	echoes(t, far)
	mid := far.Audio().Mid()
	p.do(t, "hears", mid, 440)
	chat, err := far.AcceptChannel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer meanwhile(func(int) error {
		var m parley.Message
		if err := chat.ReadMessage(t.Context(), &m); err != nil {
			return err
		}
		return chat.WriteMessage(t.Context(), &m)
	})()
	if got := p.do(t, "ask", "chat", "before"); got != "before" {
		t.Errorf("%q came back", got)
	}
	p.do(t, "gap", mid)
	ufrag := line(far.Connection().LocalDescription().SDP, "a=ice-ufrag:")
	if by == "page" {
		p.do(t, "pc.restartIce.bind(pc)")
		p.reoffer(t, far)
	} else {
		p.reanswer(t, far, &peer.OfferOptions{Restart: true})
	}
	if line(far.Connection().LocalDescription().SDP, "a=ice-ufrag:") == ufrag {
		t.Error("not restarted")
	}
	p.do(t, "sleep", 3000)
	p.do(t, "hears", mid, 440)
	if got := p.do(t, "ask", "chat", "after"); got != "after" {
		t.Errorf("%q came back", got)
	}
	silent := p.number(t, "gap", mid)
	t.Logf("silent for %.0f ms", silent)
	p.do(t, "stop")
	if silent > 1000 {
		return fmt.Errorf("silent for %.0f ms", silent)
	}
	return nil
}
