//go:build interop

package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// A clip is a way to encode pictures, and how GStreamer and SDP call it.
type clip struct {
	name    string
	codec   file.Codec
	apart   bool     // the parameter sets are only in the description of the session
	encoder []string // of FFmpeg
	gst     string   // takes it from Matroska to packets

	// has is that the frames have what the clip is for.
	has func(frames []video.Frame) bool
}

// VP8 and VP9 have hidden frames.
var clips = []clip{
	{
		name: "slices", codec: file.H264, gst: "h264parse ! rtph264pay aggregate-mode=zero-latency",
		encoder: []string{"-c:v", "libx264", "-preset", "fast", "-bf", "0", "-g", "25", "-x264-params", "slices=4:repeat-headers=1"},
		has:     func(frames []video.Frame) bool { return unitsOf(frames, payload.H264Slice) > 3*len(frames) },
	},
	{
		name: "bframes", codec: file.H264, apart: true, gst: "h264parse ! rtph264pay config-interval=-1",
		encoder: []string{"-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "25", "-x264-params", "b-adapt=0"},
		has:     func(frames []video.Frame) bool { return !slices.IsSortedFunc(frames, byTime) },
	},
	{
		name: "refresh", codec: file.H264, gst: "h264parse ! rtph264pay aggregate-mode=max-stap",
		encoder: []string{"-c:v", "libx264", "-preset", "fast", "-bf", "0", "-g", "20", "-x264-params", "intra-refresh=1:repeat-headers=1"},
		has: func(frames []video.Frame) bool {
			return unitsOf(frames, payload.H264IDR) == 1 && slices.ContainsFunc(frames[1:], func(f video.Frame) bool { return f.Key })
		},
	},
	{
		name: "vp8", codec: file.VP8, gst: "rtpvp8pay picture-id-mode=2",
		encoder: []string{"-c:v", "libvpx", "-deadline", "good", "-cpu-used", "5", "-g", "25", "-auto-alt-ref", "1", "-lag-in-frames", "16"},
	},
	{
		name: "vp9", codec: file.VP9, gst: "rtpvp9pay picture-id-mode=2",
		encoder: []string{"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "8", "-g", "25", "-auto-alt-ref", "1", "-lag-in-frames", "16"},
	},
}

func byTime(a, b video.Frame) int { return int(a.Time - b.Time) }

func unitsOf(frames []video.Frame, kind payload.H264Type) (n int) {
	for _, f := range frames {
		for u := range payload.AnnexB(f.Data) {
			if payload.H264TypeOf(u) == kind {
				n++
			}
		}
	}
	return n
}

// params describes the stream in a file.
func (c *clip) params(t *testing.T, source string) codec.Params {
	t.Helper()
	p := codec.Params{Name: string(c.codec), PayloadType: 96, ClockRate: 90000}
	if c.codec == file.H264 {
		f := payload.H264FMTP{PacketizationMode: 1}
		if c.apart {
			f.ParameterSets = slices.Collect(payload.AnnexB(config(t, source)))
		}
		p.FMTP = f.String()
	}
	return p
}

// config returns the parameter sets that a file has in its header.
func config(t *testing.T, source string) []byte {
	t.Helper()
	return open(t, source).Tracks()[0].Config
}

func open(t *testing.T, name string) file.PacketReader {
	t.Helper()
	r, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// encode returns the name of a Matroska file of moving pictures.
func (c *clip) encode(t *testing.T, size, bitrate string, frames int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), c.name+".mkv")
	ffmpeg(t, slices.Concat([]string{"-f", "lavfi", "-i", fmt.Sprintf("testsrc=s=%s:r=25,format=yuv420p", size), "-frames:v", strconv.Itoa(frames)},
		c.encoder, []string{"-threads", "1", "-b:v", bitrate, name})...)
	return name
}

const (
	needFFmpeg    = "apt install ffmpeg"
	needGStreamer = "apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)

// program returns a command that ends with the test, and after two minutes at
// the latest.
func program(t *testing.T, need, name string, args ...string) (cmd *exec.Cmd, report *bytes.Buffer) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: %s", name, need)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd, report = exec.CommandContext(ctx, path, args...), new(bytes.Buffer)
	cmd.Stderr = report
	return cmd, report
}

// ffmpeg returns what FFmpeg writes. Whatever it complains of is an error.
func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd, report := program(t, needFFmpeg, "ffmpeg", append([]string{"-nostdin", "-hide_banner", "-v", "error", "-xerror", "-y"}, args...)...)
	out, err := cmd.Output()
	if err != nil || report.Len() > 0 {
		t.Fatalf("%v: %v: %s", cmd, err, report)
	}
	return out
}

// A shown picture is when it is shown, and its hash.
type shown struct {
	at   time.Duration
	hash string
}

// decode returns the pictures of a file, the first one at 0.
func decode(t *testing.T, name string) (pictures []shown) {
	t.Helper()
	out := ffmpeg(t, "-i", name, "-map", "0:v:0", "-c:v", "rawvideo", "-enc_time_base", "1:90000", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	var first int64
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if strings.HasPrefix(line, "#") || len(fields) != 6 {
			continue
		}
		pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil {
			t.Fatalf("%s: %q", name, line)
		}
		if len(pictures) == 0 {
			first = pts
		}
		pictures = append(pictures, shown{time.Duration(pts-first) * time.Second / 90000, strings.TrimSpace(fields[5])})
	}
	return pictures
}

