package peer_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A gateway to telephones turns the channels down in each answer, and names no source. Each
// offer of this end has them in their place, and is answered.
func TestChannelsTurnedDownAgain(t *testing.T) {
	unnamed := regexp.MustCompile(`(?m)^a=(group|ssrc|msid|extmap):.*\r\n`)
	caller, called, answer := answered(t, nil)
	for range 3 {
		answer = unnamed.ReplaceAllString(strings.Replace(answer, "m=application 9", "m=application 0", 1), "")
		if err := caller.SetAnswer(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		hearLevel(t, called.Call, caller.Call, 1000)
		offer, err := caller.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := sections(offer); !slices.Equal(got, []string{"audio 9", "application 9"}) {
			t.Fatalf("the offer has %q:\n%s", got, offer)
		}
		if answer, err = called.Answer(t.Context(), offer); err != nil {
			t.Fatal(err)
		}
	}
}

// What this end never takes keeps its place, and what it is, in an offer of this end.
func TestTextKeepsItsPlace(t *testing.T) {
	us, far := dial(t, nil)
	offer, err := far.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := us.Answer(t.Context(), offer+"m=text 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=mid:t\r\na=rtpmap:98 t140/1000\r\n"); err != nil {
		t.Fatal(err)
	}
	if offer, err = us.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "application 9", "text 0"}) {
		t.Errorf("the offer has %q:\n%s", got, offer)
	}
}
