//go:build interop

package session

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

const (
	ffmpegPackage    = "install the Debian package ffmpeg"
	gstreamerPackage = "install the Debian packages gstreamer1.0-tools, gstreamer1.0-plugins-good and gstreamer1.0-plugins-bad"
)

// program returns a command that ends with the test, and after 25 s at the latest.
func program(t *testing.T, need, name string, args ...string) (cmd *exec.Cmd, report *bytes.Buffer) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(need)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd, report = exec.CommandContext(ctx, path, args...), new(bytes.Buffer)
	cmd.Stderr = report
	return cmd, report
}

// vacant returns an address that somebody can take, with a port for RTCP.
func vacant(t *testing.T) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(local.Addr(), uint16(testport.Pair(t, local.Addr().AsSlice())))
}

// FFmpeg sends audio and video, in either order, and says how in a description.
// A session that is opened by it hears and sees all; the parameter sets of H.264
// are in the description only.
func TestDescriptionOfFFmpeg(t *testing.T) {
	pictures := []string{"-f", "lavfi", "-re", "-i", "testsrc=s=320x240:r=25,format=yuv420p"}
	sound := []string{"-f", "lavfi", "-re", "-i", "sine=440:r=8000"}
	for _, tt := range []struct {
		name    string
		encoder []string
		audio   bool
		format  string // of a file
	}{
		{"H264 alone", []string{"-c:v", "libx264", "-preset", "ultrafast", "-flags", "+global_header", "-g", "12"}, false, "h264"},
		{"H264", []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-flags", "+global_header", "-g", "12"}, true, "h264"},
		{"VP8", []string{"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "500k", "-g", "12"}, true, ""},
		{"VP9", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "12", "-strict", "experimental"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, v := vacant(t), vacant(t)
			name := filepath.Join(t.TempDir(), "of-ffmpeg.sdp")
			args := append([]string{"-nostdin", "-v", "error", "-y"}, pictures...)
			if tt.audio {
				args = append(args, sound...)
			}
			args = append(args, "-sdp_file", name, "-map", "0:v")
			args = append(append(args, tt.encoder...), "-f", "rtp", "rtp://"+v.String())
			if tt.audio {
				args = append(args, "-map", "1:a", "-c:a", "pcm_mulaw", "-f", "rtp", "rtp://"+a.String())
			}
			cmd, report := program(t, ffmpegPackage, "ffmpeg", args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Kill() //nolint:errcheck // it may have ended
				cmd.Wait()         //nolint:errcheck // killed
			}()
			var d *Description
			for begin := time.Now(); d == nil; time.Sleep(20 * time.Millisecond) {
				text, err := os.ReadFile(name)
				if err == nil {
					d, err = ParseDescription(text)
				}
				if err != nil && time.Since(begin) > patience {
					t.Fatalf("%v: %s", err, report)
				}
			}
			if d.Video == nil || d.hasAudio() != tt.audio {
				t.Fatalf("it describes %s", order(d))
			}
			c := Config{Video: &VideoConfig{Local: d.Video.Addr, Codecs: d.Video.Codecs}}
			if tt.audio {
				c.Local, c.Audio = d.Addr, &AudioConfig{Codecs: d.Codecs}
			}
			s := open(t, c)
			if tt.audio {
				s.Audio().SetReadDeadline(time.Now().Add(patience))
				var f audio.Frame
				for heard := 0; heard < 25; {
					if err := s.Audio().ReadFrame(&f); err != nil {
						t.Fatalf("after %d frames: %v", heard, err)
					}
					if f.Kind == audio.Media {
						heard++
					}
				}
			}
			s.Video().SetReadDeadline(time.Now().Add(patience))
			var seen bytes.Buffer
			const frames = 40
			for n := range frames {
				var f video.Frame
				if err := s.Video().ReadFrame(&f); err != nil {
					t.Fatalf("after %d frames: %v", n, err)
				}
				if f.Width != 320 || f.Height != 240 {
					t.Errorf("frame %d is %dx%d", n, f.Width, f.Height)
				}
				seen.Write(f.Data)
			}
			if tt.format == "" {
				return
			}
			decode, report := program(t, ffmpegPackage, "ffmpeg", "-v", "error", "-xerror", "-f", tt.format, "-i", "-", "-f", "framemd5", "-")
			decode.Stdin = &seen
			out, err := decode.Output()
			if n := bytes.Count(out, []byte("\n0, ")); err != nil || report.Len() > 0 || n != frames {
				t.Errorf("%d pictures decoded of %d: %v: %s", n, frames, err, report)
			}
		})
	}
}

// film264 returns half a second of H.264 of 25 frames per second that begins with
// its only key frame, and its parameter sets apart.
func film264(t *testing.T) (frames [][]byte, sets string) {
	t.Helper()
	cmd, report := program(t, ffmpegPackage, "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25,format=yuv420p",
		"-frames:v", "12", "-c:v", "libx264", "-profile:v", "baseline", "-preset", "fast", "-x264-params", "slices=1", "-threads", "1", "-f", "h264", "-")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, report)
	}
	var all []string
	for unit := range payload.AnnexB(out) {
		switch payload.H264TypeOf(unit) {
		case payload.H264SPS, payload.H264PPS:
			all = append(all, base64.StdEncoding.EncodeToString(unit))
		case payload.H264Slice, payload.H264IDR:
			frames = append(frames, payload.AppendAnnexB(nil, unit))
		}
	}
	if len(frames) != 12 || len(all) != 2 {
		t.Fatalf("%d frames, %d parameter sets", len(frames), len(all))
	}
	return frames, strings.Join(all, ",")
}

