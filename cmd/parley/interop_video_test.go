//go:build interop

package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const gstreamer = "gstreamer1.0-tools, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad, gstreamer1.0-plugins-ugly"

// printed returns what a program of a Debian package prints.
func printed(t *testing.T, debian, name string, args ...string) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q (Debian package %s): %v\n%s", cmd.Args, debian, err, &stderr)
	}
	return out
}

func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	return printed(t, "ffmpeg", "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
}

// encoders are ffmpeg's arguments for codecs of video, without B-frames.
var encoders = map[string][]string{
	"h264": {"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-x264-params", "repeat-headers=1", "-pix_fmt", "yuv420p"},
	"vp8":  {"-c:v", "libvpx", "-deadline", "realtime", "-g", "25", "-b:v", "800k", "-auto-alt-ref", "0"},
	"vp9":  {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-b:v", "800k"},
}

// encoded makes a file of moving pictures.
func encoded(t *testing.T, codec, name string, d time.Duration) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	ffmpeg(t, slices.Concat([]string{"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x240:rate=25:d=%v", d.Seconds())}, encoders[codec], []string{name})...)
	return name
}

// hashes returns those of the decoded pictures of a file.
func hashes(t *testing.T, name string) []string {
	t.Helper()
	return listed(ffmpeg(t, "-i", name, "-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", "-"))
}

// listed returns the hashes in what ffmpeg has written.
func listed(text []byte) (all []string) {
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Split(strings.TrimSpace(line), ",")
			all = append(all, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return all
}

func sameHashes(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d pictures, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("picture %d of %d is another one", i, len(got))
		}
	}
}

func TestFFmpegVideoToRecv(t *testing.T) {
	for _, c := range []struct{ codec, in, out string }{
		{"h264", "a.h264", "o.mp4"},
		{"h264", "a.h264", "o.h264"},
		{"vp8", "a.ivf", "o.ivf"},
		{"vp9", "a.ivf", "o.webm"},
	} {
		t.Run(c.codec+" "+c.out, func(t *testing.T) {
			parallel(t)
			in, out := encoded(t, c.codec, c.in, length), filepath.Join(t.TempDir(), c.out)
			recv := spawn(t, "recv", "--listen", "127.0.0.1:0", "--codec", c.codec, "--out", out)
			// Its packets of VP9 are a draft's.
			send := start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", in, "-c", "copy", "-strict", "experimental",
				"-f", "rtp", "-rtpflags", "send_bye", "rtp://"+recv.until(t, "listening").Address)
			recv.until(t, "started")
			send.wait(t)
			e := recv.end(t)
			if v := videoSaid(t, e); e.Reason != "bye" || v.PacketsLost != 0 || v.FramesLost != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			sameHashes(t, hashes(t, out), hashes(t, in))
		})
	}
}

// described writes a session description of video.
func describedVideo(t *testing.T, codec string, port int) string {
	t.Helper()
	p, err := videoParams(codec, -1)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video %d RTP/AVP %d\r\na=rtpmap:%d %v\r\n",
		port, p.PayloadType, p.PayloadType, p)
	if p.FMTP != "" {
		text += fmt.Sprintf("a=fmtp:%d %s\r\n", p.PayloadType, p.FMTP)
	}
	name := filepath.Join(t.TempDir(), "video.sdp")
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSendVideoToFFmpeg(t *testing.T) {
	for _, c := range []struct{ codec, in string }{{"h264", "a.h264"}, {"h264", "a.mp4"}, {"vp8", "a.webm"}, {"vp9", "a.ivf"}} {
		t.Run(c.codec+" "+c.in, func(t *testing.T) {
			parallel(t)
			in, out, port := encoded(t, c.codec, c.in, length), filepath.Join(t.TempDir(), "o.md5"), freePort(t)
			player := start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp",
				"-i", describedVideo(t, c.codec, port), "-vsync", "passthrough", "-f", "framemd5", out)
			bound(t, player, port)
			send := spawn(t, "send", in, "--to", fmt.Sprintf("127.0.0.1:%d", port))
			if e := send.drain(t, statusDone); e.Reason != "sent" {
				t.Errorf("send ends with %s", e.line)
			}
			player.wait(t) // it ends by itself with our goodbye
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			sameHashes(t, listed(text), hashes(t, in))
		})
	}
}

