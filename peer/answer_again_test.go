package peer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-media/parley/peer"
)

// An answer that comes again changes nothing; another one, for which there is no offer, is
// refused.
func TestAnswerAgain(t *testing.T) {
	us, far := dial(t, &peer.CallConfig{})
	for range 2 {
		offer, err := us.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := far.Answer(t.Context(), offer)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := us.SetAnswer(t.Context(), answer); err != nil {
				t.Fatal(err)
			}
			hearLevel(t, us.Call, far.Call, 1000)
		}
		for _, other := range []string{"", strings.Replace(answer, "a=sendrecv", "a=inactive", 1)} {
			if err := us.SetAnswer(t.Context(), other); !errors.Is(err, peer.ErrAnswer) {
				t.Errorf("another answer: %v", err)
			}
		}
	}
}
