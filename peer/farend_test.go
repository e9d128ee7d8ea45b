package peer_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"github.com/parley-media/parley/peer"
)

// pion's goroutines end some time after Close has returned; goleak polls.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A browser is a peer connection of plain pion that stands for one.
type browser struct {
	pc     *webrtc.PeerConnection
	track  *webrtc.TrackLocalStaticRTP // nil if it only receives
	heard  chan *rtp.Packet
	closed chan struct{} // when its connection is closed, by either end

	mu      sync.Mutex
	reports []rtcp.Packet
}

// newBrowser returns a browser that offers one audio line with one codec.
func newBrowser(t *testing.T, capability webrtc.RTPCodecCapability, payloadType webrtc.PayloadType, direction webrtc.RTPTransceiverDirection, change ...func(*webrtc.SettingEngine)) *browser {
	t.Helper()
	return newBrowserOf(t, []webrtc.RTPCodecParameters{{RTPCodecCapability: capability, PayloadType: payloadType}}, direction, change...)
}

// newBrowserOf is newBrowser with further formats after the codec.
func newBrowserOf(t *testing.T, formats []webrtc.RTPCodecParameters, direction webrtc.RTPTransceiverDirection, change ...func(*webrtc.SettingEngine)) *browser {
	t.Helper()
	media := &webrtc.MediaEngine{}
	for _, p := range formats {
		if err := media.RegisterCodec(p, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	capability := formats[0].RTPCodecCapability
	reports := &interceptor.Registry{}
	if err := webrtc.ConfigureRTCPReports(reports); err != nil {
		t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetFireOnTrackBeforeFirstRTP(true)
	for _, f := range change {
		f(&settings)
	}
	pc, err := webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(reports), webrtc.WithSettingEngine(settings),
	).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{pc: pc, heard: make(chan *rtp.Packet, 1000), closed: make(chan struct{})}
	t.Cleanup(func() { pc.GracefulClose() })
	var once sync.Once // pion may tell twice
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateClosed {
			once.Do(func() { close(b.closed) })
		}
	})
	pc.OnTrack(b.listen)
	transceiver, err := b.addLine(capability, direction)
	if err != nil {
		t.Fatal(err)
	}
	if receiver := transceiver.Receiver(); receiver != nil {
		go b.readReports(func() ([]rtcp.Packet, error) { p, _, err := receiver.ReadRTCP(); return p, err })
	}
	if sender := transceiver.Sender(); sender != nil {
		go b.readReports(func() ([]rtcp.Packet, error) { p, _, err := sender.ReadRTCP(); return p, err })
	}
	return b
}

func (b *browser) addLine(capability webrtc.RTPCodecCapability, direction webrtc.RTPTransceiverDirection) (*webrtc.RTPTransceiver, error) {
	init := webrtc.RTPTransceiverInit{Direction: direction}
	if direction == webrtc.RTPTransceiverDirectionRecvonly {
		return b.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, init)
	}
	var err error
	if b.track, err = webrtc.NewTrackLocalStaticRTP(capability, "audio", "browser"); err != nil {
		return nil, err
	}
	return b.pc.AddTransceiverFromTrack(b.track, init)
}

func (b *browser) listen(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		select {
		case b.heard <- p:
		default:
		}
	}
}

func (b *browser) readReports(read func() ([]rtcp.Packet, error)) {
	for {
		packets, err := read()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.reports = append(b.reports, packets...)
		b.mu.Unlock()
	}
}

// find returns the first report that fits.
func (b *browser) find(fits func(rtcp.Packet) bool) rtcp.Packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.reports {
		if fits(p) {
			return p
		}
	}
	return nil
}

// offer returns the browser's offer with all candidates.
func (b *browser) offer(t *testing.T) string {
	t.Helper()
	gathered := webrtc.GatheringCompletePromise(b.pc)
	offer, err := b.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	return b.pc.LocalDescription().SDP
}

// call makes a call from the browser to e.
func (b *browser) call(t *testing.T, e *peer.Endpoint, c *peer.CallConfig) (p *peer.Peer, answer string) {
	t.Helper()
	p, answer, err := e.Answer(t.Context(), b.offer(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	return p, answer
}

// talk sends a packet each 20 ms until the test ends, with the given number of
// timestamp ticks, each holding its number.
func (b *browser) talk(t *testing.T, ticks uint32, payload int) {
	done := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := uint32(0); ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			p := &rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: i * ticks},
				Payload: make([]byte, payload),
			}
			for j := range p.Payload {
				p.Payload[j] = byte(i)
			}
			if b.track.WriteRTP(p) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		close(done)
		talking.Wait()
	})
}

var (
	opusCapability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}
	pcmuCapability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}
)

const sendrecv = webrtc.RTPTransceiverDirectionSendrecv

func listen(t testing.TB, c *peer.Config) *peer.Endpoint {
	t.Helper()
	e, err := peer.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// eventually polls until ok, for at most within.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(within); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// recorded returns the offer of a real browser, of testdata.
func recorded(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/offer-" + name + ".sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// line returns the first line of s that begins with prefix.
func line(s, prefix string) string {
	for l := range strings.Lines(s) {
		if strings.HasPrefix(l, prefix) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}
