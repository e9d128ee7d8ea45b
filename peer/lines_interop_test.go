//go:build interop

package peer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// mids are the lines of video that the call has.
func mids(p *peer.Peer) (all []string) {
	for v := range p.Videos() {
		all = append(all, v.Mid())
	}
	return all
}

// shows checks that the page sees the camera on the line.
func (p *page) shows(t *testing.T, mid string, camera int) view {
	t.Helper()
	p.do(t, "eye", mid)
	p.do(t, "seen", mid, true)
	v := p.sees(t, mid, 10)
	if v.Back > 0 || len(v.IDs) != 1 || v.IDs[0] != camera {
		t.Errorf("line %s shows %d pictures, %d out of order %q, of cameras %v, want %d", mid, v.Frames, v.Back, v.Backs, v.IDs, camera)
	}
	return v
}

// Cameras and screens come and go, and what is not concerned goes on.
func TestLinesChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	twice(t, "page", func(t *testing.T) error { return comeAndGo(t, p, e) })
	t.Run("server", func(t *testing.T) { serverAdds(t, p, e) })
	t.Run("glare", func(t *testing.T) { glare(t, p, e) })
	t.Run("no codec", func(t *testing.T) { noCodec(t, p, e) })
	t.Run("directions", func(t *testing.T) { directions(t, p, e) })
}

func comeAndGo(t *testing.T, p *page, e *peer.Endpoint) error {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{})
	far := p.call(t, e, nil)
	defer far.Close()
	echoes(t, far)
	sound, first := far.Audio().Mid(), far.Video().Mid()
	p.do(t, "hears", sound, 440)
	p.shows(t, first, 1)
	p.do(t, "gap", sound)

	p.do(t, "camera", "screen", 2, options{})
	p.reoffer(t, far)
	lines := mids(far)
	if len(lines) != 2 || lines[0] != first {
		t.Fatalf("lines %v", lines)
	}
	p.shows(t, lines[1], 2)
	p.shows(t, first, 1)

	// Another picture takes the place of one, of which only the viewers know.
	p.do(t, "replace", lines[1], "other", 3)
	p.do(t, "sleep", 500)
	p.shows(t, lines[1], 3)

	p.do(t, "remove", lines[1])
	p.reoffer(t, far)
	if got := mids(far); !slices.Equal(got, lines[:1]) {
		t.Errorf("lines %v after one was removed of %v", got, lines)
	}
	p.shows(t, first, 1)

	p.do(t, "camera", "again", 4, options{})
	p.reoffer(t, far)
	again := mids(far)
	if len(again) != 2 || again[0] != first {
		t.Fatalf("lines %v", again)
	}
	p.shows(t, again[1], 4)
	p.shows(t, first, 1)
	if n := strings.Count(far.Connection().LocalDescription().SDP, "m=video"); n != 2 {
		t.Errorf("%d lines of video in the description; the one that was free is not used again", n)
	}
	p.do(t, "hears", sound, 440)
	silent := p.number(t, "gap", sound)
	lost := p.stats(t)[sound]["inbound"].PacketsLost
	var ours parley.Stats
	far.Stats(&ours)
	t.Logf("silent for %.0f ms, %d packets lost; at this end %+v", silent, lost, ours.Audio)
	p.do(t, "stop")
	// What is sent on keeps its numbers, so that an empty packet of Chromium's, with
	// which it probes the network, leaves a hole.
	if silent > 100 || lost > int(ours.Audio.Discarded) {
		return fmt.Errorf("silent for %.0f ms, %d packets lost", silent, lost)
	}
	return nil
}

// serverAdds has the server show more.
func serverAdds(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{})
	far := p.call(t, e, nil)
	if err := far.RequestVideo(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-far.Negotiate():
	case <-time.After(5 * time.Second):
		t.Error("the server is not told to offer")
	}
	p.reanswer(t, far, nil)
	lines := slices.Collect(far.Videos())
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	serve(t, far.Call, parley.HandlerFunc(func(context.Context, *parley.Call) error {
		var f video.Frame
		for {
			if err := lines[0].ReadFrame(&f); err != nil {
				return err
			}
			if err := lines[1].WriteFrame(&f); err != nil {
				return err
			}
		}
	}))
	lines[0].RequestKeyframe()
	p.shows(t, lines[1].Mid(), 1)
	p.do(t, "stop")
}

// glare has both ends offer at the same time. The page gives way.
func glare(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	far := p.call(t, e, nil)
	echoes(t, far)
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
	if err := far.SetAnswer(t.Context(), p.do(t, "answer", ours, 1500)); err != nil {
		t.Fatal(err)
	}
	p.reoffer(t, far)
	p.do(t, "hears", far.Audio().Mid(), 440)
	p.shows(t, p.do(t, "sending", "camera"), 1)
	p.do(t, "stop")
}

