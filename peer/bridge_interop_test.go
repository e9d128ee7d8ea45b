//go:build interop

package peer_test

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/bridge"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/session"
)

// A telephone with PCMU and a browser are joined, and hear each other: through a
// decoder and an encoder if the browser speaks Opus, packet by packet if not.
func TestBridgeChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	for _, codec := range []string{"opus", "PCMU"} {
		tries(t, codec, func(t *testing.T) error { return bridges(t, p, e, codec) })
	}
}

func bridges(t *testing.T, p *page, e *peer.Endpoint, codec string) error {
	const theirs, ours = 440, 660
	p.do(t, "start")
	defer p.do(t, "stop")
	p.do(t, "microphone", theirs, codec)
	browser := p.call(t, e, nil)
	defer browser.Close()

	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	near, err := session.Open(t.Context(), &session.Config{Local: loopback})
	if err != nil {
		return err
	}
	defer near.Close()
	telephone, err := session.Open(t.Context(), &session.Config{Local: loopback, Remote: near.LocalAddr()})
	if err != nil {
		return err
	}
	defer telephone.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := bridge.New(near.Call, browser.Call, nil)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	go sings(telephone.Call, ours)

	if err := listensFor(telephone.Call, theirs); err != nil {
		return err
	}
	p.do(t, "hears", browser.Audio().Mid(), ours)
	var s bridge.Stats
	b.Stats(&s)
	if coded := codec == "PCMU"; s.AToBCoded != coded || s.BToACoded != coded {
		return fmt.Errorf("coded: %v to the browser, %v from it", s.AToBCoded, s.BToACoded)
	}
	telephone.Close()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the bridge goes on after a goodbye: %+v", s.A)
	}
}

// sings writes a tone until the call ends.
func sings(c *parley.Call, hz float64) {
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for n := 0; ; {
		for i := range f.Samples {
			f.Samples[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(n)/8000))
			n++
		}
		if c.Audio().WriteFrame(&f) != nil {
			return
		}
	}
}

// listensFor returns when a tone is heard for half a second, and nothing else, within
// 20 s of sound.
func listensFor(c *parley.Call, hz float64) error {
	var f audio.Frame
	var heard []int16
	best := math.Inf(-1)
	for range 1000 {
		if err := c.Audio().ReadFrame(&f); err != nil {
			return err
		}
		if heard = append(heard, f.Samples...); len(heard) < f.Format.Rate/2 {
			continue
		}
		tone := power(heard, f.Format.Rate, hz)
		if all := decibels(heard) + 3; tone > -40 && all-tone < 1 { // a sine has half the power of its peak
			return nil
		}
		best, heard = max(best, tone), heard[:0]
	}
	return fmt.Errorf("at most %.0f dB of %v Hz", best, hz)
}
