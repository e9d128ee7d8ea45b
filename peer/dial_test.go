package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

var (
	pcmu = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	vp8  = codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
)

// dial makes a call from one endpoint to another.
func dial(t *testing.T, c *peer.CallConfig) (caller, called *peer.Peer) {
	t.Helper()
	config := &peer.Config{Codecs: []codec.Params{pcmu, vp8}}
	from, to := listen(t, config), listen(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	caller, err := from.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		called, answer, err = to.Answer(ctx, offer, nil)
		return answer, err
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		caller.Close()
		called.Close()
	})
	if err := called.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	return caller, called
}

// renegotiate lets a make an offer and b answer it, and returns both.
func renegotiate(t *testing.T, a, b *peer.Peer, o *peer.OfferOptions) (offer, answer string) {
	t.Helper()
	offer, err := a.Offer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = b.Answer(t.Context(), offer); err != nil {
		t.Fatal(err)
	}
	if err := a.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	return offer, answer
}

// picture returns the beginning of a VP8 key frame of 320x240, with a number.
func picture(n int) *video.Frame {
	data := append([]byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0}, bytes.Repeat([]byte{byte(n)}, 3000)...)
	return &video.Frame{Time: time.Duration(n) * 20 * time.Millisecond, Key: true, Data: data}
}

// meanwhile writes until the returned function is called.
func meanwhile(write func(i int) error) (stop func()) {
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; write(i) == nil; i++ {
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return func() {
		close(done)
		writing.Wait()
	}
}

// watch checks that pictures with the number n get from one line to the other.
func watch(t *testing.T, from, to *parley.Video, n int) {
	t.Helper()
	to.SetReadDeadline(time.Now().Add(5 * time.Second))
	p := picture(n)
	defer meanwhile(func(i int) error {
		p.Time = time.Duration(i) * 20 * time.Millisecond
		return from.WriteFrame(p)
	})()
	var f video.Frame
	for {
		if err := to.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(f.Data, picture(n).Data) && f.Width == 320 && f.Height == 240 {
			return
		}
		if f.Data[len(f.Data)-1] == byte(n) {
			t.Fatalf("a frame of %d bytes, %dx%d", len(f.Data), f.Width, f.Height)
		}
	}
}

// hearLevel checks that a level gets from one call to the other.
func hearLevel(t *testing.T, from, to *parley.Call, level int16) {
	t.Helper()
	hearLine(t, from.Audio(), to.Audio(), level)
}

// hearLine does the same with one line of each.
func hearLine(t *testing.T, from, to *parley.Audio, level int16) {
	t.Helper()
	to.SetReadDeadline(time.Now().Add(5 * time.Second))
	out := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: slices.Repeat([]int16{level}, 160)}
	defer meanwhile(func(int) error { return from.WriteFrame(&out) })()
	var in audio.Frame
	for {
		if err := to.ReadFrame(&in); err != nil {
			t.Fatal(err)
		}
		if d := int(in.Samples[80]) - int(level); in.Kind == audio.Media && d*d < 2500 {
			return
		}
	}
}

func TestDial(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	hearLevel(t, caller.Call, called.Call, 1000)
	hearLevel(t, called.Call, caller.Call, 2000)
	watch(t, caller.Video(), called.Video(), 1)
	watch(t, called.Video(), caller.Video(), 2)
	if caller.Video().Mid() == "" || caller.Video().Mid() != called.Video().Mid() || called.Audio().Mid() == called.Video().Mid() {
		t.Errorf("lines %q and %q, audio %q", caller.Video().Mid(), called.Video().Mid(), called.Audio().Mid())
	}
	if called.Video().Label() == "" {
		t.Error("no label")
	}
}

