package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/peer"
)

// onLoopback is true of the interface by which this machine reaches itself.
func onLoopback(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagLoopback != 0
}

// offLoopback is true of the others.
func offLoopback(name string) bool { return !onLoopback(name) }

// addresses returns those of the interfaces that are up and pass.
func addresses(t *testing.T, pass func(name string) bool) (all []netip.Addr) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		list, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil && i.Flags&net.FlagUp != 0 && pass(i.Name) {
				all = append(all, p.Addr())
			}
		}
	}
	return all
}

// candidates returns those in a description.
func candidates(t *testing.T, description string) (all []ice.Candidate) {
	t.Helper()
	for l := range strings.Lines(description) {
		value, ok := strings.CutPrefix(strings.TrimSpace(l), "a=candidate:")
		if !ok {
			continue
		}
		c, err := ice.UnmarshalCandidate(value)
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		all = append(all, c)
	}
	return all
}

// trickled returns the candidates that come after a description, until the last.
func trickled(t *testing.T, p *peer.Peer) string {
	t.Helper()
	var all strings.Builder
	for {
		found, err := p.ReadCandidate(t.Context())
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("a=" + found.Candidate + "\r\n")
	}
}

// A call tells the addresses that the endpoint was told to use, and no others,
// in its answer, in its offer, and after either.
func TestAddressesAsConfigured(t *testing.T) {
	public, public6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	const from, to = 41200, 41299
	all := func(string) bool { return true }
	tests := []struct {
		name   string
		config peer.Config
	}{
		{"all", peer.Config{}},
		{"loopback", peer.Config{Interface: onLoopback}},
		{"not loopback", peer.Config{Interface: offLoopback}},
		{"range", peer.Config{PortMin: from, PortMax: to}},
		{"range on loopback", peer.Config{PortMin: from, PortMax: to, Interface: onLoopback}},
		{"range not on loopback", peer.Config{PortMin: from, PortMax: to, Interface: offLoopback}},
		{"public", peer.Config{PublicIP: public}},
		{"public on loopback", peer.Config{PublicIP: public, Interface: onLoopback}},
		{"public in a range", peer.Config{PublicIP: public, PortMin: from, PortMax: to}},
	}
	if slices.ContainsFunc(addresses(t, offLoopback), func(a netip.Addr) bool { return a.Is6() && !a.IsLinkLocalUnicast() }) {
		tests = append(tests, struct {
			name   string
			config peer.Config
		}{"public IPv6", peer.Config{PublicIP: public6}})
	}
	offer, err := os.ReadFile("testdata/offer-chromium.sdp")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pass := tt.config.Interface
			if pass == nil {
				pass = all
			}
			allowed := addresses(t, pass)
			e := listen(t, &tt.config)
			check := func(what, lines string) {
				t.Helper()
				found := candidates(t, lines)
				if len(found) == 0 && len(allowed) > 0 {
					t.Errorf("%s: no candidate", what)
				}
				for _, c := range found {
					address, err := netip.ParseAddr(c.Address())
					if err != nil || c.Type() != ice.CandidateTypeHost || !c.NetworkType().IsUDP() {
						t.Errorf("%s: %v, %v", what, c, err)
					}
					mapped := tt.config.PublicIP
					abroad := address.Is4() != mapped.Is4() && address.IsGlobalUnicast() && !address.IsPrivate()
					switch own := slices.ContainsFunc(allowed, func(a netip.Addr) bool { return a.WithZone("") == address }); {
					case mapped.IsValid() && !abroad && address != mapped:
						t.Errorf("%s: %v is not %v", what, c, mapped)
					case address != mapped && !own:
						t.Errorf("%s: %v is not of %v", what, c, allowed)
					}
					if port := c.Port(); e.Port() != 0 && port != e.Port() || e.Port() == 0 && (port < from || port > to) {
						t.Errorf("%s: port %d", what, port)
					}
				}
			}
			for gather, when := range map[time.Duration]string{0: "in", -1: "after"} {
				c := &peer.CallConfig{Gather: gather}
				answered, answer, err := e.Answer(t.Context(), string(offer), c)
				if err != nil {
					t.Fatal(err)
				}
				defer answered.Close()
				offered, offer, err := e.Offer(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				defer offered.Close()
				if gather < 0 {
					if line(answer+offer, "a=candidate:") != "" {
						t.Error("candidates before they were asked for")
					}
					answer, offer = trickled(t, answered), trickled(t, offered)
				}
				check(when+" the answer", answer)
				check(when+" the offer", offer)
			}
		})
	}
}

