//go:build interop

package peer_test

import (
	"errors"
	"testing"
	"time"

	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// A browser that is called by this end, as a telephone in a page is, offers itself later:
// to hold, to add a camera, and to restart ICE. It refuses an answer by which the ends
// would change places in DTLS.
func called(t *testing.T, start func(testing.TB, string) *headless.Process) {
	t.Parallel()
	p := open(t, start)
	far := p.answers(t, listen(t, nil))
	sound := far.Audio().Mid()
	p.do(t, "hears", sound, 440)
	p.reoffer(t, far)

	// What the page never answers is taken back.
	if err := far.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := far.Rollback(); err != nil {
		t.Fatal(err)
	}
	p.do(t, "hears", sound, 440)

	// A line that this end has offered has its payload types; Firefox gives others to a
	// line of its own.
	p.reanswer(t, far, nil)
	p.do(t, "camera", "camera", 1, options{})
	p.reoffer(t, far)
	p.shows(t, p.do(t, "sending", "camera"), 1)
	p.reanswer(t, far, nil)
	p.reanswer(t, far, &peer.OfferOptions{Restart: true})
	p.reoffer(t, far)
	p.do(t, "hears", sound, 440)
}

// answers has the page take a call of this end, in which it hears its own tone.
func (p *page) answers(t *testing.T, e *peer.Endpoint) *peer.Peer {
	t.Helper()
	p.do(t, "start")
	p.do(t, "answerTone", 440)
	far, offer, err := e.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if err := far.SetAnswer(t.Context(), p.do(t, "answer", offer, p.patience())); err != nil {
		t.Fatal(err)
	}
	p.connect(t, far)
	echoes(t, far)
	return far
}

// The first pictures of both ends cross in a call of this end, and the page gives way.
// Chromium refuses an offer that gives a header extension a number which the one that it
// takes back gives to another one. What it plays is silent after it has given way, so that
// its counters have to do.
func TestCalledGlareChromium(t *testing.T) {
	t.Parallel()
	p := open(t, headless.Chromium)
	far := p.answers(t, listen(t, nil))
	if err := far.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	p.do(t, "camera", "camera", 1, options{"add": "track"})
	theirs := p.do(t, "offer", 0)
	ours, err := far.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Answer(t.Context(), theirs); !errors.Is(err, peer.ErrGlare) {
		t.Fatalf("error %v", err)
	}
	if err := far.SetAnswer(t.Context(), p.do(t, "answer", ours, p.patience())); err != nil {
		t.Fatal(err)
	}
	p.reoffer(t, far)
	sound, pictures := far.Audio().Mid(), p.do(t, "sending", "camera")
	heard := p.stats(t)[sound]["inbound"].PacketsReceived
	late := time.Now().Add(15 * time.Second)
	for s := p.stats(t); s[pictures]["inbound"].FramesDecoded < 20 || s[sound]["inbound"].PacketsReceived < heard+20; s = p.stats(t) {
		if time.Now().After(late) {
			t.Fatalf("the page gets %+v", s)
		}
		p.do(t, "sleep", 100)
	}
}

func TestCalledChromium(t *testing.T) { called(t, headless.Chromium) }

func TestCalledFirefox(t *testing.T) { called(t, headless.Firefox) }