// samePictures compares pictures and, if asked to, when they are shown.
func samePictures(t *testing.T, got, want []shown, times bool) {
	t.Helper()
	if len(got) != len(want) || len(want) < 25 {
		t.Fatalf("%d pictures, want %d", len(got), len(want))
	}
	for i := range want {
		switch {
		case got[i].hash != want[i].hash:
			t.Fatalf("picture %d of %d is another", i, len(want))
		case times && (got[i].at-want[i].at).Abs() > 1100*time.Microsecond:
			t.Fatalf("picture %d is shown at %v, want %v", i, got[i].at, want[i].at)
		}
	}
}

// record writes frames to a file and returns its name.
func (c *clip) record(t *testing.T, frames []video.Frame, config []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "received.mkv")
	w, err := file.Create(name, file.Track{Codec: c.codec, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.WritePacket(&file.Packet{Time: f.Time, Key: f.Key, Data: f.Data}); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// listen opens the ports of RTP and RTCP.
func listen(t *testing.T) (media, control *net.UDPConn) {
	t.Helper()
	host := net.IPv4(127, 0, 0, 1)
	for range 100 {
		media, err := net.ListenUDP("udp4", &net.UDPAddr{IP: host})
		if err != nil {
			t.Fatal(err)
		}
		control, err := net.ListenUDP("udp4", &net.UDPAddr{IP: host, Port: media.LocalAddr().(*net.UDPAddr).Port + 1})
		if err != nil {
			media.Close()
			continue
		}
		t.Cleanup(func() { media.Close(); control.Close() })
		if err := media.SetReadBuffer(8 << 20); err != nil {
			t.Fatal(err)
		}
		return media, control
	}
	t.Fatal("no two ports in a row")
	return nil, nil
}

// receive returns the frames that come until the program that sends them has
// ended, and nothing has come for a while.
func receive(t *testing.T, conn *net.UDPConn, r *stream.VideoReceiver, sender *exec.Cmd) (frames []video.Frame) {
	t.Helper()
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sender.Wait() }()
	const quiet = 200 * time.Millisecond
	buf := make([]byte, 1<<16)
	var f video.Frame
	var p rtp.Packet
	for over := false; ; {
		until := time.Now().Add(quiet)
		wait := until
		if next := r.Next(); !next.IsZero() && next.Before(until) {
			wait = next
		}
		if err := conn.SetReadDeadline(wait); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		now := time.Now()
		switch {
		case err == nil:
			if err := p.Unmarshal(buf[:n]); err != nil {
				t.Fatal(err)
			}
			r.Push(now, &p)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		case over && wait == until:
			return frames
		}
		for r.Pull(now, &f) {
			frames = append(frames, f)
			f.Data = nil
		}
		select {
		case err := <-ended:
			if over = true; err != nil {
				t.Fatalf("%v: %v: %s", sender, err, sender.Stderr)
			}
		default:
		}
	}
}

// What FFmpeg and GStreamer send in real time comes out as it was.
func TestVideoFromOthers(t *testing.T) {
	for _, size := range []string{"320x240", "1280x720"} {
		bitrate := map[string]string{"320x240": "800k", "1280x720": "4M"}[size]
		for _, c := range clips {
			t.Run(size+" "+c.name, func(t *testing.T) {
				t.Parallel()
				source := c.encode(t, size, bitrate, 40)
				want := decode(t, source)
				for _, sender := range []string{"FFmpeg", "GStreamer"} {
					t.Run(sender, func(t *testing.T) {
						t.Parallel()
						c.testFrom(t, sender, source, want)
					})
				}
			})
		}
	}
}

func (c *clip) testFrom(t *testing.T, sender, source string, want []shown) {
	conn, _ := listen(t)
	r, err := stream.NewVideoReceiver(stream.VideoReceiverConfig{Codecs: []codec.Params{c.params(t, source)}})
	if err != nil {
		t.Fatal(err)
	}
	port := conn.LocalAddr().(*net.UDPAddr).Port
	description := filepath.Join(t.TempDir(), "sdp")
	var cmd *exec.Cmd
	var report *bytes.Buffer
	if sender == "FFmpeg" {
		cmd, report = program(t, needFFmpeg, "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", source, "-c", "copy", "-strict", "experimental",
			"-sdp_file", description, "-f", "rtp", "-payload_type", "96", fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", port))
	} else {
		cmd, report = program(t, needGStreamer, "gst-launch-1.0", strings.Fields(fmt.Sprintf(
			"-q filesrc location=%s ! matroskademux ! %s pt=96 mtu=1200 ! udpsink host=127.0.0.1 port=%d", source, c.gst, port))...)
	}
	frames := receive(t, conn, r, cmd)
	var s stream.VideoReceiverStats
	r.Stats(&s)
	t.Logf("%+v", s)
	if s.Lost != 0 || s.Late+s.Duplicated+s.Discarded+s.Broken+s.Skipped != 0 || r.KeyFrames().Wanted() {
		t.Errorf("%+v, wants a key frame: %v; %s", s, r.KeyFrames().Wanted(), report)
	}
	if len(frames) == 0 || !frames[0].Key || frames[0].Width == 0 && sender == "GStreamer" || c.has != nil && !c.has(frames) {
		t.Fatalf("%d frames, not of the kind that was encoded", len(frames))
	}
	var config []byte
	if sender == "FFmpeg" && c.codec == file.H264 {
		config = parameterSets(t, description)
	}
	samePictures(t, decode(t, c.record(t, frames, config)), want, true)
}

// parameterSets returns those of H.264 in the description of a session.
func parameterSets(t *testing.T, name string) (sets []byte) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "a=fmtp:96 "); ok {
			f, err := payload.ParseH264FMTP(value)
			if err != nil {
				t.Fatal(err)
			}
			for _, unit := range f.ParameterSets {
				sets = payload.AppendAnnexB(sets, unit)
			}
		}
	}
	return sets
}