// A NAT may lead from PublicIP to any of the addresses in whose place it is told.
func TestPublicAddressLeadsAnywhere(t *testing.T) {
	public := netip.MustParseAddr("198.51.100.7")
	e := listen(t, &peer.Config{PublicIP: public})
	for _, own := range addresses(t, func(string) bool { return true }) {
		if !own.Is4() {
			continue
		}
		b := newBrowser(t, pcmuCapability, 0, webrtc.RTPTransceiverDirectionSendrecv)
		offer, _, _ := strings.Cut(b.offer(t), "a=candidate:") // it has to be reached, and cannot reach
		p, answer, err := e.Answer(t.Context(), offer, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if n := strings.Count(answer, "a=candidate:") / 2; n != 1 { // of RTP and RTCP
			t.Errorf("%d addresses: %s", n, answer)
		}
		answer = strings.ReplaceAll(answer, public.String(), own.String())
		if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := p.WaitConnected(ctx); err != nil {
			t.Errorf("at %v: %v", own, err)
		}
	}
}

// Who is elsewhere does not try first what leads to loopback.
func TestLoopbackComesLast(t *testing.T) {
	e := listen(t, nil)
	for name, gather := range map[string]time.Duration{"in": 0, "after": -1} {
		p, offer, err := e.Offer(t.Context(), &peer.CallConfig{Gather: gather})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if gather < 0 {
			offer = trickled(t, p)
		}
		for _, c := range candidates(t, offer) {
			address := netip.MustParseAddr(c.Address())
			if last := c.Priority() < 126<<24|1<<16; last != address.IsLoopback() {
				t.Errorf("%s the offer: %v has priority %d", name, address, c.Priority())
			}
		}
	}
}

// The address of a line is one where this end is reached, as far as there is any in the
// description: without one, media proxies hold the line, and telephones do without ICE.
func TestLinesHaveAddresses(t *testing.T) {
	public := netip.MustParseAddr("198.51.100.7")
	for name, tt := range map[string]struct {
		config peer.Config
		call   peer.CallConfig
		at     string
	}{
		"public":   {peer.Config{PublicIP: public}, peer.CallConfig{}, "IP4 198.51.100.7"},
		"loopback": {peer.Config{Interface: onLoopback}, peer.CallConfig{}, "IP4 127.0.0.1"},
		"later":    {peer.Config{}, peer.CallConfig{Gather: -1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := listen(t, &tt.config)
			p, offer, err := e.Offer(t.Context(), &tt.call)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			called, answer, err := e.Answer(t.Context(), offer, &tt.call)
			if err != nil {
				t.Fatal(err)
			}
			defer called.Close()
			m, c := fmt.Sprintf("m=audio %d UDP/", e.Port()), "c=IN "+tt.at
			if tt.at == "" {
				m, c = "m=audio 9 UDP/", "c=IN IP4 0.0.0.0"
			}
			for _, d := range []string{offer, answer} {
				if !strings.HasPrefix(line(d, "m=audio"), m) || line(d, "c=") != c {
					t.Errorf("no %q and %q in\n%s", m, c, d)
				}
			}
		})
	}
}

// An endpoint that nobody else can reach says so, since it will not find more addresses.
func TestLoopbackOnly(t *testing.T) {
	for _, tt := range []struct {
		pass func(string) bool
		want bool
	}{{onLoopback, true}, {nil, len(addresses(t, offLoopback)) == 0}} {
		var text strings.Builder
		listen(t, &peer.Config{Interface: tt.pass, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		if got := strings.Contains(text.String(), "only this machine"); got != tt.want {
			t.Errorf("said: %v, want %v: %s", got, tt.want, text.String())
		}
	}
}
