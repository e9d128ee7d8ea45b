package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// What one program writes to a pipe can be sent, and what is received be read by
// another.
func TestPipes(t *testing.T) {
	const d = 200 * time.Millisecond
	tone, err := os.ReadFile(toneWAV(t, mono8k, d))
	if err != nil {
		t.Fatal(err)
	}
	in, out := fifo(t), fifo(t)
	go os.WriteFile(in, tone, 0) //nolint:errcheck // the test tells
	heard := make(chan []byte)
	go func() {
		b, _ := os.ReadFile(out)
		heard <- b
	}()
	recv := begin("recv", "--listen", "127.0.0.1:0", "--out", out)
	send := begin("send", in, "--to", recv.until(t, "listening").Address)
	send.until(t, "listening")
	send.until(t, "started")
	if e := send.end(t); e.Reason != "sent" || e.PacketsSent != 10 {
		t.Errorf("send ends with %s", e.line)
	}
	recv.until(t, "started")
	recv.end(t)
	select {
	case b := <-heard:
		checkPiped(t, b, d)
	case <-time.After(patience):
		t.Fatal("nobody has written to the pipe")
	}
}

// checkPiped fails unless b is a WAV file of unknown length with d of sound.
func checkPiped(t *testing.T, b []byte, d time.Duration) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "piped.wav")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := readSound(t, name).trimmed(); (s.duration() - d).Abs() > 2*time.Millisecond {
		t.Errorf("it lasts %v, want %v", s.duration(), d)
	}
}

// The minus sign is standard input and output, of which people are told elsewhere.
func TestStandardInputAndOutput(t *testing.T) {
	const d = 200 * time.Millisecond
	tone, err := os.ReadFile(toneWAV(t, mono8k, d))
	if err != nil {
		t.Fatal(err)
	}
	var heard strings.Builder
	said, status := &transcript{}, make(chan int)
	go func() { status <- run([]string{"recv", "--listen", "127.0.0.1:0", "--out", "-"}, &heard, said) }()
	to := awaitAddress(t, said)
	send := asProcess("--json", "send", "-", "--to", to)
	send.Stdin = strings.NewReader(string(tone))
	if b, err := send.CombinedOutput(); err != nil || !strings.Contains(string(b), `"packets_sent":10,`) {
		t.Errorf("%v\n%s", err, b)
	}
	if s := <-status; s != statusDone {
		t.Errorf("status %d: %s", s, said)
	}
	checkPiped(t, []byte(heard.String()), d)

	both := begin("recv", "--listen", "127.0.0.1:0", "--out", "-")
	both.exit(t, statusUse)
}

// awaitAddress waits until recv tells where it listens.
func awaitAddress(t *testing.T, said *transcript) string {
	t.Helper()
	address := regexp.MustCompile(`Listening on (\S+)\.\n`)
	for began := time.Now(); time.Since(began) < patience; time.Sleep(time.Millisecond) {
		if m := address.FindStringSubmatch(said.String()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("it does not listen: %s", said)
	return ""
}

func asProcess(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asParley+"=1")
	return cmd
}

// Nobody needs to write to a pipe for its opening to be interrupted.
func TestOpeningPipeIsInterrupted(t *testing.T) {
	name := fifo(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := openSource(ctx, name, 0); !errors.Is(err, errInterrupted) {
		t.Errorf("%v", err)
	}
	w, err := os.OpenFile(name, os.O_WRONLY, 0) // for what still waits
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// One signal is enough, also while standard input is silent; a terminal that closes sends
// one too.
func TestSilentInputIsInterrupted(t *testing.T) {
	notIgnored := make(chan os.Signal, 1)
	signal.Notify(notIgnored, syscall.SIGHUP) // by the program either, if the tests run under nohup
	defer signal.Stop(notIgnored)
	for _, by := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		t.Run(by.String(), func(t *testing.T) { silentInputIsInterrupted(t, by) })
	}
}

func silentInputIsInterrupted(t *testing.T, by os.Signal) {
	t.Helper()
	tone, err := os.ReadFile(toneWAV(t, mono8k, 20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	send := asProcess("--json", "send", "-", "--to", "127.0.0.1:4000")
	stdin, err := send.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close() // and not before
	stdout, err := send.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}
	tone[4], tone[5], tone[6], tone[7] = 0xff, 0xff, 0xff, 0xff // it goes on
	copy(tone[len(tone)-320-4:], tone[4:8])
	if _, err := stdin.Write(tone); err != nil {
		t.Fatal(err)
	}
	p := &program{events: listen(stdout), stderr: &transcript{}}
	p.until(t, "listening")
	p.until(t, "started")
	if err := send.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	if e := p.until(t, "end"); e.Reason != "interrupted" {
		t.Errorf("%v", e)
	}
	if err := send.Wait(); err != nil {
		t.Error(err)
	}
}
