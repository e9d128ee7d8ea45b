//go:build interop

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/internal/testport"
)

// A process is a running program, killed at the end of the test at the latest.
type process struct {
	cmd    *exec.Cmd
	debian string      // its packages
	output *transcript // standard error, and standard output if nobody else reads it
	ended  chan error
}

// start starts a program of a Debian package.
func start(t *testing.T, debian, name string, args ...string) *process {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v (Debian package %s)", err, debian)
	}
	p := &process{cmd: exec.Command(name, args...), debian: debian, output: &transcript{}, ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.launch(t)
	return p
}

func (p *process) launch(t *testing.T) {
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		p.ended <- p.cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() //nolint:errcheck // it has ended, as a rule
		<-done
	})
}

// wait waits for the end, and fails unless it is a good one.
func (p *process) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Fatalf("%q (Debian package %s): %v\n%s", p.cmd.Args, p.debian, err, p.output)
		}
	case <-time.After(patience):
		t.Fatalf("%q does not end\n%s", p.cmd.Args, p.output)
	}
}

// A separate is a parley in a process of its own, which spawn starts.
type separate struct {
	*program
	cmd *exec.Cmd
}

func spawn(t *testing.T, args ...string) separate {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], append([]string{"--json"}, args...)...), output: &transcript{}, ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), asParley+"=1")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, p.output
	p.launch(t)
	w.Close()
	status := make(chan int, 1)
	events := listen(r)
	go func() {
		err := <-p.ended
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			code = -1
		}
		status <- code
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() //nolint:errcheck // it has ended, as a rule
		for range events {   // the reader ends with the process
		}
		r.Close()
	})
	return separate{&program{events: events, status: status, stderr: p.output}, p.cmd}
}

func (s separate) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

// freePort returns a port that a program can take with the next one.
func freePort(t *testing.T) int {
	t.Helper()
	return testport.Pair(t, loopback.Addr().AsSlice())
}

// bound waits until a program listens on a UDP port.
func bound(t *testing.T, p *process, port int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		select {
		case err := <-p.ended:
			t.Fatalf("%q (Debian package %s) ends at once: %v\n%s", p.cmd.Args, p.debian, err, p.output)
		default:
		}
		if testport.Open(port) {
			return
		}
	}
	t.Fatalf("%q does not listen on port %d\n%s", p.cmd.Args, port, p.output)
}

// sines are ffmpeg's arguments for a tone in a payload format.
func sines(format audio.Format, codec string, d time.Duration) []string {
	return []string{
		"-nostdin", "-v", "error", "-re", "-f", "lavfi",
		"-i", fmt.Sprintf("aevalsrc=0.5*sin(2*PI*%v*t):s=%d:d=%v", toneHz, format.Rate, d.Seconds()),
		"-ac", strconv.Itoa(format.Channels), "-c:a", codec, "-f", "rtp",
	}
}

// slots lets three calls run at a time: more would disturb each other on two
// cores.
var slots = make(chan struct{}, 3)

func parallel(t *testing.T) {
	t.Parallel()
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
}

const length = 3 * time.Second

// srtpKey is a key and a salt of AES_CM_128, as in RFC 4568.
const srtpKey = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

var (
	l16Mono16k   = audio.Format{Rate: 16000, Channels: 1}
	l16Mono44k   = audio.Format{Rate: 44100, Channels: 1}
	l16Stereo44k = audio.Format{Rate: 44100, Channels: 2}
)

