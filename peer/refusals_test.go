package peer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// answered makes an offer of one endpoint that another answers, and returns the answer
// before the caller has it.
func answered(t *testing.T, c *peer.CallConfig) (caller, called *peer.Peer, answer string) {
	t.Helper()
	config := &peer.Config{Codecs: []codec.Params{pcmu, vp8}}
	from, to := listen(t, config), listen(t, config)
	caller, offer, err := from.Offer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { caller.Close() })
	called, answer, err = to.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { called.Close() })
	return caller, called, answer
}

// A far end that takes no channels is asked once, and whoever waits is told.
func TestChannelsTurnedDown(t *testing.T) {
	caller, called, answer := answered(t, nil)
	early, err := caller.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "early"})
	if err != nil {
		t.Fatal(err)
	}
	if err := early.WriteMessage(t.Context(), &parley.Message{Data: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	if err := caller.SetAnswer(t.Context(), strings.Replace(answer, "m=application 9", "m=application 0", 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	wantNone := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "takes no channels") {
			t.Errorf("error %v", err)
		}
	}
	wantNone(early.ReadMessage(ctx, &parley.Message{}))
	wantNone(early.WriteMessage(ctx, &parley.Message{}))
	_, err = caller.OpenChannel(ctx, nil)
	wantNone(err)
	asked(t, caller, false)
	hearLevel(t, caller.Call, called.Call, 1000)

	// It may offer them later.
	renegotiate(t, called, caller, nil)
	if _, err := caller.OpenChannel(ctx, nil); err != nil {
		t.Error(err)
	}
	asked(t, caller, false)
}
