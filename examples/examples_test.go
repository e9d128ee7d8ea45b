// Package examples has small programs to start from.
package examples

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/stream"
)

// build builds an example, and returns how it is run.
func build(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), program, args...)
}

// run builds and runs an example, and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := build(t, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// begin builds and starts an example, and returns what it prints from then on.
func begin(t *testing.T, name string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := build(t, name, args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(stdout)
}

// dial calls the port that an example has printed next.
func dial(t *testing.T, out io.Reader) *session.Session {
	t.Helper()
	var port uint16
	if _, err := fmt.Fscanln(out, &port); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(t.Context(), &session.Config{
		Local:  netip.MustParseAddrPort("127.0.0.1:0"),
		Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// prints fails unless an example that runs on the clock of the machine, which may
// stall, prints what is wanted in one of five runs.
func prints(t *testing.T, name, want string) {
	t.Helper()
	pattern := regexp.MustCompile(want)
	var out string
	for range 5 {
		if out = run(t, name); pattern.MatchString(out) {
			return
		}
	}
	t.Errorf("printed %q", out)
}

// 25 frames are sent; on a busy machine playout stretches them.
func TestLoopback(t *testing.T) {
	prints(t, "loopback", `^heard [23][0-9] frames of 20 ms, then: call ended: bye\n$`)
}

func TestVideo(t *testing.T) {
	prints(t, "video", `^saw 30 frames of 320x240, of these 2 key frames, then: call ended: bye\n$`)
}

func TestKeyframes(t *testing.T) {
	want := "the first frame that is seen is a key frame: true\nasked for: true\n"
	if out := run(t, "keyframes"); out != want {
		t.Errorf("printed %q", out)
	}
}

func TestDepacketize(t *testing.T) {
	want := "timestamp 0: 2544 bytes of 4 packets, key frame: true\n" +
		"timestamp 3000: a packet of it is missing\n" +
		"timestamp 6000: 2506 bytes of 3 packets, key frame: false\n"
	if out := run(t, "depacketize"); out != want {
		t.Errorf("printed %q", out)
	}
}

func TestCodecs(t *testing.T) {
	out := run(t, "codecs")
	for _, want := range []string{
		`PCMU/8000 +64.0 kbit/s, level [+-]0.0 dB`,
		`PCMA/8000 +64.0 kbit/s, level [+-]0.0 dB`,
		`G722/8000 +64.0 kbit/s, level [+-]0.[0-3] dB`,
		`L16/16000 +256.0 kbit/s, level \+0.0 dB`,
		`opus/48000/2 +(\d+\.\d kbit/s, level [+-]0.\d dB|this build only decodes it)`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no line like %q in\n%s", want, out)
		}
	}
}

func TestSendWAV(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 16000, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSilence(600 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(t.Context(), &session.Config{
		Local: netip.MustParseAddrPort("127.0.0.1:0"),
		Audio: &session.AudioConfig{Playout: stream.InOrder},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if out := run(t, "sendwav", name, s.LocalAddr().String()); out != "sent 30 packets\n" {
		t.Errorf("printed %q", out)
	}
	var heard time.Duration
	for f := new(audio.Frame); s.Audio().ReadFrame(f) == nil; {
		if f.Kind == audio.Media { // a machine that stalls makes the sender pause
			heard += f.Duration()
		}
	}
	if heard != 600*time.Millisecond {
		t.Errorf("received %v of 600ms", heard)
	}
}

func TestDTMF(t *testing.T) {
	if out := run(t, "dtmf"); out != "dialled 42*7\n" {
		t.Errorf("printed %q", out)
	}
}

func TestPacing(t *testing.T) {
	// Both lines are printed at the same moment.
	said, written := `interrupted: (4[89]0|5[0-4]0)ms were said\n`, `written in (500|600)ms\n`
	prints(t, "pacing", "^("+said+written+"|"+written+said+")$")
}

func TestPorts(t *testing.T) {
	want := "opened 127.0.0.1:20000\nopened 127.0.0.1:20002\nopened 127.0.0.1:20004\nopened 127.0.0.1:20006\nno more ports after 4 calls\nopened again\n"
	if out := run(t, "ports"); out != want {
		t.Errorf("printed %q", out)
	}
}

func TestRawPackets(t *testing.T) {
	want := "294 packets received, 6 lost\nRTCP packet type 201 of 32 bytes\nRTCP packet type 202 of 32 bytes\n"
	if out := run(t, "rawpackets"); out != want {
		t.Errorf("printed %q", out)
	}
}
