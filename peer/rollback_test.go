package peer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// An offer that the far end has refused leaves nothing behind: the call goes on as before,
// and what was offered is wanted still.
func TestRollback(t *testing.T) {
	for _, answering := range []bool{false, true} {
		us, far := dial(t, &peer.CallConfig{})
		if answering {
			us, far = far, us
		}
		before := us.Connection().GetTransceivers()
		if err := us.RequestVideo(); err != nil {
			t.Fatal(err)
		}
		if err := us.SetDirection(us.Audio(), parley.SendOnly); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			wanted(t, us)
			if _, err := us.Offer(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := us.Rollback(); err != nil {
				t.Fatal(err)
			}
			hearLevel(t, us.Call, far.Call, 1000)
			hearLevel(t, far.Call, us.Call, 2000)
		}
		if n := len(us.Connection().GetTransceivers()) - len(before); n != 1 {
			t.Errorf("%d transceivers more", n)
		}
		wanted(t, us)
		renegotiate(t, us, far, nil)
		ours, theirs := slices.Collect(us.Videos()), slices.Collect(far.Videos())
		if len(ours) != 1 || len(theirs) != 1 {
			t.Fatalf("%d and %d videos", len(ours), len(theirs))
		}
		watch(t, ours[0], theirs[0], 1)
		watch(t, theirs[0], ours[0], 2)
		if d := us.Audio().Direction(); d != parley.SendOnly {
			t.Errorf("direction %v", d)
		}
	}
}

// Offers that have crossed: the end that takes its own back answers the other one, in which
// the same place and number may be those of another line.
func TestRollbackForGlare(t *testing.T) {
	for name, tt := range map[string]struct {
		ask   func(far *peer.Peer) error
		lines int
	}{
		"nothing": {func(*peer.Peer) error { return nil }, 2},
		"video":   {func(far *peer.Peer) error { return far.RequestVideo() }, 3},
		"audio":   {func(far *peer.Peer) error { return far.RequestAudio() }, 3},
	} {
		us, far := dial(t, &peer.CallConfig{})
		if err := us.RequestVideo(); err != nil {
			t.Fatal(err)
		}
		if _, err := us.Offer(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := tt.ask(far); err != nil {
			t.Fatal(err)
		}
		offer, err := far.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := us.Answer(t.Context(), offer); !errors.Is(err, peer.ErrGlare) {
			t.Errorf("error %v", err)
		}
		if err := us.Rollback(); err != nil {
			t.Fatal(err)
		}
		answer, err := us.Answer(t.Context(), offer)
		if err != nil {
			t.Fatal(err)
		}
		if err := far.SetAnswer(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		wanted(t, us)
		renegotiate(t, us, far, nil)
		sounds, heard := slices.Collect(us.Audios()), slices.Collect(far.Audios())
		pictures, seen := slices.Collect(us.Videos()), slices.Collect(far.Videos())
		if len(sounds) != len(heard) || len(pictures) != len(seen) || len(sounds)+len(pictures) != tt.lines {
			t.Fatalf("far end asks for %s: %d and %d audios, %d and %d videos", name, len(sounds), len(heard), len(pictures), len(seen))
		}
		for i := range sounds {
			hearLine(t, sounds[i], heard[i], 1000)
			hearLine(t, heard[i], sounds[i], 2000)
		}
		for i := range pictures {
			watch(t, pictures[i], seen[i], 1)
			watch(t, seen[i], pictures[i], 2)
		}
	}
}

// What cannot be taken back is told, and nothing changes.
func TestNoRollback(t *testing.T) {
	us, far := dial(t, &peer.CallConfig{})
	if err := us.Rollback(); err == nil || !strings.Contains(err.Error(), "no offer") {
		t.Errorf("without an offer: %v", err)
	}
	offer, err := us.Offer(t.Context(), &peer.OfferOptions{Restart: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := us.Rollback(); err == nil || !strings.Contains(err.Error(), "restarts ICE") {
		t.Errorf("of a restart: %v", err)
	}
	answer, err := far.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := us.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	hearLevel(t, us.Call, far.Call, 1000)
	if _, err := us.Offer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := us.Rollback(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	us.Close()
	if err := us.Rollback(); !errors.Is(err, us.Err()) {
		t.Errorf("after the end: %v", err)
	}

	first, _, err := listen(t, nil).Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.Rollback(); err == nil || !strings.Contains(err.Error(), "description") {
		t.Errorf("of the first offer: %v", err)
	}
}

// The codecs of a line that was taken back, or turned down by the far end, are not agreed
// on: the far end may have payload types of its own.
func TestCodecsNotAgreed(t *testing.T) {
	for _, refused := range []bool{false, true} {
		e := listen(t, nil)
		b := newBrowser(t, pcmuCapability, 0, sendrecv)
		b.talk(t, 160, 160)
		p, _ := b.call(t, e, nil)
		audio := b.pc.CurrentLocalDescription().SDP
		if err := p.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.RequestVideo(); err != nil {
			t.Fatal(err)
		}
		offer, err := p.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if refused {
			err = p.SetAnswer(t.Context(), b.answer(t, offer))
		} else {
			err = p.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
		answer, err := p.Answer(t.Context(), withVideo(audio))
		if err != nil {
			t.Fatal(err)
		}
		if line(answer, "a=rtpmap:77 VP8/90000") == "" || p.Video() == nil || p.Video().Codec().PayloadType != 77 {
			t.Errorf("refused %v; the answer:\n%s", refused, answer)
		}
	}
}

// answer answers an offer of ours.
func (b *browser) answer(t *testing.T, offer string) string {
	t.Helper()
	err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.pc.CreateAnswer(nil)
	if err == nil {
		err = b.pc.SetLocalDescription(answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer.SDP
}

// withVideo returns an offer of audio with a camera in VP8, as 77, beside it.
func withVideo(offer string) string {
	i := strings.Index(offer, "m=audio")
	var added strings.Builder
	for l := range strings.Lines(offer[i:]) {
		switch name, _, _ := strings.Cut(strings.TrimSpace(l), ":"); name {
		case "a=mid":
			added.WriteString("m=video 9 UDP/TLS/RTP/SAVPF 77\r\nc=IN IP4 0.0.0.0\r\na=mid:camera\r\na=rtpmap:77 VP8/90000\r\n")
		case "a=setup", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=rtcp-mux", "a=sendrecv":
			added.WriteString(l)
		}
	}
	return strings.Replace(offer, "a=group:BUNDLE", "a=group:BUNDLE camera", 1) + added.String()
}
