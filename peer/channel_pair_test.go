package peer

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// A pair is a call of ours that has only channels, and a peer connection of plain
// pion that stands for a browser.
type pair struct {
	call    *parley.Call
	all     *channels
	ours    *webrtc.PeerConnection
	browser *webrtc.PeerConnection
	log     *log
	offered chan *far // what the browser is told of
}

func bareConnection(t testing.TB, change func(*webrtc.SettingEngine)) *webrtc.PeerConnection {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.LoggerFactory = loggerFactory{slog.New(slog.DiscardHandler)}
	change(&settings)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(&interceptor.Registry{})).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.GracefulClose() })
	return pc
}

// newPair returns a pair that connect connects.
func newPair(t testing.TB) *pair {
	t.Helper()
	return newPairWith(t, maxMessage)
}

// newPairWith returns one of which our end says that it takes messages of size.
func newPairWith(t testing.TB, size uint32, change ...func(*webrtc.SettingEngine)) *pair {
	t.Helper()
	p := &pair{offered: make(chan *far, 100), log: &log{t: t}}
	p.browser = bareConnection(t, func(s *webrtc.SettingEngine) { s.SetSCTPMaxMessageSize(maxMessage) })
	p.browser.OnDataChannel(func(dc *webrtc.DataChannel) { p.offered <- newFar(dc) })
	p.ours = bareConnection(t, func(s *webrtc.SettingEngine) {
		s.DetachDataChannels()
		s.SetSCTPMaxMessageSize(size)
		for _, f := range change {
			f(s)
		}
	})
	p.all = newChannels(p.ours, slog.New(slog.NewTextHandler(p.log, nil)))
	var err error
	if p.call, err = parley.New(parley.Config{Channels: p.all}); err != nil {
		t.Fatal(err)
	}
	p.all.attach(p.call)
	t.Cleanup(func() { p.end(t) })
	return p
}

// A log keeps what was logged.
type log struct {
	t    testing.TB
	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	return l.t.Output().Write(b)
}

func (p *pair) logged() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.log.text.String()
}

// end ends the call, in bounded time.
func (p *pair) end(t testing.TB) {
	t.Helper()
	begin := time.Now()
	p.call.Close()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the call took %v to close", took)
	}
}

// connect makes the connection with an offer of the browser, which has a channel
// of its own in any case.
func (p *pair) connect(t testing.TB) {
	t.Helper()
	if _, err := p.browser.CreateDataChannel("first", &webrtc.DataChannelInit{ID: new(uint16(1000)), Negotiated: new(true)}); err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.browser)
	offer, err := p.browser.CreateOffer(nil)
	check(t, err)
	check(t, p.browser.SetLocalDescription(offer))
	<-gathered
	check(t, p.ours.SetRemoteDescription(*p.browser.LocalDescription()))
	answer, err := p.ours.CreateAnswer(nil)
	check(t, err)
	gathered = webrtc.GatheringCompletePromise(p.ours)
	check(t, p.ours.SetLocalDescription(answer))
	<-gathered
	check(t, p.browser.SetRemoteDescription(*p.ours.LocalDescription()))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open returns a channel that we have opened, as both ends see it.
func (p *pair) open(t testing.TB, c *parley.ChannelConfig) (parley.Channel, *far) {
	t.Helper()
	ch, err := p.call.OpenChannel(t.Context(), c)
	check(t, err)
	select {
	case f := <-p.offered:
		return ch, f
	case <-time.After(5 * time.Second):
		t.Fatal("the far end is not told of the channel")
	}
	return nil, nil
}

// both is open for a channel that may be negotiated.
func (p *pair) both(t testing.TB, c *parley.ChannelConfig) (parley.Channel, *far) {
	t.Helper()
	if !c.Negotiated {
		return p.open(t, c)
	}
	ch, err := p.call.OpenChannel(t.Context(), c)
	check(t, err)
	init, err := channelInit(c)
	check(t, err)
	dc, err := p.browser.CreateDataChannel(c.Label, init)
	check(t, err)
	return ch, newFar(dc)
}

// accept returns a channel that the browser has opened, as both ends see it.
func (p *pair) accept(t testing.TB, label string, init *webrtc.DataChannelInit) (parley.Channel, *far) {
	t.Helper()
	dc, err := p.browser.CreateDataChannel(label, init)
	check(t, err)
	f := newFar(dc)
	ch, err := p.call.AcceptChannel(soon(t))
	check(t, err)
	return ch, f
}

// soon returns a context for what takes no time.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// far is the browser's end of a channel.
type far struct {
	*webrtc.DataChannel
	opened, closed chan struct{}
	got            chan webrtc.DataChannelMessage
}

func newFar(dc *webrtc.DataChannel) *far {
	f := &far{DataChannel: dc, opened: make(chan struct{}), closed: make(chan struct{}), got: make(chan webrtc.DataChannelMessage, 1000)}
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		select {
		case f.got <- m:
		default: // in a test that reads none; pion must not be held up
		}
	})
	dc.OnOpen(func() { close(f.opened) })
	dc.OnClose(func() { close(f.closed) })
	return f
}

func await(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("not within ten seconds: %s", what)
	}
}
