//go:build interop

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is written of a film is what another parley, and ffmpeg, receive it by.
func TestFilmSDP(t *testing.T) {
	for _, c := range []struct {
		name, codec, in string
		flags           []string
	}{
		{"H.264 and Opus", "h264", "a.mkv", []string{"-c:a", "libopus"}},
		{"VP8 alone", "vp8", "a.webm", []string{"-an"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			dir := t.TempDir()
			in := filepath.Join(dir, c.in)
			ffmpeg(t, slices.Concat([]string{
				"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x240:rate=25:d=%v", length.Seconds()),
				"-f", "lavfi", "-i", fmt.Sprintf("sine=d=%v", length.Seconds()),
			}, encoders[c.codec], c.flags, []string{in})...)
			for _, by := range []string{"parley", "ffmpeg"} {
				port, sdp, out := freePort(t), filepath.Join(dir, by+".sdp"), filepath.Join(dir, by+".mkv")
				send := spawn(t, "send", in, "--to", fmt.Sprintf("127.0.0.1:%d", port), "--write-sdp", sdp, "--start-after", "4s")
				send.until(t, "listening")
				var end func() []string
				if by == "parley" {
					recv := spawn(t, "recv", "--sdp", sdp, "--out", out)
					recv.until(t, "listening")
					end = func() []string {
						if v := videoSaid(t, recv.drain(t, statusDone)); v.FramesLost != 0 || v.PacketsLost != 0 {
							t.Errorf("%d frames and %d packets lost", v.FramesLost, v.PacketsLost)
						}
						return hashes(t, out)
					}
				} else {
					out = filepath.Join(dir, "md5")
					p := start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp",
						"-i", sdp, "-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", out)
					bound(t, p, port)
					end = func() []string {
						p.wait(t)
						text, err := os.ReadFile(out)
						if err != nil {
							t.Fatal(err)
						}
						return listed(text)
					}
				}
				send.drain(t, statusDone)
				sameHashes(t, end(), hashes(t, in))
			}
		})
	}
}

// ffmpeg describes the audio and the video of a film.
func TestFFmpegFilmSDPToRecv(t *testing.T) {
	parallel(t)
	in := encoded(t, "vp8", "a.webm", length)
	dir := t.TempDir()
	sdp, out := filepath.Join(dir, "call.sdp"), filepath.Join(dir, "out.mkv")
	port := freePort(t)
	send := func(more ...string) *process {
		return start(t, "ffmpeg", "ffmpeg", slices.Concat([]string{
			"-nostdin", "-v", "error", "-re", "-i", in,
			"-re", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:r=48000:d=%v", length.Seconds()),
		}, more, []string{
			"-map", "0:v", "-c:v", "copy", "-f", "rtp", "-rtpflags", "send_bye", fmt.Sprintf("rtp://127.0.0.1:%d", port+2),
			"-map", "1:a", "-c:a", "libopus", "-f", "rtp", "-rtpflags", "send_bye", fmt.Sprintf("rtp://127.0.0.1:%d", port),
		})...)
	}
	send("-sdp_file", sdp).wait(t) // for its description
	text, err := os.ReadFile(sdp)
	if err != nil || strings.Count(string(text), "m=") != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	recv := spawn(t, "recv", "--sdp", sdp, "--out", out)
	recv.until(t, "listening")
	p := send()
	e := recv.drain(t, statusDone)
	p.wait(t)
	if v := videoSaid(t, e); e.Reason != "bye" || v.FramesLost != 0 || e.PacketsLost != 0 {
		t.Errorf("recv ends with %s", e.line)
	}
	sameHashes(t, hashes(t, out), hashes(t, in))
}
