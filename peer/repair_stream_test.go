package peer_test

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// A repairman is a peer connection of plain pion that sends VP8, with a stream for
// what it sends again.
type repairman struct {
	*webrtc.TrackLocalStaticRTP
	pc    *webrtc.PeerConnection
	bound chan webrtc.TrackLocalContext
	out   webrtc.TrackLocalContext
	seq   uint16 // of what is sent next
	again uint16 // of what is sent again next
}

func (r *repairman) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	r.bound <- c
	return r.TrackLocalStaticRTP.Bind(c)
}

// The payload types of the repairman, and of its repair formats.
const (
	pictures      = 120
	repairs       = 121
	otherPictures = 122
	otherRepairs  = 123
)

func newRepairman(t *testing.T, formats ...webrtc.RTPCodecParameters) *repairman {
	t.Helper()
	media := &webrtc.MediaEngine{}
	for _, p := range formats {
		if err := media.RegisterCodec(p, webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
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
	track, err := webrtc.NewTrackLocalStaticRTP(formats[0].RTPCodecCapability, "video", "repairman")
	if err != nil {
		t.Fatal(err)
	}
	r := &repairman{TrackLocalStaticRTP: track, pc: pc, bound: make(chan webrtc.TrackLocalContext, 1), seq: 65530}
	if _, err := pc.AddTrack(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func format(mime, line string, payloadType webrtc.PayloadType) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000, SDPFmtpLine: line},
		PayloadType:        payloadType,
	}
}

// call calls e, and waits until pictures can be sent.
func (r *repairman) call(t *testing.T, e *peer.Endpoint) (p *peer.Peer, answer string) {
	t.Helper()
	b := &browser{pc: r.pc}
	p, answer = b.call(t, e, nil)
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.out = <-r.bound
	return p, answer
}

// frame makes a key frame that ends with n, in three packets.
func (r *repairman) frame(n byte) (all []*rtp.Packet) {
	data := append([]byte{0, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0}, make([]byte, 20)...)
	data[len(data)-1] = n
	for i := range 3 {
		descriptor := byte(0)
		if i == 0 {
			descriptor = 0x10
		}
		all = append(all, &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: pictures, SSRC: uint32(r.out.SSRC()), SequenceNumber: r.seq, Timestamp: uint32(n) * 3000, Marker: i == 2},
			Payload: append([]byte{descriptor}, data[10*i:][:10]...),
		})
		r.seq++
	}
	return all
}

func (r *repairman) send(t *testing.T, packets ...*rtp.Packet) {
	t.Helper()
	for _, p := range packets {
		if _, err := r.out.WriteStream().WriteRTP(&p.Header, p.Payload); err != nil {
			t.Fatal(err)
		}
	}
}

// resend sends packets again (RFC 4588, section 4).
func (r *repairman) resend(t *testing.T, packets ...*rtp.Packet) {
	t.Helper()
	for _, p := range packets {
		h := p.Header
		h.SSRC, h.PayloadType, h.SequenceNumber = uint32(r.out.SSRCRetransmission()), repairs, r.again
		r.again++
		r.send(t, &rtp.Packet{Header: h, Payload: append(binary.BigEndian.AppendUint16(nil, p.SequenceNumber), p.Payload...)})
	}
}

// pad sends padding in the repair stream, or what looks like it.
func (r *repairman) pad(t *testing.T) {
	t.Helper()
	for _, h := range []rtp.Header{
		{Padding: true, PaddingSize: 200}, // RFC 3550, section 5.1
		{},                                // without as much as a number
	} {
		h.Version, h.SSRC, h.PayloadType, h.SequenceNumber = 2, uint32(r.out.SSRCRetransmission()), repairs, r.again
		r.again++
		r.send(t, &rtp.Packet{Header: h})
	}
}

