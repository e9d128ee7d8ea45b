//go:build interop

package peer_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/transport/netem"
)

// A call whose way to the server is gone goes on over another one, once ICE has
// been restarted.
func TestMovedChromium(t *testing.T) {
	t.Parallel()
	p := open(t, headless.Chromium)
	e := listen(t, &peer.Config{Timeouts: peer.Timeouts{Failed: 20 * time.Second}}) // however slow the machine is
	tries(t, "relay", func(t *testing.T) error { return moved(t, p, e) })
}

// way is a relay to the endpoint on a port of its own.
func way(t *testing.T, e *peer.Endpoint) *netem.Relay {
	t.Helper()
	ip, _ := netip.AddrFromSlice(outside(t))
	r, err := netem.OpenRelay(netem.RelayConfig{Listen: netip.AddrPortFrom(ip, 0), To: netip.AddrPortFrom(ip, uint16(e.Port()))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// only returns a description whose one candidate is a, or that has none.
func only(description string, a netip.AddrPort) string {
	var kept strings.Builder
	told := !a.IsValid()
	for l := range strings.Lines(description) {
		switch {
		case !strings.HasPrefix(l, "a=candidate:"):
			kept.WriteString(l)
		case !told:
			told = true
			fmt.Fprintf(&kept, "a=candidate:1 1 udp 2130706431 %v %d typ host\r\n", a.Addr(), a.Port())
		}
	}
	return kept.String()
}

// over exchanges an offer of the page over a way, which neither end can leave.
func (p *page) over(t *testing.T, r *netem.Relay, answer func(offer string) (string, error)) {
	t.Helper()
	text, err := answer(only(p.do(t, "offer", p.patience()), netip.AddrPort{}))
	if err != nil {
		t.Fatal(err)
	}
	p.do(t, "accept", only(text, r.LocalAddr()))
}

func moved(t *testing.T, p *page, e *peer.Endpoint) error {
	p.do(t, "start")
	p.do(t, "tone", 440)
	first := way(t, e)
	var far *peer.Peer
	p.over(t, first, func(offer string) (answer string, err error) {
		far, answer, err = e.Answer(t.Context(), offer, nil)
		return answer, err
	})
	defer far.Close()
	p.connect(t, far)
	serve(t, far.Call, parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error { return parley.Copy(ctx, c, c) })) // leaves the events to us
	mid := far.Audio().Mid()
	p.do(t, "hears", mid, 440)
	pair, err := far.Connection().SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair.Remote.Typ.String() != "prflx" {
		t.Errorf("connected by %v, %v", pair, err)
	}
	used := first.Stats()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	happened(t, far, parley.Unreachable, 15*time.Second)
	doubted := time.Since(gone)
	p.do(t, "gap", mid)
	second := way(t, e)
	begin := time.Now()
	p.do(t, "pc.restartIce.bind(pc)")
	p.over(t, second, func(offer string) (string, error) { return far.Answer(t.Context(), offer) })
	happened(t, far, parley.Reconnected, 20*time.Second)
	p.do(t, "hears", mid, 440, 20000)
	took := time.Since(begin)
	p.do(t, "sleep", 500)
	t.Logf("in doubt after %v, heard again %v after the restart; %+v, then %+v", doubted, took, used.Forward, second.Stats().Forward)
	p.do(t, "stop")
	if took > 8*time.Second {
		return fmt.Errorf("heard again after %v", took)
	}
	return nil
}
