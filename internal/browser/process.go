package browser

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// goneWithin bounds how long the end of a browser, and the removal of its
// profile, may take.
const goneWithin = 5 * time.Second

// A Process is a running browser. It ends with the test; Kill ends it earlier.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	kill sync.Once
}

// Kill ends the browser and its children at once, as a crash would: its pages
// run no unload handlers and send nothing more. It may be called more than once,
// from any goroutine.
func (p *Process) Kill() {
	p.kill.Do(func() {
		killGroup(p.cmd)
		select {
		case <-p.done:
		case <-time.After(goneWithin):
		}
	})
}

// newProfile makes an empty folder for a browser's profile and home.
func newProfile(t testing.TB, name string) string {
	t.Helper()
	profile, err := os.MkdirTemp("", "parley-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(profile); err != nil {
			t.Errorf("browser profile: %v", err)
		}
	})
	return profile
}

// removeAll removes the profile of a killed browser. It tries again for a while:
// the last of the children may be creating files while it is being killed.
func removeAll(profile string) error {
	deadline := time.Now().Add(goneWithin)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := os.RemoveAll(profile)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

// start runs a browser in a process group of its own, with files as its
// descriptors 3 and up. What it prints is kept in
// the artifact folder of the test, and its end is logged when the test fails.
func start(t testing.TB, program, debianPackage, profile string, args, env []string, files []*os.File) *Process {
	t.Helper()
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is not installed: apt-get install %s", program, debianPackage)
	} else if err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(t.ArtifactDir(), program+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+profile, "TMPDIR="+profile, "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = files
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		output.Close()
		t.Fatalf("starting %s: %v", program, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of what %s printed:\n%s", program, tail(output, 16<<10))
		}
		output.Close()
	})
	return p
}

// tail returns up to n bytes of the end of f, without Chromium's many complaints
// that there is no D-Bus in a container.
func tail(f *os.File, n int64) string {
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	text := make([]byte, min(n, info.Size()))
	if _, err := f.ReadAt(text, info.Size()-int64(len(text))); err != nil {
		return err.Error()
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "dbus/") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