// Pictures in any codec of an agreement can be sent, whichever is the first.
func TestOtherCodecOfAgreement(t *testing.T) {
	vp9 := codec.Params{Name: "VP9", PayloadType: 98, ClockRate: 90000}
	from := listen(t, &peer.Config{Codecs: []codec.Params{vp8, vp9}})
	to := listen(t, &peer.Config{Codecs: []codec.Params{vp9, vp8}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var called *peer.Peer
	caller, err := from.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		called, answer, err = to.Answer(ctx, offer, nil)
		return answer, err
	}, &peer.CallConfig{Videos: 1, NoAudio: true})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	defer called.Close()
	if err := called.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	line := called.Video()
	if line.Codec().Name != "VP8" || !line.Accepts("VP9") || line.Accepts("H264") {
		t.Fatalf("sends %v; VP9 too: %v", line.Codec(), line.Accepts("VP9"))
	}
	p := &video.Frame{Codec: "VP9", Key: true, Data: append([]byte{0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xf0, 0x0e, 0xf6, 0}, bytes.Repeat([]byte{7}, 3000)...)}
	defer meanwhile(func(i int) error {
		f := *p
		f.Time = time.Duration(i) * 20 * time.Millisecond
		return line.WriteFrame(&f)
	})()
	var f video.Frame
	caller.Video().SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := caller.Video().ReadFrame(&f); err != nil || f.Codec != "VP9" || !bytes.Equal(f.Data, p.Data) {
		t.Errorf("%v; %d bytes of %s", err, len(f.Data), f.Codec)
	}
}

// A screen comes beside the camera, goes, and comes back, while the call goes
// on.
func TestLinesComeAndGo(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{Videos: 1})
	watch(t, caller.Video(), called.Video(), 1)
	if err := caller.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-caller.Negotiate():
	case <-time.After(5 * time.Second):
		t.Error("the caller is not told to offer")
	}
	renegotiate(t, caller, called, nil)
	at, from := slices.Collect(called.Videos()), slices.Collect(caller.Videos())
	if len(at) != 2 || len(from) != 2 || at[1].Mid() != from[1].Mid() {
		t.Fatalf("%d and %d videos", len(at), len(from))
	}
	watch(t, from[1], at[1], 2)
	watch(t, at[1], from[1], 3)
	watch(t, from[0], at[0], 4)

	// The other end may add one as well.
	if err := called.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	renegotiate(t, called, caller, nil)
	at, from = slices.Collect(called.Videos()), slices.Collect(caller.Videos())
	if len(at) != 3 || len(from) != 3 {
		t.Fatalf("%d and %d videos", len(at), len(from))
	}
	watch(t, from[2], at[2], 5)
	watch(t, at[0], from[0], 6)
	hearLevel(t, caller.Call, called.Call, 1000)
}

