package file_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// recordTo names the file to which the test binary records instead of testing.
const recordTo = "PARLEY_TEST_RECORD_TO"

func TestMain(m *testing.M) {
	if name := os.Getenv(recordTo); name != "" {
		fmt.Fprintln(os.Stderr, record(name))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// record writes frames of 20 ms for ever, and the number of samples after each. It is
// faster than a disk, so that nothing may wait for that.
func record(name string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	w, err := file.NewWAVWriter(out, mono8k)
	if err != nil {
		return err
	}
	fmt.Println(0)
	var f audio.Frame
	for n := 0; ; n += 160 {
		ramp(&f, mono8k, n, 160)
		if err := w.WriteFrame(&f); err != nil {
			return err
		}
		if _, err := fmt.Println(n + 160); err != nil {
			return err
		}
	}
}

// A killed recorder leaves a file that plays up to 2 s before its end.
func TestKilledWAVIsPlayable(t *testing.T) {
	for _, lines := range []int{1, 2, 24, 25, 26, 27, 50, 51, 500, 5000} {
		name := filepath.Join(t.TempDir(), "killed.wav")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), recordTo+"="+name)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The pipe holds what was written before the kill, to its last line.
		written, scanner := -1, bufio.NewScanner(out)
		for n := 1; scanner.Scan(); n++ {
			if written, err = strconv.Atoi(scanner.Text()); err != nil {
				t.Errorf("the recorder says %q", scanner.Text())
			}
			if n == lines {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if written < 160*(lines-1) {
			t.Fatalf("the recorder ended after %d samples", written)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		played := check(t, b)
		if lost := mono8k.Duration(written - played); lost > 2*time.Second {
			t.Errorf("killed after %d samples: %d are played, %v is lost", written, played, lost)
		}
		t.Logf("killed after %d samples, %d are played", written, played)
	}
}
