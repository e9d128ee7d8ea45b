package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// A caller is a peer connection of plain pion on loopback that stands for a
// browser.
type caller struct {
	pc        *webrtc.PeerConnection
	mux       ice.UDPMux
	line      *cable
	track     *webrtc.TrackLocalStaticRTP
	connected chan struct{}
	closed    chan struct{}
	heard     atomic.Int64 // packets
	said      uint16       // packets
}

// A cable is a socket that can be cut: nothing gets through in either direction,
// and nobody is told.
type cable struct {
	net.PacketConn
	cut atomic.Bool
}

func (c *cable) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.cut.Load() {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}

func (c *cable) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.cut.Load() {
			return n, from, err
		}
	}
}

var opusCapability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}

func newCaller() (*caller, error) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &caller{line: &cable{PacketConn: conn}, connected: make(chan struct{}), closed: make(chan struct{})}
	quiet := &logging.DefaultLoggerFactory{Writer: io.Discard}
	c.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: c.line, Logger: quiet.NewLogger("ice")})
	media := &webrtc.MediaEngine{}
	parameters := webrtc.RTPCodecParameters{RTPCodecCapability: opusCapability, PayloadType: 111}
	if err := media.RegisterCodec(parameters, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	var settings webrtc.SettingEngine
	settings.SetICEUDPMux(c.mux)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.LoggerFactory = quiet
	c.pc, err = webrtc.NewAPI(
		webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(settings),
	).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	var connected, closed sync.Once // pion may tell a state twice
	c.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			connected.Do(func() { close(c.connected) })
		case webrtc.PeerConnectionStateClosed:
			closed.Do(func() { close(c.closed) })
		}
	})
	c.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		buf := make([]byte, 1600)
		for {
			if _, _, err := track.Read(buf); err != nil {
				return
			}
			c.heard.Add(1)
		}
	})
	if c.track, err = webrtc.NewTrackLocalStaticRTP(opusCapability, "audio", "caller"); err != nil {
		return nil, err
	}
	_, err = c.pc.AddTrack(c.track)
	return c, err
}

// hangUp closes what the caller has.
func (c *caller) hangUp() {
	c.pc.GracefulClose()
	c.mux.Close()
	c.line.PacketConn.Close()
}

// offer returns an offer with the caller's candidate.
func (c *caller) offer() (string, error) {
	gathered := webrtc.GatheringCompletePromise(c.pc)
	offer, err := c.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	if err := c.pc.SetLocalDescription(offer); err != nil {
		return "", err
	}
	<-gathered
	return c.pc.LocalDescription().SDP, nil
}

// call makes a call to the application at path and waits until it is connected.
func (c *caller) call(t *testing.T, s *server.Server, path string) {
	t.Helper()
	offer, err := c.offer()
	if err != nil {
		t.Error(err)
		return
	}
	status, answer := post(s, path, map[string]string{"type": "offer", "sdp": offer})
	if status != http.StatusOK || answer["type"] != "answer" {
		t.Errorf("status %d, %v", status, answer)
		return
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer["sdp"]}); err != nil {
		t.Error(err)
		return
	}
	select {
	case <-c.connected:
	case <-time.After(patience):
		t.Errorf("not connected after %v", patience)
	}
}

// say sends the next n packets at once. None is sent twice: where the first ones
// come too early, SRTP would refuse them for ever after.
func (c *caller) say(n int) {
	c.sayAt(c.said, n)
	c.said += uint16(n)
}

// sayAt sends n packets from sequence number seq on.
func (c *caller) sayAt(seq uint16, n int) {
	for i := seq; i < seq+uint16(n); i++ {
		c.track.WriteRTP(&rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: i, Timestamp: uint32(i) * 960},
			Payload: make([]byte, 40),
		})
	}
}

// chromium returns an offer of Chromium, for calls of which nobody waits for
// more than an answer.
func chromium(t testing.TB) string {
	t.Helper()
	offer, err := os.ReadFile("../peer/testdata/offer-chromium.sdp")
	if err != nil {
		t.Fatal(err)
	}
	return string(offer)
}

// chat talks until it hears an echo.
func (c *caller) chat(t *testing.T) {
	late := time.Now().Add(patience)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for ; c.heard.Load() == 0; <-poll.C {
		if time.Now().After(late) {
			t.Errorf("no echo within %v", patience)
			return
		}
		c.say(1)
	}
}

// dial returns a caller that has made a call, and hangs up when the test ends.
func dial(t *testing.T, s *server.Server, path string) *caller {
	t.Helper()
	c, err := newCaller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hangUp)
	c.call(t, s, path)
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// post sends v as JSON, and returns the status and the JSON of the answer.
func post(s http.Handler, path string, v any) (status int, answer map[string]string) {
	body, ok := v.([]byte)
	if !ok {
		body, _ = json.Marshal(v)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	json.Unmarshal(w.Body.Bytes(), &answer)
	return w.Code, answer
}

// A journal is a log that counts the ends of calls by their reason.
type journal struct {
	mu   sync.Mutex
	ends map[string]int
	all  int
}

func newJournal() *journal { return &journal{ends: make(map[string]int)} }

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler               { return j }
func (j *journal) WithGroup(string) slog.Handler                    { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "call ended" {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all++
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			j.ends[a.Value.String()]++
		}
		return true
	})
	return nil
}

// take returns the ends since the last take.
func (j *journal) take() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	ends := j.ends
	j.ends, j.all = make(map[string]int), 0
	return ends
}

// sum returns the number of ends with a reason, and of all.
func (j *journal) sum() (reasons, all int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for n := range maps.Values(j.ends) {
		reasons += n
	}
	return reasons, j.all
}

// waits is an application that waits for the end of its call.
var waits = parley.HandlerFunc(func(ctx context.Context, _ *parley.Call) error {
	<-ctx.Done()
	return nil
})

// patience is for what happens at once, unless this machine has too much to do.
const patience = 20 * time.Second

// lasting is for calls that only a deadline ends.
var lasting = peer.Timeouts{Disconnected: 10 * time.Minute, Failed: 10 * time.Minute}

// eventually polls until ok, for at most within.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(within); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
