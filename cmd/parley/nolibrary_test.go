//go:build interop && linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// Without libopus the program says what to install and goes on with the rest.
func TestWithoutLibopus(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"libopus.so.0", "libopus.so"} { // no libraries
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parley := func(args ...string) *exec.Cmd {
		cmd := exec.Command(self, args...)
		cmd.Env = append(os.Environ(), asParley+"=1", "LD_LIBRARY_PATH="+dir)
		return cmd
	}

	serve := parley("serve", "--http", "127.0.0.1:0", "--json")
	stderr, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(patience, func() { serve.Process.Kill() })
	defer giveUp.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Open http://") {
			serve.Process.Signal(syscall.SIGINT)
		}
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
	if !strings.Contains(said.String(), "install libopus0") || !strings.Contains(said.String(), "Open http://") {
		t.Errorf("serve said:\n%s", said.String())
	}

	name := filepath.Join(dir, "a.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	out, err := parley("send", name, "--to", "127.0.0.1:5004", "--codec", "opus").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "install libopus0") {
		t.Errorf("send: %v\n%s", err, out)
	}
}