func TestSendVideoToGStreamer(t *testing.T) {
	for _, c := range []struct{ codec, in, depay string }{
		{"h264", "a.h264", "rtph264depay ! h264parse"},
		{"vp8", "a.webm", "rtpvp8depay"},
		{"vp9", "a.webm", "rtpvp9depay"},
	} {
		t.Run(c.codec, func(t *testing.T) {
			parallel(t)
			in, out, port := encoded(t, c.codec, c.in, length), filepath.Join(t.TempDir(), "o.mkv"), freePort(t)
			caps := fmt.Sprintf("application/x-rtp,media=video,clock-rate=90000,encoding-name=%s,payload=96", strings.ToUpper(c.codec))
			gst := start(t, gstreamer, "gst-launch-1.0", strings.Fields(fmt.Sprintf(
				"-q -e udpsrc address=127.0.0.1 port=%d buffer-size=1000000 caps=%s ! rtpjitterbuffer latency=200 ! %s ! matroskamux ! filesink location=%s",
				port, caps, c.depay, out))...)
			bound(t, gst, port)
			send := spawn(t, "send", in, "--to", fmt.Sprintf("127.0.0.1:%d", port))
			send.drain(t, statusDone)
			time.Sleep(500 * ms) // its buffer
			if err := gst.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			gst.wait(t)
			sameHashes(t, hashes(t, out), hashes(t, in))
		})
	}
}

// Sound that no call takes is decoded by ffmpeg.
func TestSendOtherSound(t *testing.T) {
	parallel(t)
	dir := t.TempDir()
	for name, coded := range map[string][]string{
		"a.mp4": {"-c:a", "aac", "-ac", "6"}, "a.mkv": {"-c:a", "aac"}, "b.mkv": {"-c:a", "libvorbis"},
		"a.mp3": nil, "a.flac": nil, "a.oga": {"-c:a", "libvorbis"},
	} {
		name = filepath.Join(dir, name)
		film, codec, out := []string{"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:d=1"}, "pcmu,h264", filepath.Join(dir, "o.mkv")
		if ext := filepath.Ext(name); ext != ".mp4" && ext != ".mkv" {
			film, codec = nil, "pcmu"
		} else {
			coded = append(coded, encoders["h264"]...)
		}
		ffmpeg(t, slices.Concat(film, []string{"-f", "lavfi", "-i", "sine=d=1"}, coded, []string{name})...)
		recv := spawn(t, "recv", "--listen", "127.0.0.1:0", "--codec", codec, "--out", out)
		send := spawn(t, append([]string{"send", name}, addresses(t, recv.until(t, "listening"))...)...)
		send.drain(t, statusDone)
		if e := recv.drain(t, statusDone); e.PacketsReceived < 49 {
			t.Errorf("%s: recv ends with %s", name, e.line)
		}
		if film != nil {
			sameHashes(t, hashes(t, out), hashes(t, name))
		}
	}
}

// flashes makes a film with a flash and a beep at each second.
func flashes(t *testing.T, name string, d time.Duration, args ...string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	ffmpeg(t, slices.Concat([]string{
		"-f", "lavfi", "-i", fmt.Sprintf("color=c=black:s=160x120:r=25:d=%v,geq=lum='if(lt(mod(T,1),0.1),235,16)':cb=128:cr=128", d.Seconds()),
		"-f", "lavfi", "-i", fmt.Sprintf("aevalsrc='if(lt(mod(t,1),0.1),0.7*sin(2*PI*1000*t),0)':s=48000:d=%v", d.Seconds()),
	}, args, []string{name})...)
	return name
}

// rises returns where a level goes over half of its range.
func rises(levels []float64, at func(i int) time.Duration) (all []time.Duration) {
	half := (slices.Min(levels) + slices.Max(levels)) / 2
	for i := 1; i < len(levels); i++ {
		if levels[i-1] < half && levels[i] >= half {
			all = append(all, at(i))
		}
	}
	return all
}