// ffmpeg sends packets as long as it likes (128 ms of PCMU), and several in a
// burst. By the other name of its suite with short tags it shortens those of RTCP
// too, which RFC 4568, section 6.2.2, does not.
func TestFFmpegToRecv(t *testing.T) {
	for _, c := range []struct {
		name   string
		format audio.Format
		codec  string
		more   []string // of ffmpeg
		recv   []string
		reason string
	}{
		{"PCMU with goodbye", mono8k, "pcm_mulaw", []string{"-rtpflags", "send_bye"}, nil, "bye"},
		{"PCMU without goodbye", mono8k, "pcm_mulaw", nil, []string{"--timeout", "1s"}, "timeout"},
		{"PCMA", mono8k, "pcm_alaw", []string{"-rtpflags", "send_bye"}, nil, "bye"},
		{"PCMA in small packets", mono8k, "pcm_alaw", []string{"-rtpflags", "send_bye", "-pkt_size", "133"}, nil, "bye"},
		{"L16 stereo, type 10", l16Stereo44k, "pcm_s16be", []string{"-rtpflags", "send_bye"}, nil, "bye"},
		{"L16 mono, type 11", l16Mono44k, "pcm_s16be", []string{"-rtpflags", "send_bye"}, nil, "bye"},
		{"PCMU with SRTP", mono8k, "pcm_mulaw", []string{"-rtpflags", "send_bye", "-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", srtpKey}, []string{"--srtp", srtpKey}, "bye"},
		{"PCMU with SRTP, short tag", mono8k, "pcm_mulaw", []string{"-rtpflags", "send_bye", "-srtp_out_suite", "SRTP_AES128_CM_HMAC_SHA1_32", "-srtp_out_params", srtpKey}, []string{"--srtp", "AES_CM_128_HMAC_SHA1_32:" + srtpKey}, "bye"},
		{"L16 16 kHz, dynamic type", l16Mono16k, "pcm_s16be", []string{"-rtpflags", "send_bye", "-payload_type", "113"}, []string{"--codec", "l16/16000", "--payload-type", "113"}, "bye"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			out := filepath.Join(t.TempDir(), "out.wav")
			recv := spawn(t, append([]string{"recv", "--listen", "127.0.0.1:0", "--out", out}, c.recv...)...)
			to := "rtp://" + recv.until(t, "listening").Address
			if slices.Contains(c.recv, "--srtp") {
				to = "s" + to
			}
			ffmpeg := start(t, "ffmpeg", "ffmpeg", append(sines(c.format, c.codec, length), append(c.more, to)...)...)
			recv.until(t, "started")
			ffmpeg.wait(t)
			e := recv.end(t)
			t.Logf("%s", e.line)
			if e.Reason != c.reason || e.PacketsLost != 0 || e.PacketsDiscarded != 0 || e.PacketsLate != 0 || e.ConcealedMS != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			readSound(t, out).check(t, c.format, length, 40*time.Millisecond)
		})
	}
}

// What libsrtp encrypts, with the number of the key in each packet as telephones do it
// that are told to.
func TestGStreamerSRTPToRecv(t *testing.T) {
	for _, c := range []struct {
		suite, cipher, auth string
		length              int
	}{
		{"AES_CM_128_HMAC_SHA1_80", "aes-128-icm", "hmac-sha1-80", 30},
		{"AES_256_CM_HMAC_SHA1_80", "aes-256-icm", "hmac-sha1-80", 46},
		{"AEAD_AES_256_GCM", "aes-256-gcm", "null", 44},
	} {
		t.Run(c.suite, func(t *testing.T) {
			parallel(t)
			dir := t.TempDir()
			sdp, out, port := filepath.Join(dir, "call.sdp"), filepath.Join(dir, "out.wav"), freePort(t)
			key := bytes.Repeat([]byte{7, 8, 9}, 16)[:c.length]
			text := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/SAVP 0\r\n"+
				"a=crypto:1 %s inline:%s|2^31|90:4\r\n", port, c.suite, base64.StdEncoding.EncodeToString(key))
			if err := os.WriteFile(sdp, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			recv := spawn(t, "recv", "--sdp", sdp, "--out", out, "--timeout", "1s")
			recv.until(t, "listening")
			gst := start(t, "gstreamer1.0-tools, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad", "gst-launch-1.0",
				"-q", "filesrc", "location="+toneWAV(t, mono8k, length), "!", "wavparse", "!", "mulawenc", "!",
				"rtppcmupay", "min-ptime=20000000", "max-ptime=20000000", "!",
				"srtpenc", fmt.Sprintf("key=%x", key), "mki=0000005a", "rtp-cipher="+c.cipher, "rtp-auth="+c.auth, "!",
				"udpsink", "host=127.0.0.1", fmt.Sprintf("port=%d", port))
			recv.until(t, "started")
			gst.wait(t)
			if e := recv.end(t); e.Reason != "timeout" || e.PacketsReceived != 150 || e.PacketsLost != 0 || e.PacketsDiscarded != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			readSound(t, out).check(t, mono8k, length, 40*time.Millisecond)
		})
	}
}