// noCodec has the page offer a camera that this end has no codec for.
func noCodec(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "strange", 1, options{"codec": "AV1"})
	p.do(t, "camera", "camera", 2, options{"codec": "VP8"})
	far := p.call(t, e, nil)
	echoes(t, far)
	if lines := mids(far); len(lines) != 1 {
		t.Fatalf("lines %v", lines)
	}
	p.do(t, "hears", far.Audio().Mid(), 440)
	p.shows(t, far.Video().Mid(), 2)
	p.do(t, "camera", "screen", 3, options{"codec": "VP8"})
	p.reoffer(t, far)
	lines := mids(far)
	if len(lines) != 2 {
		t.Fatalf("lines %v", lines)
	}
	p.shows(t, lines[1], 3)
	p.do(t, "stop")
}

// directions changes those of a camera in all orders.
func directions(t *testing.T, p *page, e *peer.Endpoint) {
	p.do(t, "start")
	p.do(t, "tone", 440)
	p.do(t, "camera", "camera", 1, options{})
	far := p.call(t, e, nil)
	echoes(t, far)
	mid := far.Video().Mid()
	p.shows(t, mid, 1)
	for _, way := range []string{"sendonly", "sendrecv", "recvonly", "sendrecv", "sendonly", "recvonly", "inactive", "sendrecv", "inactive", "recvonly", "sendonly", "inactive", "sendonly", "sendrecv"} {
		p.do(t, "turn", mid, way)
		p.reoffer(t, far)
		if got := p.do(t, "turned", mid); got != way {
			t.Errorf("turned %s, want %s", got, way)
		}
		before := p.stats(t)[mid]
		p.do(t, "sleep", 300)
		after := p.stats(t)[mid]
		sent := after["outbound"].PacketsSent - before["outbound"].PacketsSent
		if sends := way == "sendrecv" || way == "sendonly"; sends != (sent > 0) {
			t.Errorf("%s: the page has sent %d packets", way, sent)
		}
		if got := far.Video(); got == nil || got.Mid() != mid {
			t.Fatalf("%s: the line is gone", way)
		}
		if way == "sendrecv" {
			p.shows(t, mid, 1)
		}
	}
	p.do(t, "hears", far.Audio().Mid(), 440)
	p.do(t, "stop")
}

// A page may only send, only listen, or do neither.
func TestOneWayChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	var still video.Frame
	t.Run("sendonly", func(t *testing.T) {
		p.do(t, "start")
		p.do(t, "tone", 440, options{"direction": "sendonly", "codec": "PCMU"})
		p.do(t, "camera", "camera", 5, options{"direction": "sendonly", "codec": "VP8"})
		far := p.call(t, e, nil)
		far.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
		var f audio.Frame
		for f.Kind != audio.Media || slices.Max(append(f.Samples, 0)) < 2000 {
			if err := far.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		far.Video().SetReadDeadline(time.Now().Add(5 * time.Second))
		for !still.Key {
			if err := far.Video().ReadFrame(&still); err != nil {
				t.Fatal(err)
			}
		}
		p.do(t, "stop")
	})
	t.Run("recvonly", func(t *testing.T) {
		p.do(t, "start")
		p.do(t, "tone", 0, options{"direction": "recvonly", "codec": "PCMU"})
		p.do(t, "camera", "", 0, options{"direction": "recvonly"})
		far := p.call(t, e, nil)
		defer meanwhile(func(int) error { return far.Audio().WriteFrame(square()) })()
		defer meanwhile(shining(far.Video(), still))()
		p.do(t, "hears", far.Audio().Mid(), 500)
		p.shows(t, far.Video().Mid(), 5)
		p.do(t, "stop")
	})
	t.Run("channels", func(t *testing.T) {
		p.do(t, "start")
		p.do(t, "channel", "chat")
		far := p.call(t, e, nil)
		theirs, err := far.AcceptChannel(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var m parley.Message
		go func() {
			if theirs.ReadMessage(t.Context(), &m) == nil {
				theirs.WriteMessage(t.Context(), &m)
			}
		}()
		if got := p.do(t, "ask", "chat", "hello 🎈"); got != "hello 🎈" {
			t.Errorf("%q came back", got)
		}
		ours, err := far.OpenChannel(t.Context(), &parley.ChannelConfig{Label: "grüße"})
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.WriteMessage(t.Context(), &parley.Message{Text: true, Data: []byte("ja")}); err != nil {
			t.Fatal(err)
		}
		if got := p.do(t, "talk"); got != "grüße" {
			t.Errorf("label %q", got)
		}
		var back parley.Message
		if err := ours.ReadMessage(t.Context(), &back); err != nil || string(back.Data) != "ja" || !back.Text {
			t.Errorf("%+v, %v", back, err)
		}
		p.do(t, "stop")
	})
	// What is written for the first time long after the answer is heard and seen
	// at once, without another exchange.
	twice(t, "late", func(t *testing.T) error {
		p.do(t, "start")
		p.do(t, "tone", 440, options{"codec": "PCMU"})
		p.do(t, "camera", "camera", 1, options{"codec": "VP8"})
		far := p.call(t, e, nil)
		defer far.Close()
		p.do(t, "eye", far.Video().Mid())
		p.do(t, "ear", far.Audio().Mid())
		p.do(t, "sleep", 3000)
		heard := make(chan float64, 1)
		go func() { heard <- p.number(t, "loud", far.Audio().Mid()) }()
		p.do(t, "sleep", 100)
		begin := time.Now()
		stopSound := meanwhile(func(int) error { return far.Audio().WriteFrame(square()) })
		stopPicture := meanwhile(shining(far.Video(), still))
		v := p.sees(t, far.Video().Mid(), 1)
		since := func(at float64) float64 { return at - float64(begin.UnixMicro())/1000 }
		sound, picture := since(<-heard), since(v.FirstAt)
		p.do(t, "stop")
		far.Close()
		stopSound()
		stopPicture()
		t.Logf("heard after %.0f ms, seen after %.0f ms", sound, picture)
		if sound < 0 || sound > 300 || picture < 0 || picture > 300 {
			return fmt.Errorf("heard after %.0f ms, seen after %.0f ms", sound, picture)
		}
		return nil
	})
}

// square is 20 ms of 500 Hz.
func square() *audio.Frame {
	half := append(slices.Repeat([]int16{8000}, 8), slices.Repeat([]int16{-8000}, 8)...)
	return &audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: slices.Repeat(half, 10)}
}

