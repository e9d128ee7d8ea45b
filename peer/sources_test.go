package peer_test

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	_ "github.com/parley-media/parley/codec/opus"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// A publisher is a peer connection of plain pion that sends packets of PCMU and key
// frames of VP8.
type publisher struct {
	browser
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(settings),
	).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.GracefulClose() })
	p := &publisher{browser{pc: pc, heard: make(chan *rtp.Packet, 1000)}}
	pc.OnTrack(p.listen)
	return p
}

// send sends on one more line from now on.
func (p *publisher) send(t *testing.T, capability webrtc.RTPCodecCapability) {
	t.Helper()
	track, err := webrtc.NewTrackLocalStaticRTP(capability, "track", "publisher")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	payload, ticks := make([]byte, 160), uint32(160)
	if capability.MimeType == webrtc.MimeTypeVP8 {
		payload, ticks = append([]byte{0x10, 0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0}, make([]byte, 20)...), 1800
	}
	done := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := uint32(0); ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
				track.WriteRTP(&rtp.Packet{
					Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: i * ticks, Marker: ticks == 1800},
					Payload: payload,
				})
			}
		}
	})
	t.Cleanup(func() {
		close(done)
		sending.Wait()
	})
}

var vp8Capability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}

// hearsAll checks that each line of a call has packets come.
func hearsAll(t *testing.T, p *peer.Peer) {
	t.Helper()
	for a := range p.Audios() {
		var s parley.AudioStats
		a.Stats(&s)
		enough := s.Received + 5
		eventually(t, 5*time.Second, "packets of audio "+a.Mid(), func() bool { a.Stats(&s); return s.Received >= enough })
	}
	for v := range p.Videos() {
		var s parley.VideoStats
		v.Stats(&s)
		enough := s.Received + 5
		eventually(t, 5*time.Second, "packets of video "+v.Mid(), func() bool { v.Stats(&s); return s.Received >= enough })
	}
}

var sources = regexp.MustCompile(`a=ssrc.*\r\n`)

// The SSRCs of a far end need not be in its descriptions (RFC 8829, section 5.2.1).
// Without them there is no stream of repair, which could not be told from the rest.
func TestUnnamedSources(t *testing.T) {
	for name, lines := range map[string][]webrtc.RTPCodecCapability{
		"audio":  {pcmuCapability},
		"video":  {vp8Capability},
		"videos": {vp8Capability, pcmuCapability, vp8Capability},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, b := listen(t, nil), newPublisher(t)
			for _, c := range lines {
				b.send(t, c)
			}
			accept := func(answer string, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(answer, " rtx/") {
					t.Errorf("there is repair in the answer:\n%s", answer)
				}
				if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
					t.Fatal(err)
				}
			}
			p, answer, err := e.Answer(t.Context(), sources.ReplaceAllString(b.offer(t), ""), nil)
			accept(answer, err)
			defer p.Close()
			hearsAll(t, p)

			b.send(t, vp8Capability) // one more later
			accept(p.Answer(t.Context(), sources.ReplaceAllString(b.offer(t), "")))
			hearsAll(t, p)
			var last *parley.Video
			for v := range p.Videos() {
				last = v
			}
			if want := strconv.Itoa(len(lines)); last.Mid() != want {
				t.Fatalf("the last line is %s, want %s", last.Mid(), want)
			}
			eventually(t, 5*time.Second, "something the other way", func() bool {
				last.WriteFrame(&video.Frame{Key: true, Data: []byte{0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0}})
				return len(b.heard) > 0
			})
		})
	}
}

// A far end that can send pictures in several sizes at a time is asked for one of them,
// which comes, whether it names the sources as Firefox does, or not, as Chromium.
func TestSimulcastOffer(t *testing.T) {
	for name, names := range map[string]bool{"named": true, "not named": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, b := listen(t, nil), newPublisher(t)
			b.send(t, pcmuCapability)
			b.send(t, vp8Capability)
			const sizes = "a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"
			offer := b.offer(t)
			if names {
				offer += "a=ssrc:4000000000 cname:publisher\r\na=ssrc:4000000001 cname:publisher\r\na=ssrc-group:FID 4000000000 4000000001\r\n" + sizes
			} else {
				offer = sources.ReplaceAllString(offer, "") + sizes
			}
			p, answer, err := e.Answer(t.Context(), offer, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if strings.Contains(answer, "a=simulcast") || strings.Contains(answer, "a=rid") {
				t.Errorf("several sizes in the answer:\n%s", answer)
			}
			if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
				t.Fatal(err)
			}
			hearsAll(t, p)
		})
	}
}

func TestUnnamedSourcesInAnswer(t *testing.T) {
	e, b := listen(t, nil), newPublisher(t)
	p, offer, err := e.Offer(t.Context(), &peer.CallConfig{Videos: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		t.Fatal(err)
	}
	b.send(t, pcmuCapability)
	b.send(t, vp8Capability)
	answer, err := b.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(b.pc)
	if err := b.pc.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	if err := p.SetAnswer(t.Context(), sources.ReplaceAllString(b.pc.LocalDescription().SDP, "")); err != nil {
		t.Fatal(err)
	}
	hearsAll(t, p)
}

// A far end that sends in stereo is heard so, also if it would rather hear mono itself.
func TestStereoOfFarEnd(t *testing.T) {
	for fmtp, want := range map[string]int{"stereo=1": 2, "sprop-stereo=1": 2, "stereo=0; sprop-stereo=1": 2, "sprop-stereo=0": 1, "minptime=10": 1} {
		t.Run(fmtp, func(t *testing.T) {
			t.Parallel()
			e := listen(t, nil)
			capability := opusCapability
			capability.SDPFmtpLine = fmtp
			b := newBrowser(t, capability, 96, sendrecv)
			p, _ := b.call(t, e, nil)
			defer meanwhile(func(i int) error {
				time.Sleep(20 * time.Millisecond) // as long as a packet is
				return b.track.WriteRTP(&rtp.Packet{
					Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(i) * 960},
					Payload: []byte{0xfc, 0xff, 0xfe},
				})
			})()
			p.Audio().SetReadDeadline(time.Now().Add(5 * time.Second))
			var f audio.Frame
			for ok := false; !ok; ok = f.Kind == audio.Media {
				if err := p.Audio().ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
			}
			if f.Format.Channels != want {
				t.Errorf("%d channels, want %d", f.Format.Channels, want)
			}
		})
	}
}