func TestFFmpegSDPToRecv(t *testing.T) {
	for _, c := range []struct {
		name   string
		format audio.Format
		codec  string
	}{
		{"PCMA", mono8k, "pcm_alaw"},
		{"L16 of 16 kHz", l16Mono16k, "pcm_s16be"},
		{"L16 stereo of 48 kHz", audio.Format{Rate: 48000, Channels: 2}, "pcm_s16be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			dir := t.TempDir()
			sdp, out := filepath.Join(dir, "call.sdp"), filepath.Join(dir, "out.wav")
			to := fmt.Sprintf("rtp://127.0.0.1:%d", freePort(t))
			// ffmpeg writes its SDP when it begins to send, which is too late
			// for a receiver that has to read it: a short run goes ahead.
			start(t, "ffmpeg", "ffmpeg", append(sines(c.format, c.codec, time.Millisecond), "-sdp_file", sdp, to)...).wait(t)
			recv := spawn(t, "recv", "--sdp", sdp, "--out", out)
			recv.until(t, "listening")
			ffmpeg := start(t, "ffmpeg", "ffmpeg", append(sines(c.format, c.codec, length), "-rtpflags", "send_bye", to)...)
			recv.until(t, "started")
			ffmpeg.wait(t)
			if e := recv.end(t); e.Reason != "bye" || e.PacketsLost != 0 || e.PacketsDiscarded != 0 {
				t.Errorf("recv ends with %s", e.line)
			}
			readSound(t, out).check(t, c.format, length, 40*time.Millisecond)
		})
	}
}

// sendTo runs "parley send" with a receiver that is started from its session
// description, and listens before the first packet.
func sendTo(t *testing.T, format audio.Format, flags []string, receiver func(sdp string, port int) *process) (*process, said) {
	t.Helper()
	sdp, port := filepath.Join(t.TempDir(), "call.sdp"), freePort(t)
	send := spawn(t, append([]string{
		"send", toneWAV(t, format, length), "--to", fmt.Sprintf("127.0.0.1:%d", port),
		"--write-sdp", sdp, "--start-after", "4s",
	}, flags...)...)
	send.until(t, "listening")
	p := receiver(sdp, port)
	bound(t, p, port)
	if len(send.events) > 0 {
		t.Fatalf("%q was not ready within 4 s\n%s", p.cmd.Args, p.output)
	}
	send.until(t, "started")
	e := send.end(t)
	if e.Reason != "sent" {
		t.Errorf("send ends with %s", e.line)
	}
	return p, e
}

func TestSendToFFmpeg(t *testing.T) {
	for _, c := range []struct {
		name   string
		format audio.Format
		flags  []string
	}{
		{"PCMU", mono8k, nil},
		{"PCMA", mono8k, []string{"--codec", "pcma", "--ptime", "30ms"}},
		{"PCMU with SRTP", mono8k, []string{"--srtp", srtpKey}},
		{"L16 dynamic", l16Mono16k, []string{"--codec", "l16"}},
		{"L16 static mono", l16Mono44k, []string{"--codec", "l16"}},
		{"L16 static stereo", l16Stereo44k, []string{"--codec", "l16"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			const tolerance = 40 * time.Millisecond
			var s sound
			// It ends by itself with our goodbye, which it reads before the sound that waits at
			// its other port: on a busy machine it may leave out the end.
			for try := 0; try < 3 && s.duration() < length-tolerance; try++ {
				out := filepath.Join(t.TempDir(), "out.wav")
				ffmpeg, _ := sendTo(t, c.format, c.flags, func(sdp string, _ int) *process {
					return start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp,srtp",
						"-i", sdp, "-c:a", "pcm_s16le", out)
				})
				ffmpeg.wait(t)
				s = readSound(t, out)
			}
			s.check(t, c.format, length, tolerance)
		})
	}
}

