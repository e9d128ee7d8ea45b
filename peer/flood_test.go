package peer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// A browser that speaks in the name of ever more sources is hung up on.
func TestManySources(t *testing.T) {
	b := newBrowser(t, pcmuCapability, 0, sendrecv)
	e, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, _ := b.call(t, e, nil)
	deadline := time.After(20 * time.Second)
	for ssrc := uint32(1); ; ssrc++ {
		select {
		case <-p.Done():
			end, ok := errors.AsType[*parley.EndError](p.Err())
			if !ok || end.Reason != parley.Failed || !strings.Contains(end.Detail, "streams") {
				t.Errorf("ended with %v", p.Err())
			}
			if ssrc < 400 {
				t.Errorf("ended after %d sources", ssrc)
			}
			return
		case <-deadline:
			t.Fatalf("%d sources, and the call goes on", ssrc)
		default:
			b.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: ssrc}}) //nolint:errcheck // the call ends
		}
	}
}

// Offers whose lines come and go are turned down in the end, and the call goes on.
func TestManySections(t *testing.T) {
	caller, called := dial(t, nil)
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(offer, "m=audio")
	head, section := offer[:at], offer[at:]
	if end := strings.Index(section, "m=application"); end > 0 {
		section = section[:end]
	}
	accepted, refused := 0, 0
	for n := range 30 {
		var text strings.Builder
		text.WriteString(head + section)
		mids := []string{caller.Audio().Mid()}
		for i := range 30 {
			mid := fmt.Sprintf("x%d-%d", n, i)
			mids = append(mids, mid)
			text.WriteString(strings.Replace(section, "a=mid:"+caller.Audio().Mid(), "a=mid:"+mid, 1))
		}
		lines := strings.SplitAfter(text.String(), "\n")
		for i, l := range lines {
			if strings.HasPrefix(l, "a=group:BUNDLE") {
				lines[i] = "a=group:BUNDLE " + strings.Join(mids, " ") + "\r\n"
			}
		}
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "a=ssrc") || strings.HasPrefix(l, "a=msid") })
		switch _, err := called.Answer(t.Context(), strings.Join(lines, "")); {
		case err == nil:
			accepted++
		case errors.Is(err, peer.ErrOffer) && strings.Contains(err.Error(), "came and went"):
			refused++
		default:
			t.Fatalf("offer %d: %v", n, err)
		}
	}
	if accepted < 10 || refused < 10 || called.Err() != nil {
		t.Errorf("%d offers were accepted, %d refused, the call ended with %v", accepted, refused, called.Err())
	}
}

// A call of this end's many lines takes offers that add none.
func TestManySectionsOfThisEnd(t *testing.T) {
	caller, called := dial(t, nil)
	for range 512 {
		if _, err := called.Connection().AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	if err := called.RequestVideo(); !errors.Is(err, parley.ErrManyLines) {
		t.Errorf("one more: %v", err)
	}
	renegotiate(t, caller, called, &peer.OfferOptions{Restart: true})
	hearLevel(t, caller.Call, called.Call, 1000)
	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = called.Answer(t.Context(), offer)
	refused(t, err)
}
