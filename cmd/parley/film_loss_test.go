package main

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/transport/netem"
)

// With --nack at both ends a network that loses packets takes little of a film.
// Either way the recording has whole frames only, and goes on at a key frame.
func TestFilmsWithLoss(t *testing.T) {
	const d = 2400 * ms
	want := film(d, vp8Frame)
	for _, nack := range []bool{true, false} {
		name := "without --nack"
		if nack {
			name = "with --nack"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := writeFilm(t, "a.ivf", []file.Track{{Codec: file.VP8}}, want)
			out := filepath.Join(t.TempDir(), "o.ivf")
			recv := []string{"recv", "--listen", "127.0.0.1:0", "--codec", "vp8", "--out", out}
			if nack {
				recv = append(recv, "--nack")
			}
			far := begin(recv...)
			to := netip.MustParseAddrPort(far.until(t, "listening").Address)
			relay, err := netem.OpenRelay(netem.RelayConfig{
				Listen: netip.MustParseAddrPort("127.0.0.1:0"), To: to, RTCP: true,
				Forward: netem.Config{Seed: 1, Delay: 5 * time.Millisecond, Loss: netem.Loss{Rate: 0.1}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer relay.Close()
			send := []string{"send", in, "--to", relay.LocalAddr().String()}
			if nack {
				send = append(send, "--nack")
			}
			near := begin(send...)
			sent := videoSaid(t, near.drain(t, statusDone))
			heard := videoSaid(t, far.drain(t, statusDone))
			_, got := readFilm(t, out)
			t.Logf("%d of %d frames; %d packets sent again, %d asked for, %d key frames asked for", len(got[0]), len(want), sent.PacketsAgain, heard.PacketsAsked, heard.KeyFramesAsked)
			frames := map[string]bool{}
			for _, p := range want {
				frames[string(p.Data)] = true
			}
			for i, p := range got[0] {
				if !frames[string(p.Data)] {
					t.Fatalf("frame %d was not sent: %.40q", i, p.Data)
				}
			}
			switch {
			case nack && (sent.PacketsAgain == 0 || heard.PacketsAsked == 0):
				t.Errorf("nothing was sent again: %+v, %+v", sent, heard)
			case nack && len(got[0]) < len(want)*2/3: // the first key frame may be cut off, which nobody can know
				t.Errorf("%d of %d frames", len(got[0]), len(want))
			case !nack && (heard.FramesLost == 0 || heard.KeyFramesAsked == 0 || sent.KeyFramesWanted == 0 || len(got[0]) == len(want)):
				t.Errorf("nothing was missed: %+v, %+v", sent, heard)
			case !nack && sent.PacketsAgain != 0:
				t.Errorf("%d packets were sent again", sent.PacketsAgain)
			}
		})
	}
}
