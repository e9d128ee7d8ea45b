//go:build interop

package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/transport/netem"
)

// A call with GStreamer's RTP manager, through a network that takes 40 ms each
// way: both hear the tone whole, and reports tell the round trip.
func TestCallWithGStreamer(t *testing.T) {
	parallel(t)
	const delay = 40 * time.Millisecond
	port := freePort(t)
	// The far end does not know the port it would answer to before the first
	// packet, so that each direction has a relay of its own.
	there := openRelay(t, on(port), delay)
	s := openSession(t, session.Config{
		Remote: there.LocalAddr(),
		Audio:  &session.AudioConfig{RTCP: parley.RTCPConfig{Interval: 300 * time.Millisecond, Bandwidth: 400000}},
	})
	back := openRelay(t, s.LocalAddr(), delay)

	out := filepath.Join(t.TempDir(), "out.wav")
	to := back.LocalAddr().Port()
	const debian = "gstreamer1.0-tools, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad"
	gst := start(t, debian, "gst-launch-1.0", strings.Fields(fmt.Sprintf(`-e rtpbin name=b latency=200 rtpsession0::rtcp-min-interval=300000000 rtpsession0::bandwidth=50000
		audiotestsrc is-live=true wave=sine freq=%v volume=0.5 samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 !
			mulawenc ! rtppcmupay min-ptime=20000000 max-ptime=20000000 ! b.send_rtp_sink_0
		b.send_rtp_src_0 ! udpsink host=127.0.0.1 port=%d
		b.send_rtcp_src_0 ! udpsink host=127.0.0.1 port=%d sync=false async=false
		udpsrc address=127.0.0.1 port=%d caps=application/x-rtp,media=audio,encoding-name=PCMU,clock-rate=8000,payload=0 ! b.recv_rtp_sink_0
		udpsrc address=127.0.0.1 port=%d caps=application/x-rtcp ! b.recv_rtcp_sink_0
		b. ! rtppcmudepay ! mulawdec ! audioconvert ! wavenc ! filesink location=%s`,
		toneHz, to, to+1, port, port+1, out))...)
	bound(t, gst, port+1)
	heard := hear(s)
	spoken := make(chan struct{})
	go func() {
		defer close(spoken)
		sayTone(t, s, mono8k, 6*time.Second)
	}()
	var trips []time.Duration
	for done := false; !done; {
		select {
		case <-spoken:
			done = true
		case <-time.After(20 * time.Millisecond):
		}
		if a, _ := callStats(s); a.RoundTrip != 0 && (len(trips) == 0 || trips[len(trips)-1] != a.RoundTrip) {
			trips = append(trips, a.RoundTrip)
		}
	}
	eventually(t, "the relay is empty", func() bool { return there.Stats().Forward.Inside == 0 })
	a, n := callStats(s)
	if err := gst.cmd.Process.Signal(os.Interrupt); err != nil { // it completes its file, and leaves without a goodbye
		t.Fatal(err)
	}
	gst.wait(t)
	s.Close()
	sound := <-heard

	t.Logf("round trips %v", trips)
	if len(trips) < 5 {
		t.Errorf("%d round trips, want at least 5", len(trips))
	} else if m := median(trips); (m - 2*delay).Abs() > 10*time.Millisecond {
		t.Errorf("the median of %v is %v, want %v ± 10ms", trips, m, 2*delay)
	}
	// GStreamer leaves the packet that a source is first known by out of what it
	// expects, but not out of what it has received: it reports -1 lost.
	if a.Lost != 0 || a.Discarded != 0 || a.RemoteLoss != 0 || a.RemoteLost < -1 || a.RemoteLost > 0 || n.Foreign != 0 || n.Unknown != 0 || a.Malformed != 0 {
		t.Errorf("a whole call: %+v, %+v", a, n)
	}
	sound.check(t, mono8k, time.Duration(a.Received)*20*time.Millisecond, 200*time.Millisecond)
	readSound(t, out).check(t, mono8k, 6*time.Second, 40*time.Millisecond)
}

func openRelay(t *testing.T, to netip.AddrPort, delay time.Duration) *netem.Relay {
	t.Helper()
	r, err := netem.OpenRelay(netem.RelayConfig{Listen: loopback, To: to, RTCP: true, Forward: netem.Config{Delay: delay}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
