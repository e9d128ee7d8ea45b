//go:build interop

package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	headless "github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/transport/netem"
	"github.com/parley-media/parley/video"
)

// lossy is a way to the endpoint that takes 5 ms each way and loses a part of what
// is sent.
func lossy(t *testing.T, e *peer.Endpoint, rate float64, seed uint64) *netem.Relay {
	t.Helper()
	ip, _ := netip.AddrFromSlice(outside(t))
	const delay = 5 * time.Millisecond
	r, err := netem.OpenRelay(netem.RelayConfig{
		Listen:  netip.AddrPortFrom(ip, 0),
		To:      netip.AddrPortFrom(ip, uint16(e.Port())),
		Forward: netem.Config{Seed: seed, Delay: delay, Loss: netem.Loss{Rate: rate}},
		Back:    netem.Config{Seed: seed + 1, Delay: delay, Loss: netem.Loss{Rate: rate}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A viewing is what was read of a video.
type viewing struct {
	mu     sync.Mutex
	frames int
	frozen time.Duration // media time without a picture, as far as it is more than usual
	span   time.Duration // media time from the first to the last
}

// view reads until the call ends. A pause counts as frozen if pictures were left out
// and it is 150 ms longer than one of 20 pictures a second is.
func (w *viewing) view(_ context.Context, c *parley.Call) error {
	var f video.Frame
	var first, last time.Duration
	var left int64
	for {
		if err := c.Video().ReadFrame(&f); err != nil {
			return err
		}
		var s parley.VideoStats
		c.Video().Stats(&s)
		w.mu.Lock()
		if w.frames == 0 {
			first = f.Time
		} else if pause := f.Time - last; pause > 200*time.Millisecond && s.Broken+s.Skipped > left {
			w.frozen += pause
		}
		last, left = f.Time, s.Broken+s.Skipped
		w.frames++
		w.span = last - first
		w.mu.Unlock()
	}
}

// What the network loses of a camera's pictures comes again, in a stream of its own,
// in which the page looks for bandwidth too: hardly a picture is missed.
func TestRepairChromium(t *testing.T) {
	t.Parallel()
	p, e := open(t, headless.Chromium), listen(t, nil)
	tries(t, "camera", func(t *testing.T) error { return repaired(t, p, e, 0.03, 10*time.Second) })
}

func repaired(t *testing.T, p *page, e *peer.Endpoint, rate float64, span time.Duration) error {
	p.do(t, "start")
	p.console.Must(t, 30*time.Second, `(async () => {
		const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
		pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream] });
		return '';
	})()`)
	r := lossy(t, e, rate, 5)
	var far *peer.Peer
	p.over(t, r, func(offer string) (answer string, err error) {
		far, answer, err = e.Answer(t.Context(), offer, nil)
		if offered, answered := strings.Count(offer, " rtx/90000"), strings.Count(answer, " rtx/90000"); offered == 0 || answered == 0 {
			t.Errorf("%d repair formats offered, %d answered", offered, answered)
		}
		return answer, err
	})
	defer far.Close()
	p.connect(t, far)
	var w viewing
	serve(t, far.Call, parley.HandlerFunc(w.view))
	eventually(t, span+30*time.Second, "pictures", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.span > span
	})
	var s parley.VideoStats
	far.Video().Stats(&s)
	var told struct {
		Again int     // packets in the stream for repair, which were sent before
		Trip  float64 // to the server and back, in the mean, in seconds
	}
	text := p.console.Must(t, 30*time.Second, `(async () => {
		let again = 0, trip = 0;
		for (const s of (await pc.getStats()).values()) {
			if (s.type === 'outbound-rtp' && s.rtxSsrc) again += s.retransmittedPacketsSent;
			if (s.type === 'candidate-pair' && s.nominated) trip = s.totalRoundTripTime / s.responsesReceived;
		}
		return JSON.stringify({ again, trip });
	})()`)
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		t.Fatal(err)
	}
	p.do(t, "stop")
	way := r.Stats().Forward
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d pictures in %v, frozen %v; of %d packets %d lost, %d asked for, %d sent again; %d came, %d never, %d late, %d twice; %d broken, %d skipped, %d key frames, asked for %d; %.0f ms there and back",
		w.frames, w.span, w.frozen, way.In, way.Lost, s.Requested, told.Again, s.Received, s.Lost, s.Late, s.Duplicated, s.Broken, s.Skipped, s.KeyFrames, s.KeyframesAsked, 1000*told.Trip)
	if s.Requested == 0 || told.Again == 0 || s.Duplicated > 3 {
		t.Errorf("%d packets asked for, %d sent again, %d twice", s.Requested, told.Again, s.Duplicated)
	}
	// What takes longer than that is held up by the machine, and nothing can be said.
	if told.Trip > 0.05 {
		return nil
	}
	var failed []error
	if s.Late > 5 || s.Lost > 3 {
		failed = append(failed, fmt.Errorf("%d packets late, %d never", s.Late, s.Lost))
	}
	if most := span/30 + time.Duration(s.Late)*500*time.Millisecond; w.frozen > most {
		failed = append(failed, fmt.Errorf("frozen for %v of %v, want at most %v", w.frozen, w.span, most))
	}
	if most := 3 + 2*s.Late; s.KeyframesAsked > most {
		failed = append(failed, fmt.Errorf("%d key frames asked for, want at most %d", s.KeyframesAsked, most))
	}
	return errors.Join(failed...)
}
