package peer_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
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

// A first answer that pion takes, but cannot connect by, ends the call: there is no way
// back, and nobody would be told of it otherwise.
func TestAnswerWithoutAWay(t *testing.T) {
	for _, missing := range []string{"a=fingerprint:", "a=ice-ufrag:"} {
		caller, _, answer := answered(t, nil)
		answer = strings.ReplaceAll(answer, missing, "a=x-nothing:")
		if err := caller.SetAnswer(t.Context(), answer); err == nil {
			t.Errorf("without %s: no error", missing)
		}
		if end, ok := errors.AsType[*parley.EndError](caller.Err()); !ok || end.Reason != parley.Failed {
			t.Errorf("without %s: the call ended with %v", missing, caller.Err())
		}
	}
}

// A line without a codec that this end has is turned down, and the others are heard, also
// one of its kind that comes later.
func TestLineWithoutCodec(t *testing.T) {
	for name, without := range map[string]string{"answer": "", "answer that does not name it": "a=mid:1\r\n"} {
		t.Run(name, func(t *testing.T) { lineWithoutCodec(t, without) })
	}
}

// answeredWith returns both ends of a call with sound and pictures whose offer was changed
// on its way, and the answer, which the caller does not have yet.
func answeredWith(t *testing.T, change func(offer string) string) (caller, called *peer.Peer, answer string) {
	t.Helper()
	config := &peer.Config{Codecs: []codec.Params{pcmu, vp8}}
	from, to := listen(t, config), listen(t, config)
	caller, offer, err := from.Offer(t.Context(), &peer.CallConfig{Videos: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { caller.Close() })
	called, answer, err = to.Answer(t.Context(), change(offer), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { called.Close() })
	return caller, called, answer
}

// heardAlone fails the test unless both ends hear each other, and have no pictures.
func heardAlone(t *testing.T, caller, called *peer.Peer) {
	t.Helper()
	hearLevel(t, caller.Call, called.Call, 1000)
	hearLevel(t, called.Call, caller.Call, 2000)
	if caller.Video() != nil || called.Video() != nil {
		t.Error("there is video")
	}
}

func lineWithoutCodec(t *testing.T, without string) {
	caller, called, answer := answeredWith(t, func(offer string) string { return strings.ReplaceAll(offer, "VP8/", "AV1/") })
	if got := sections(answer); !slices.Equal(got, []string{"audio 9", "video 0", "application 9"}) || !strings.Contains(answer, "a=mid:1\r\n") {
		t.Errorf("the answer is\n%s", answer)
	}
	if err := caller.SetAnswer(t.Context(), strings.Replace(answer, without, "", 1)); err != nil {
		t.Fatal(err)
	}
	heardAlone(t, caller, called)

	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, caller, called, nil)
	watch(t, caller.Video(), called.Video(), 1)
	watch(t, called.Video(), caller.Video(), 2)
}

// Of an offer that bundles nothing, as of GStreamer's webrtcbin unless it is told otherwise,
// the first line is heard, and the others, which have ways of their own, are turned down.
func TestNotBundled(t *testing.T) {
	caller, called, answer := answeredWith(t, func(offer string) string {
		return strings.Replace(offer, line(offer, "a=group:")+"\r\n", "", 1)
	})
	if got := sections(answer); !slices.Equal(got, []string{"audio 9", "video 0", "application 0"}) || strings.Contains(answer, "a=group:") {
		t.Errorf("the answer is\n%s", answer)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	heardAlone(t, caller, called)
}

// An answer that bundles nothing, as of a media proxy, has the first line; pictures would
// go to where that is, and be seen by nobody. An offer is asked for that turns them down,
// as the far end may wait for them.
func TestAnswerNotBundled(t *testing.T) {
	caller, called, answer := answeredWith(t, func(offer string) string { return offer })
	if err := caller.SetAnswer(t.Context(), strings.Replace(answer, line(answer, "a=group:")+"\r\n", "", 1)); err != nil {
		t.Fatal(err)
	}
	if caller.Video() != nil {
		t.Error("there is video")
	}
	asked(t, caller, true)
	offer, _ := renegotiate(t, caller, called, nil)
	asked(t, caller, false)
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "video 0", "application 9"}) {
		t.Errorf("the offer that follows has %q", got)
	}
	heardAlone(t, caller, called)
}

// A telephone that speaks WebRTC need not name its lines. They are the same ones in the
// offers that follow.
func TestLinesWithoutNames(t *testing.T) {
	nameless := func(d string) string {
		return regexp.MustCompile("a=(mid|group):.*\r\n").ReplaceAllString(d, "")
	}
	caller, called, answer := answeredWith(t, nameless)
	if err := caller.SetAnswer(t.Context(), nameless(answer)); err != nil {
		t.Fatal(err)
	}
	heardAlone(t, caller, called)
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		offer, err := way[0].Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := way[1].Answer(t.Context(), nameless(offer))
		if err != nil {
			t.Fatal(err)
		}
		if err := way[0].SetAnswer(t.Context(), nameless(answer)); err != nil {
			t.Fatal(err)
		}
	}
	heardAlone(t, caller, called)
}

// Neither end of a connection whose fingerprint is wrong takes it for one that was made.
func TestWrongFingerprint(t *testing.T) {
	caller, called, answer := answered(t, nil)
	at := strings.Index(answer, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
	wrong := "00"
	if answer[at:at+2] == wrong {
		wrong = "FF"
	}
	if err := caller.SetAnswer(t.Context(), answer[:at]+wrong+answer[at+2:]); err != nil && caller.Err() == nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*peer.Peer{"the one who checks": caller, "the one who is checked": called} {
		<-p.Done()
		if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.NotConnected {
			t.Errorf("%s: %v", name, p.Err())
		} else if p == caller && !strings.Contains(end.Detail, "fingerprint") {
			t.Errorf("%s: detail %q", name, end.Detail)
		}
	}
}

// An answer that turns everything down is an error, and the end of the exchange: whoever
// asked for a line is told, and this end may offer again.
func TestAllTurnedDown(t *testing.T) {
	caller, called := dial(t, nil)
	got := make(chan error, 1)
	go func() {
		_, err := caller.AddVideo(t.Context())
		got <- err
	}()
	wanted(t, caller)
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := called.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	answer = regexp.MustCompile(`m=(\w+) \d+`).ReplaceAllString(answer, "m=$1 0")
	if err := caller.SetAnswer(t.Context(), answer); !errors.Is(err, peer.ErrAnswer) {
		t.Fatalf("error %v", err)
	}
	select {
	case err := <-got:
		if !errors.Is(err, parley.ErrNotAgreed) {
			t.Errorf("error %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("nobody is told")
	}
	if caller.Audio() != nil || caller.Video() != nil {
		t.Errorf("there is still audio %v, video %v", caller.Audio(), caller.Video())
	}
	asked(t, caller, false)
	if err := caller.SetAnswer(t.Context(), answer); !errors.Is(err, peer.ErrAnswer) {
		t.Errorf("the same again: %v", err)
	}
	if err := caller.RequestAudio(); err != nil {
		t.Fatal(err)
	}
	asked(t, caller, true)
	if offer, err = caller.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := sections(offer); !slices.Equal(got, []string{"audio 9", "application 9", "video 0"}) {
		t.Errorf("the offer has %q", got)
	}
}