func TestSendToGStreamer(t *testing.T) {
	caps := func(name, more string) string {
		return fmt.Sprintf("application/x-rtp,media=audio,encoding-name=%s,%s", name, more)
	}
	for _, c := range []struct {
		name   string
		format audio.Format
		flags  []string
		caps   string
		decode []string
	}{
		{"PCMU", mono8k, nil, caps("PCMU", "clock-rate=8000,payload=0"), []string{"rtppcmudepay", "!", "mulawdec"}},
		{"PCMA", mono8k, []string{"--codec", "pcma"}, caps("PCMA", "clock-rate=8000,payload=8"), []string{"rtppcmadepay", "!", "alawdec"}},
		{"L16 dynamic", l16Mono16k, []string{"--codec", "l16"}, caps("L16", "clock-rate=16000,channels=1,payload=97"), []string{"rtpL16depay"}},
		{"L16 static", l16Mono44k, []string{"--codec", "l16"}, caps("L16", "clock-rate=44100,channels=1,payload=11"), []string{"rtpL16depay"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parallel(t)
			out := filepath.Join(t.TempDir(), "out.wav")
			// It takes each packet that there should be, and ends.
			packets := 150
			if c.format.Rate == 44100 {
				packets = 300 // 20 ms are more than fits
			}
			gst, e := sendTo(t, c.format, c.flags, func(_ string, port int) *process {
				return start(t, "gstreamer1.0-tools, gstreamer1.0-plugins-good", "gst-launch-1.0", slices.Concat([]string{
					"-q", "udpsrc", "address=127.0.0.1", fmt.Sprintf("port=%d", port), fmt.Sprintf("num-buffers=%d", packets), "caps=" + c.caps, "!",
				}, c.decode, []string{"!", "audioconvert", "!", "audio/x-raw,format=S16LE", "!", "wavenc", "!", "filesink", "location=" + out})...)
			})
			if e.PacketsSent != int64(packets) {
				t.Fatalf("%d packets were sent, want %d", e.PacketsSent, packets)
			}
			gst.wait(t)
			readSound(t, out).check(t, c.format, length, 40*time.Millisecond)
		})
	}
}

// GStreamer's own reader of session descriptions, with its jitter buffer. It ends
// by itself with our goodbye.
func TestSendToGStreamerSDP(t *testing.T) {
	parallel(t)
	out := filepath.Join(t.TempDir(), "out.wav")
	gst, _ := sendTo(t, mono8k, nil, func(sdp string, _ int) *process {
		return start(t, "gstreamer1.0-tools, gstreamer1.0-plugins-bad", "gst-launch-1.0", "-q", "filesrc", "location="+sdp, "!",
			"sdpdemux", "latency=200", "!", "rtppcmudepay", "!", "mulawdec", "!", "audioconvert", "!", "wavenc", "!", "filesink", "location="+out)
	})
	gst.wait(t)
	readSound(t, out).check(t, mono8k, length, 40*time.Millisecond)
}

// Ctrl-C ends a recording well, and sending with a goodbye.
func TestInterrupt(t *testing.T) {
	parallel(t)
	for _, who := range []string{"recv", "send"} {
		out := filepath.Join(t.TempDir(), "out.wav")
		recv := spawn(t, "recv", "--listen", "127.0.0.1:0", "--out", out)
		send := spawn(t, "send", toneWAV(t, mono8k, 10*time.Second), "--to", recv.until(t, "listening").Address)
		send.until(t, "listening")
		send.until(t, "started")
		recv.until(t, "started")
		var at said
		for at.Event != "stats" { // a second of it
			at = <-recv.events
		}
		if who == "recv" {
			recv.interrupt(t)
			if e := recv.end(t); e.Reason != "interrupted" {
				t.Errorf("recv ends with %s", e.line)
			}
			send.interrupt(t)
		} else {
			send.interrupt(t)
			if e := recv.end(t); e.Reason != "bye" {
				t.Errorf("after the end of send, recv ends with %s", e.line)
			}
		}
		if e := send.end(t); e.Reason != "interrupted" {
			t.Errorf("send ends with %s", e.line)
		}
		s := readSound(t, out)
		s.check(t, mono8k, s.duration(), 0)
		if s.duration() < time.Second || s.duration() > 3*time.Second {
			t.Errorf("%v was recorded", s.duration())
		}
	}
}

// Ctrl-C before the first packet: no file, and no success.
func TestInterruptNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.wav")
	recv := spawn(t, "recv", "--listen", "127.0.0.1:0", "--out", out)
	recv.until(t, "listening")
	recv.interrupt(t)
	if e := recv.until(t, "end"); e.Reason != "interrupted" || e.PacketsReceived != 0 {
		t.Errorf("recv ends with %s", e.line)
	}
	recv.exit(t, statusFailed)
	if s := recv.stderr.String(); !strings.Contains(s, "nothing was received") {
		t.Errorf("it says %q", s)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file without audio: %v", err)
	}
}
