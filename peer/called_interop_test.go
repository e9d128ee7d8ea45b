//go:build interop

package peer_test

import (
	"testing"

	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// A browser that is called by this end, as a telephone in a page is, offers itself later:
// to hold, to add a camera, and to restart ICE. It refuses an answer by which the ends
// would change places in DTLS.
func called(t *testing.T, start func(testing.TB, string) *headless.Process) {
	t.Parallel()
	p, e := open(t, start), listen(t, nil)
	p.do(t, "start")
	p.do(t, "answerTone", 440)
	far, offer, err := e.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if err := far.SetAnswer(t.Context(), p.do(t, "answer", offer, p.patience())); err != nil {
		t.Fatal(err)
	}
	p.connect(t, far)
	echoes(t, far)
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
	p.do(t, "camera", "camera", 1, options{})
	p.reoffer(t, far)
	p.shows(t, far.Video().Mid(), 1)
	p.reanswer(t, far, nil)
	p.reanswer(t, far, &peer.OfferOptions{Restart: true})
	p.reoffer(t, far)
	p.do(t, "hears", sound, 440)
}

func TestCalledChromium(t *testing.T) { called(t, headless.Chromium) }

func TestCalledFirefox(t *testing.T) { called(t, headless.Firefox) }
