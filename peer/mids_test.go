package peer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-media/parley/peer"
)

// A line that was taken back and one that the far end offers instead are two, of whatever
// kind they are: the far end, which counts its lines too, does not mean ours.
func TestLineOfAnotherKindAfterRollback(t *testing.T) {
	for _, ours := range []int{1, 2} {
		us, far := dial(t, &peer.CallConfig{})
		for range ours {
			if err := us.RequestVideo(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := us.Offer(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := us.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := far.RequestAudio(); err != nil {
			t.Fatal(err)
		}
		offer, answer := renegotiate(t, far, us, nil)
		if got := sections(answer); !slices.Equal(got, sections(offer)) {
			t.Fatalf("the answer has %q", got)
		}
		x, y := slices.Collect(us.Audios()), slices.Collect(far.Audios())
		if len(x) != 2 || len(y) != 2 {
			t.Fatalf("lines %q and %q", audioMids(us), audioMids(far))
		}
		hearLine(t, x[1], y[1], 1000)
		hearLine(t, y[1], x[1], 2000)

		wanted(t, us)
		renegotiate(t, us, far, nil)
		v, w := slices.Collect(us.Videos()), slices.Collect(far.Videos())
		if len(v) != ours || len(w) != ours {
			t.Fatalf("%d and %d videos", len(v), len(w))
		}
		for i := range v {
			watch(t, v[i], w[i], 1+i)
			watch(t, w[i], v[i], 3+i)
		}
		hearLevel(t, us.Call, far.Call, 1000)
	}
}

// The channels of an offer have a name of their own also where the far end does not count
// its lines from 0, as a browser that has made two offers before one was sent.
func TestChannelsNamedApart(t *testing.T) {
	e := listen(t, nil)
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	if err := b.pc.GetTransceivers()[0].SetMid("1"); err != nil {
		t.Fatal(err)
	}
	b.talk(t, 160, 160)
	p, _ := b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	offer, err := p.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "application 9"}) || line(offer, "a=group:") != "a=group:BUNDLE 1 data" {
		t.Fatalf("the offer:\n%s", offer)
	}
	if err := p.SetAnswer(t.Context(), b.answer(t, offer)); err != nil {
		t.Fatal(err)
	}
	if got := audioMids(p); !slices.Equal(got, []string{"1"}) {
		t.Errorf("lines %q", got)
	}
}

// Channels that the far end has turned down keep their place, in which a video would be
// taken for them.
func TestLineBehindRefusedChannels(t *testing.T) {
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	b.talk(t, 160, 160)
	p, _ := b.call(t, listen(t, nil), nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	offer, err := p.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := strings.NewReplacer("m=application 9", "m=application 0", "BUNDLE 0 data", "BUNDLE 0").Replace(b.answer(t, offer))
	if err := p.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	if err := p.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	if offer, err = p.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range sections(offer) {
		kinds = append(kinds, strings.Fields(s)[0])
	}
	if !slices.Equal(kinds, []string{"audio", "application", "video"}) {
		t.Errorf("the offer has %v:\n%s", kinds, offer)
	}
}