// seen returns when there are flashes in a film, and beeps.
func seen(t *testing.T, name string) (pictures, sounds []time.Duration) {
	t.Helper()
	var times []time.Duration
	list := printed(t, "ffmpeg", "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", name)
	for line := range strings.Lines(string(list)) {
		seconds, err := strconv.ParseFloat(strings.Trim(line, ",\n"), 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Duration(seconds*1e9))
	}
	slices.Sort(times)
	raw := ffmpeg(t, "-i", name, "-map", "0:v", "-vf", "scale=1:1,format=gray", "-vsync", "passthrough", "-f", "rawvideo", "-")
	if len(raw) != len(times) {
		t.Fatalf("%d pictures at %d times", len(raw), len(times))
	}
	levels := make([]float64, len(raw))
	for i := range raw {
		levels[i] = float64(raw[i])
	}
	pictures = rises(levels, func(i int) time.Duration { return times[i] })

	// Times are those of the file, which need not begin at 0.
	raw = ffmpeg(t, "-copyts", "-i", name, "-map", "0:a", "-af", "aresample=8000:async=1000:min_hard_comp=0.001:first_pts=0", "-ac", "1", "-f", "s16le", "-")
	const window = 40 // samples, which are 5 ms
	levels = nil
	for i := 0; i+2*window <= len(raw); i += 2 * window {
		var sum float64
		for j := i; j < i+2*window; j += 2 {
			sum += math.Abs(float64(int16(uint16(raw[j]) | uint16(raw[j+1])<<8)))
		}
		levels = append(levels, sum)
	}
	sounds = rises(levels, func(i int) time.Duration { return time.Duration(i) * 5 * ms })
	return pictures, sounds
}

// inSync records a film with flashes and beeps, and fails if one of them is more
// than 40 ms from the other. Only where the sender says that the machine had no
// time to send sound, a picture that was about to leave then may be later than its
// sound, but not the next one.
func inSync(t *testing.T, in, codec, out string, d time.Duration, flags ...string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), out)
	recv := spawn(t, "recv", "--listen", "127.0.0.1:0", "--codec", codec, "--out", out)
	send := spawn(t, slices.Concat([]string{"send", in}, addresses(t, recv.until(t, "listening")), flags)...)
	sent := make(chan said, 1)
	go func() {
		var last said
		for e := range send.events {
			last = e
		}
		sent <- last
	}()
	var last said
	for e := range recv.events {
		last = e
	}
	e := <-sent
	if e.Reason != "sent" {
		t.Errorf("send ends with %s", e.line)
	}
	if v := videoSaid(t, last); last.Reason != "bye" || v.FramesLost != 0 {
		t.Errorf("recv ends with %s", last.line)
	}
	pictures, sounds := seen(t, out)
	// What begins at 0 does not rise.
	if n := int(d/time.Second) - 1; len(pictures) < n || len(sounds) < n {
		t.Fatalf("%d flashes and %d beeps in %v", len(pictures), len(sounds), d)
	}
	var least, most time.Duration = math.MaxInt64, math.MinInt64
	before := false
	for _, flash := range pictures {
		nearest := time.Duration(math.MaxInt64)
		for _, beep := range sounds {
			if apart := beep - flash; apart.Abs() < nearest.Abs() {
				nearest = apart
			}
		}
		if flash < 500*ms && nearest.Abs() > 500*ms { // the beep at the very beginning
			continue
		}
		least, most = min(least, nearest), max(most, nearest)
		off := nearest.Abs() > 40*ms
		switch {
		case off && (e.StalledMS == 0 || before):
			t.Errorf("a flash at %v, and a beep %v later", flash, nearest)
		case off:
			t.Logf("a flash at %v, and a beep %v later, after a stall", flash, nearest)
		}
		before = off
	}
	t.Logf("%d flashes; beeps are %v to %v later; %v ms of stalls", len(pictures), least, most, e.StalledMS)
}

var films = []struct {
	name, in, codec, out string
	encode               []string
	send                 []string
}{
	{"VP8 and Opus", "a.webm", "opus,vp8", "o.webm", slices.Concat(encoders["vp8"], []string{"-c:a", "libopus"}), nil},
	{"H.264 with B-frames and Opus", "a.mkv", "opus,h264", "o.mp4", []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-c:a", "libopus"}, nil},
	{"VP8 and PCMU", "a.webm", "pcmu,vp8", "o.mkv", slices.Concat(encoders["vp8"], []string{"-c:a", "libopus"}), []string{"--codec", "pcmu"}},
}

func TestFlashAndBeep(t *testing.T) {
	const d = 20 * time.Second
	for _, c := range films {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			inSync(t, flashes(t, c.in, d, c.encode...), c.codec, c.out, d, c.send...)
		})
	}
}