// What is sent again in a stream of its own fills the gaps of the pictures, also when
// nothing else comes, and only that; padding there is of no account.
func TestRepairStream(t *testing.T) {
	e := listen(t, nil)
	r := newRepairman(t, format("video/VP8", "", pictures), format("video/rtx", "apt=120", repairs))
	p, _ := r.call(t, e)
	v := p.Video()
	var f video.Frame
	read := func(within time.Duration) (n byte, ok bool) {
		t.Helper()
		v.SetReadDeadline(time.Now().Add(within))
		if err := v.ReadFrame(&f); errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, false
		} else if err != nil {
			t.Fatal(err)
		}
		return f.Data[len(f.Data)-1], true
	}
	n := byte(0)
	for begun := false; !begun; n++ { // what is sent before pion is ready is lost
		if n > 100 {
			t.Fatal("no frame comes")
		}
		r.send(t, r.frame(n)...)
		_, begun = read(100 * time.Millisecond)
	}
	for {
		if _, more := read(100 * time.Millisecond); !more {
			break
		}
	}
	// What comes again has to come within 200 ms, of which a busy machine may let
	// all pass: then another frame has better luck.
	repaired, late := 0, 0
	var before parley.VideoStats
	v.Stats(&before)
	for ; repaired < 5; n += 2 {
		if late > 20 {
			t.Fatalf("%d frames could not be repaired", late)
		}
		lost, next := r.frame(n), r.frame(n+1)
		var s parley.VideoStats
		v.Stats(&s)
		received := s.Received + 4
		r.send(t, lost[0])
		r.send(t, next...)
		eventually(t, 5*time.Second, "the packets around the gap", func() bool { v.Stats(&s); return s.Received >= received })
		r.pad(t)
		r.resend(t, lost[0], lost[1], lost[2], lost[1], next[0])
		got, ok := read(5 * time.Second)
		if !ok {
			t.Fatalf("frames %d and %d do not come", n, n+1)
		}
		if got == n+1 {
			late++
			continue
		}
		if got != n {
			t.Fatalf("frame %d, want %d", got, n)
		}
		repaired++
		if got, ok := read(5 * time.Second); !ok || got != n+1 {
			t.Fatalf("frame %d, %v, want %d", got, ok, n+1)
		}
	}
	var s parley.VideoStats
	v.Stats(&s)
	if s.Duplicated > 0 || s.VideoReceiverStats.Discarded > 0 || s.Lost > before.Lost || late == 0 && s.Broken+s.Skipped > before.Broken+before.Skipped {
		t.Errorf("%d repaired, %d late; %+v", repaired, late, s)
	}
}

// Answers have repair formats for those codecs only for which the offer has them,
// and the first codec is what is sent.
func TestRepairInAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		formats []webrtc.RTPCodecParameters
		want    []string // rtpmap and fmtp of the repair formats
		first   string
	}{
		{"none", []webrtc.RTPCodecParameters{format("video/VP8", "", pictures)}, nil, "VP8"},
		{
			"one",
			[]webrtc.RTPCodecParameters{format("video/VP8", "", pictures), format("video/rtx", "apt=120", repairs), format("video/VP9", "profile-id=0", otherPictures)},
			[]string{"a=rtpmap:121 rtx/90000", "a=fmtp:121 apt=120"},
			"VP8",
		},
		{
			"two",
			[]webrtc.RTPCodecParameters{
				format("video/VP8", "", pictures), format("video/rtx", "apt=120", repairs),
				format("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", otherPictures), format("video/rtx", "apt=122", otherRepairs),
			},
			[]string{"a=rtpmap:121 rtx/90000", "a=fmtp:121 apt=120", "a=rtpmap:123 rtx/90000", "a=fmtp:123 apt=122"},
			"VP8",
		},
		{
			"of a codec that is not known", []webrtc.RTPCodecParameters{
				format("video/VP8", "", pictures), format("video/AV1", "", otherPictures), format("video/rtx", "apt=122", otherRepairs),
			}, nil, "VP8",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := listen(t, nil)
			r := newRepairman(t, tt.formats...)
			p, answer := r.call(t, e)
			var got []string
			for l := range strings.Lines(answer) {
				if l = strings.TrimSpace(l); strings.Contains(l, " rtx/") || strings.Contains(l, " apt=") {
					got = append(got, l)
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q in the answer, want %q", got, tt.want)
			}
			if name := p.Video().Codec().Name; name != tt.first {
				t.Errorf("%s is sent", name)
			}
		})
	}
}

// Offers of this end have a repair format for each codec.
func TestRepairInOffers(t *testing.T) {
	e, other := listen(t, nil), listen(t, nil)
	p, offer, err := e.Offer(t.Context(), &peer.CallConfig{Videos: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	codecs, repairs := strings.Count(offer, "/90000\r\n"), strings.Count(offer, " rtx/90000\r\n")
	if repairs != 8 || codecs != 16 || strings.Count(offer, " apt=") != 8 {
		t.Errorf("%d formats, %d of them for repair:\n%s", codecs, repairs, offer)
	}
	far, answer, err := other.Answer(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if err := p.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*peer.Peer{p, far} {
		if err := x.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := x.Video().Codec(); c.Name != "VP8" || c.PayloadType != 96 {
			t.Errorf("%v is sent", c)
		}
	}
}
