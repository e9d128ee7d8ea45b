//go:build interop

package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-media/parley/bridge"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/session"
)

// ffmpeg sends PCMU to one end, and GStreamer hears at the other one each sample of
// it.
func TestFFmpegToGStreamer(t *testing.T) {
	var want []byte
	for i := range 3 * 8000 {
		want = g711.AppendMuLaw(want, []int16{int16(12000 * math.Sin(2*math.Pi*440*float64(i)/8000))})
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.ul"), filepath.Join(dir, "out.ul")
	if err := os.WriteFile(in, want, 0o600); err != nil {
		t.Fatal(err)
	}
	port := testport.Pair(t, net.IPv4(127, 0, 0, 1))
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	x, err := session.Open(t.Context(), &session.Config{Local: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := session.Open(t.Context(), &session.Config{Local: loopback, Remote: netip.AddrPortFrom(loopback.Addr(), uint16(port))})
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- bridge.Join(ctx, x.Call, y.Call, nil) }()

	hears := program(t, "gstreamer1.0-tools", "gst-launch-1.0", "-q", "-e",
		"udpsrc", fmt.Sprintf("port=%d", port), "caps=application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0",
		"!", "rtpjitterbuffer", "latency=400", "!", "rtppcmudepay", "!", "filesink", "buffer-mode=2", "location="+out)
	if err := hears.Start(); err != nil {
		t.Fatal(err)
	}
	defer hears.Wait()                       //nolint:errcheck // it is interrupted
	defer hears.Process.Signal(os.Interrupt) //nolint:errcheck // likewise
	bound(t, port)
	sends := program(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "mulaw", "-ar", "8000", "-ac", "1", "-i", in,
		"-c:a", "copy", "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d", x.LocalAddr().Port()))
	if err := sends.Run(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for range 100 {
		if got, err = os.ReadFile(out); err == nil && len(got) >= len(want) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil && err != context.Canceled {
		t.Errorf("joined until %v", err)
	}
	if !bytes.Equal(got, want) {
		same := 0
		for same < min(len(got), len(want)) && got[same] == want[same] {
			same++
		}
		t.Errorf("%d bytes heard, %d of them as sent, of %d", len(got), same, len(want))
	}
}

// bound waits until somebody listens on a port: GStreamer does not say so.
func bound(t *testing.T, port int) {
	t.Helper()
	for range 200 {
		if testport.Open(port) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nobody listens")
}

func program(t *testing.T, debian, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("install the Debian package %s: %v", debian, err)
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Stderr = t.Output()
	return c
}