func TestGlare(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	crossing, err := called.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Answer(t.Context(), crossing); !errors.Is(err, peer.ErrGlare) || !errors.Is(err, peer.ErrOffer) {
		t.Errorf("error %v", err)
	}
	if _, err := called.Answer(t.Context(), offer); !errors.Is(err, peer.ErrGlare) {
		t.Errorf("error %v", err)
	}
	if caller.Err() != nil || called.Err() != nil {
		t.Errorf("ended: %v, %v", caller.Err(), called.Err())
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

// There is one offer of an end at a time. To ask for another one, as to restart ICE after
// the first was lost, does not harm the call.
func TestOfferWithoutAnswer(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	offer, err := caller.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*peer.OfferOptions{nil, {Restart: true}} {
		if _, err := caller.Offer(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no answer yet") {
			t.Errorf("another offer: %v", err)
		}
	}
	if state := caller.Connection().ICEConnectionState(); state != webrtc.ICEConnectionStateConnected {
		t.Errorf("the connection is %v", state)
	}
	answer, err := called.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Error(err)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

func TestRestart(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	hearLevel(t, caller.Call, called.Call, 1000)
	before := line(caller.Connection().LocalDescription().SDP, "a=ice-ufrag:")
	renegotiate(t, caller, called, &peer.OfferOptions{Restart: true})
	if after := line(caller.Connection().LocalDescription().SDP, "a=ice-ufrag:"); after == before {
		t.Error("not restarted")
	}
	hearLevel(t, caller.Call, called.Call, 2000)
	hearLevel(t, called.Call, caller.Call, 3000)
}

// A broken offer in a call that goes on does it no harm.
func TestBrokenRenegotiation(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	for _, offer := range []string{"", "v=0", "garbage"} {
		_, err := called.Answer(t.Context(), offer)
		refused(t, err)
	}
	if err := caller.SetAnswer(t.Context(), "v=0"); !errors.Is(err, peer.ErrAnswer) {
		t.Errorf("error %v", err)
	}
	if err := called.AddCandidate(peer.Candidate{Candidate: "candidate:nonsense"}); !errors.Is(err, peer.ErrCandidate) {
		t.Errorf("error %v", err)
	}
	if err := called.AddCandidate(peer.Candidate{}); err != nil {
		t.Error(err)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

// What the far end trickles may overtake its answer, the first one and that to a restart.
// Here there is no other way to it.
func TestTrickleBeforeAnswer(t *testing.T) {
	config := &peer.Config{Codecs: []codec.Params{pcmu}}
	from, to := listen(t, config), listen(t, config)
	trickle := &peer.CallConfig{Gather: -1}
	caller, offer, err := from.Offer(t.Context(), trickle)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	called, answer, err := to.Answer(t.Context(), offer, trickle)
	if err != nil {
		t.Fatal(err)
	}
	defer called.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tell := func(without bool) {
		t.Helper()
		for {
			found, err := called.ReadCandidate(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if before, _, ok := strings.Cut(found.Candidate, " ufrag "); ok && without {
				found.Candidate = before
			}
			if err := caller.AddCandidate(found); err != nil {
				t.Error(err)
			}
		}
		if err := caller.AddCandidate(peer.Candidate{Candidate: "candidate:nonsense"}); !errors.Is(err, peer.ErrCandidate) {
			t.Errorf("error %v", err)
		}
	}
	tell(false)
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	if err := caller.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
	for _, without := range []bool{false, true} {
		if offer, err = caller.Offer(ctx, &peer.OfferOptions{Restart: true}); err != nil {
			t.Fatal(err)
		}
		if answer, err = called.Answer(ctx, offer); err != nil {
			t.Fatal(err)
		}
		tell(without)
		if err := caller.SetAnswer(ctx, answer); err != nil {
			t.Fatal(err)
		}
		hearLevel(t, caller.Call, called.Call, 2000)
	}
}

// Neither description has a candidate; all of them trickle.
func TestTrickle(t *testing.T) {
	config := &peer.Config{Codecs: []codec.Params{pcmu}}
	from, to := listen(t, config), listen(t, config)
	trickle := &peer.CallConfig{Gather: -1}
	caller, offer, err := from.Offer(t.Context(), trickle)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	if line(offer, "a=candidate:") != "" {
		t.Errorf("the offer has candidates\n%s", offer)
	}
	called, answer, err := to.Answer(t.Context(), offer, trickle)
	if err != nil {
		t.Fatal(err)
	}
	defer called.Close()
	if line(answer, "a=candidate:") != "" {
		t.Errorf("the answer has candidates\n%s", answer)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		for n := 0; ; n++ {
			found, err := way[0].ReadCandidate(t.Context())
			if err == io.EOF && n > 0 {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := way[1].AddCandidate(found); err != nil {
				t.Error(err)
			}
			if found.Candidate != "" {
				found.Candidate = "a=" + found.Candidate // as libdatachannel writes it
			}
			if err := way[1].AddCandidate(found); err != nil { // one too many does no harm
				t.Error(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := errors.Join(caller.WaitConnected(ctx), called.WaitConnected(ctx)); err != nil {
		t.Fatal(err)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

// An offer that nobody answers ends by its deadline.
func TestOfferNotAnswered(t *testing.T) {
	e := listen(t, nil)
	p, _, err := e.Offer(t.Context(), &peer.CallConfig{Deadlines: parley.Deadlines{Connect: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.NotConnected {
		t.Errorf("ended with %v", p.Err())
	}
	p.Close()
}

// Channels open both ways, beside the media.
func TestDialChannels(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{})
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		out, err := way[0].OpenChannel(t.Context(), &parley.ChannelConfig{Label: "ping"})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteMessage(t.Context(), &parley.Message{Text: true, Data: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		in, err := way[1].AcceptChannel(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var m parley.Message
		if err := in.ReadMessage(t.Context(), &m); err != nil || !m.Text || string(m.Data) != "hello" || in.Config().Label != "ping" {
			t.Errorf("%q on %q, %v", m.Data, in.Config().Label, err)
		}
	}
}

// A call may be of channels alone.
func TestDialChannelsOnly(t *testing.T) {
	caller, called := dial(t, &peer.CallConfig{NoAudio: true})
	out, err := caller.OpenChannel(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.WriteMessage(t.Context(), &parley.Message{Data: []byte{1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	in, err := called.AcceptChannel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var m parley.Message
	if err := in.ReadMessage(t.Context(), &m); err != nil || m.Text || len(m.Data) != 3 {
		t.Errorf("% x, %v", m.Data, err)
	}
	caller.Close()
	if err := in.ReadMessage(t.Context(), &m); err == nil {
		t.Error("a message after the end")
	}
}
