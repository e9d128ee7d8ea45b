package peer_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
)

// brief is less than the time that calls of these tests take to connect.
var brief = peer.Timeouts{Disconnected: 100 * time.Millisecond, Failed: 100 * time.Millisecond, KeepAlive: 20 * time.Millisecond}

// A browser may take its time to connect, up to the deadline for that.
func TestSlowToConnect(t *testing.T) {
	e := listen(t, &peer.Config{Timeouts: brief})
	b := newBrowser(t, opusCapability, 111, sendrecv)
	p, answer, err := e.Answer(t.Context(), b.offer(t), &peer.CallConfig{Deadlines: parley.Deadlines{Connect: 10 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	select {
	case <-p.Done():
		t.Fatal(p.Err())
	case <-time.After(time.Second):
	}
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitConnected(t.Context()); err != nil {
		t.Error(err)
	}
}

// A deaf socket does not hear the first records of DTLS.
type deaf struct {
	net.PacketConn
	unheard int
}

func (d *deaf) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		n, from, err = d.PacketConn.ReadFrom(b)
		if err != nil || n == 0 || b[0] < 20 || b[0] > 63 || d.unheard == 0 { // RFC 7983, section 7
			return n, from, err
		}
		d.unheard--
	}
}

// A far end that was not ready for the handshake when it began, or that the network
// keeps it from, is connected as soon as it hears it.
func TestHandshakeLost(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: &deaf{conn, 3}})
	t.Cleanup(func() { mux.Close() })
	e := listen(t, nil)
	b := newBrowser(t, opusCapability, 111, sendrecv, func(s *webrtc.SettingEngine) { s.SetICEUDPMux(mux) })
	p, _ := b.call(t, e, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // intervals of 1, 2 and 4 s are more
	defer cancel()
	if err := p.WaitConnected(ctx); err != nil {
		t.Error(err)
	}
}

// Who is called behind a NAT is connected when it is found there.
func TestCalledBehindNAT(t *testing.T) {
	config := &peer.Config{Codecs: []codec.Params{pcmu}}
	var took time.Duration
	for range 3 { // of which a busy machine may make some slow
		from, to := listen(t, config), listen(t, config)
		caller, offer, err := from.Offer(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer caller.Close()
		called, answer, err := to.Answer(t.Context(), offer, &peer.CallConfig{Gather: -1}) // it tells no address, and is found by what it sends
		if err != nil {
			t.Fatal(err)
		}
		defer called.Close()
		begin := time.Now()
		if err := caller.SetAnswer(t.Context(), answer); err != nil {
			t.Fatal(err)
		}
		if err := caller.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took = time.Since(begin); took < time.Second {
			return
		}
	}
	t.Errorf("connected after %v", took)
}

// One that does not connect at all has not been there.
func TestNeverConnected(t *testing.T) {
	e := listen(t, &peer.Config{Timeouts: brief})
	p, _, err := e.Answer(t.Context(), recorded(t, "chromium"), &peer.CallConfig{Deadlines: parley.Deadlines{Connect: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	<-p.Done()
	if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.NotConnected {
		t.Errorf("ended with %v", p.Err())
	}
}

// A far end that tells no address for UDP, as a browser that is kept from it, is not reached,
// and the reason says so. That of one that has told any does not.
func TestNoAddressForUDP(t *testing.T) {
	e := listen(t, nil)
	offer := func() string {
		text, _, _ := strings.Cut(newBrowser(t, opusCapability, 111, sendrecv).offer(t), "a=candidate:")
		return text
	}
	const tcp, udp = "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active", "candidate:1 1 UDP 1518280447 192.0.2.1 9 typ host"
	for _, tt := range []struct {
		name, offered, later string
		hint                 bool
	}{
		{"none", "", "", true},
		{"TCP", tcp, tcp, true},
		{"UDP", udp, "", false},
		{"UDP later", tcp, udp, false},
	} {
		text := offer()
		if tt.offered != "" {
			text += "a=" + tt.offered + "\r\n"
		}
		p, _, err := e.Answer(t.Context(), text, &peer.CallConfig{Deadlines: parley.Deadlines{Connect: 50 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if tt.later != "" {
			if err := p.AddCandidate(peer.Candidate{Candidate: tt.later}); err != nil {
				t.Fatal(err)
			}
		}
		<-p.Done()
		if got := p.Err().Error(); !strings.Contains(got, "not connected within 50ms") || strings.Contains(got, "no address for UDP") != tt.hint {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

// One that was connected is lost when it is not heard any more, also in the middle of
// an ICE restart.
func TestLost(t *testing.T) {
	for name, restart := range map[string]bool{"silently": false, "in a restart": true} {
		t.Run(name, func(t *testing.T) {
			e := listen(t, &peer.Config{Timeouts: brief})
			b := newBrowser(t, opusCapability, 111, sendrecv, func(s *webrtc.SettingEngine) { s.DisableCloseByDTLS(true) })
			p, _ := b.call(t, e, nil)
			if err := p.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			if restart {
				if _, err := p.Offer(t.Context(), &peer.OfferOptions{Restart: true}); err != nil {
					t.Fatal(err)
				}
			} else {
				b.pc.SCTP().Transport().ICETransport().Stop() //nolint:errcheck // as pulling the plug
			}
			select {
			case <-p.Done():
			case <-time.After(5 * time.Second):
				t.Fatal("the call goes on")
			}
			if end, ok := errors.AsType[*parley.EndError](p.Err()); !ok || end.Reason != parley.Disconnected {
				t.Errorf("ended with %v", p.Err())
			}
		})
	}
}