// shining shows one picture over and over.
func shining(to *parley.Video, still video.Frame) func(int) error {
	return func(i int) error {
		still.Time = time.Duration(i) * 50 * time.Millisecond
		return to.WriteFrame(&still)
	}
}

// A camera may change its size while it is seen.
func TestResizeChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	for _, codec := range []string{"VP8", "VP9", "H264"} {
		twice(t, codec, func(t *testing.T) error {
			p.do(t, "start")
			p.do(t, "camera", "camera", 1, options{"codec": codec})
			far := p.call(t, e, nil)
			defer far.Close()
			echoes(t, far)
			mid := far.Video().Mid()
			p.shows(t, mid, 1)
			// A larger picture Chromium would make smaller again when it is busy.
			p.do(t, "resize", "camera", 240, 180)
			begin := p.number(t, "clock")
			took := p.number(t, "sized", mid, "240x180") - begin
			t.Logf("resized after %.0f ms", took)
			p.shows(t, mid, 1)
			p.do(t, "stop")
			if took > 1000 {
				return fmt.Errorf("resized after %.0f ms", took)
			}
			return nil
		})
	}
}

// Who comes late sees something at once, and however many come, the camera is
// not made to send key frames all the time.
func TestLateViewer(t *testing.T) {
	t.Parallel()
	e := listen(t, nil)
	source := open(t, headless.Chromium)
	source.do(t, "start")
	source.do(t, "camera", "camera", 1, options{"direction": "sendonly", "codec": "VP8"})
	from := source.call(t, e, nil)
	relay := video.NewRelay(from.Video(), video.RelayConfig{})
	defer relay.Close()
	viewer := open(t, headless.Firefox)
	for i := range 3 {
		twice(t, fmt.Sprint(i), func(t *testing.T) error {
			viewer.do(t, "start")
			viewer.do(t, "camera", "", 0, options{"direction": "recvonly"})
			to := viewer.call(t, e, nil)
			defer to.Close()
			viewer.do(t, "eye", to.Video().Mid())
			viewer.do(t, "sleep", 500)
			begin := viewer.number(t, "clock")
			s := relay.Subscribe()
			serve(t, to.Call, parley.HandlerFunc(func(context.Context, *parley.Call) error {
				defer s.Close()
				var f video.Frame
				for {
					if err := s.ReadFrame(&f); err != nil {
						return err
					}
					if err := to.Video().WriteFrame(&f); err != nil {
						return err
					}
				}
			}))
			v := viewer.sees(t, to.Video().Mid(), 20)
			t.Logf("seen after %.0f ms", v.FirstAt-begin)
			if v.Back > 0 || len(v.IDs) != 1 || v.IDs[0] != 1 {
				t.Errorf("%+v", v)
			}
			viewer.do(t, "stop")
			if d := v.FirstAt - begin; d > 1000 {
				return fmt.Errorf("seen after %.0f ms", d)
			}
			return nil
		})
	}
	sent := source.stats(t)[from.Video().Mid()]["outbound"]
	t.Logf("%d key frames of %d, PLI %d, FIR %d", sent.KeyFramesEncoded, sent.FramesEncoded, sent.PLICount, sent.FIRCount)
	if sent.KeyFramesEncoded > 12 {
		t.Errorf("%d key frames for at most six viewers", sent.KeyFramesEncoded)
	}
}