// Other programs open what a session describes, and see its pictures, of which the
// parameter sets are in the description only, and hear its audio.
func TestDescriptionForPrograms(t *testing.T) {
	frames, sets := film264(t)
	for _, tt := range []struct {
		name  string
		audio bool
		run   func(t *testing.T, sdp, pictures, sound string) (*exec.Cmd, *bytes.Buffer)
	}{
		{"FFmpeg", true, func(t *testing.T, sdp, pictures, sound string) (*exec.Cmd, *bytes.Buffer) {
			return program(t, ffmpegPackage, "ffmpeg", "-nostdin", "-v", "fatal", "-y", "-protocol_whitelist", "file,udp,rtp", "-i", sdp,
				"-map", "0:v", "-frames:v", "40", "-pix_fmt", "yuv420p", "-f", "rawvideo", pictures,
				"-map", "0:a", "-t", "1", "-f", "s16le", sound)
		}},
		{"FFmpeg, video alone", false, func(t *testing.T, sdp, pictures, _ string) (*exec.Cmd, *bytes.Buffer) {
			return program(t, ffmpegPackage, "ffmpeg", "-nostdin", "-v", "fatal", "-y", "-protocol_whitelist", "file,udp,rtp", "-i", sdp,
				"-map", "0:v", "-frames:v", "40", "-pix_fmt", "yuv420p", "-f", "rawvideo", pictures)
		}},
		{"GStreamer", false, func(t *testing.T, sdp, pictures, _ string) (*exec.Cmd, *bytes.Buffer) {
			return program(t, gstreamerPackage, "gst-launch-1.0", "-q", "filesrc", "location="+sdp, "!", "sdpdemux", "name=d", "d.", "!",
				"rtph264depay", "!", "h264parse", "!", "openh264dec", "!", "identity", "eos-after=41", "!", "videoconvert", "!", "video/x-raw,format=I420", "!", "filesink", "location="+pictures)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, v := vacant(t), vacant(t)
			c := Config{Local: local, Video: &VideoConfig{
				Remote: v,
				Codecs: []codec.Params{{Name: "H264", PayloadType: 96, ClockRate: 90000, FMTP: "packetization-mode=1;profile-level-id=42c00d;sprop-parameter-sets=" + sets}},
			}}
			if tt.audio {
				c.Remote, c.Audio = a, &AudioConfig{}
			}
			s := open(t, c)
			d, err := s.Describe()
			if err != nil {
				t.Fatal(err)
			}
			// What they need is where they are to receive.
			if d.Video.Addr = v; tt.audio {
				d.Addr, d.Codecs = a, d.Codecs[:1] // of several formats FFmpeg takes the last
			}
			dir := t.TempDir()
			sdp, pictures, sound := filepath.Join(dir, "ours.sdp"), filepath.Join(dir, "pictures"), filepath.Join(dir, "sound")
			if err := os.WriteFile(sdp, []byte(marshal(t, d)), 0o666); err != nil {
				t.Fatal(err)
			}
			cmd, report := tt.run(t, sdp, pictures, sound)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			stop := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if tt.audio {
						for range 2 {
							s.Audio().WriteFrame(tone(1000)) //nolint:errcheck // it ends with the test
						}
					}
					f := video.Frame{Data: frames[n%12], Key: n%12 == 0, Time: time.Duration(n) * 40 * time.Millisecond}
					if err := s.Video().WriteFrame(&f); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			if err := <-ended; err != nil {
				t.Errorf("%v: %s", err, report)
			}
			close(stop)
			<-stopped
			out, err := os.ReadFile(pictures)
			if err != nil {
				t.Fatal(err)
			}
			const size = 320 * 240 * 3 / 2
			if n := len(out) / size; n != 40 || len(out)%size != 0 {
				t.Fatalf("%d bytes, want 40 pictures", len(out))
			}
			for n := range 40 {
				if p := out[n*size:]; p[0] == p[100] && p[100] == p[200] { // bars of the test pattern
					t.Errorf("picture %d has no pattern: %x", n, p[:8])
				}
			}
			if tt.audio {
				pcm, err := os.ReadFile(sound)
				if err != nil || len(pcm) < 8000 {
					t.Errorf("%d bytes of sound, %v", len(pcm), err)
				}
			}
		})
	}
}
