package examples

import (
	"bufio"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
)

// steps makes a WAV file that lasts for minutes and has one value, by which it is told.
func steps(t *testing.T, value int16) string {
	t.Helper()
	format := audio.Format{Rate: 8000, Channels: 1}
	name := filepath.Join(t.TempDir(), strconv.Itoa(int(value))+".wav")
	w, err := file.CreateWAV(name, format)
	if err != nil {
		t.Fatal(err)
	}
	f := audio.Frame{Format: format, Samples: make([]int16, 8000)}
	for i := range f.Samples {
		f.Samples[i] = value
	}
	for range 120 {
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// A caller hears the menu, presses a key, hears what is said to that, and ends the call by
// a key; nothing of that is said to its end.
func TestMenu(t *testing.T) {
	program := filepath.Join(t.TempDir(), "menu")
	if out, err := exec.Command("go", "build", "-o", program, "./menu").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, steps(t, 1000), steps(t, 2000), steps(t, 3000))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
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
	defer s.Close()
	s.Audio().SetReadDeadline(time.Now().Add(time.Minute))
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 1600)}
	if err := s.Audio().WriteFrame(&f); err != nil {
		t.Fatal(err)
	}
	hear := func(value int16) {
		t.Helper()
		for f.Samples[0] < value-100 || f.Samples[0] > value+100 {
			if err := s.Audio().ReadFrame(&f); err != nil {
				t.Fatalf("waiting for %d: %v", value, err)
			}
		}
	}
	hear(1000)
	if err := s.Audio().SendDigits(t.Context(), "2", nil); err != nil {
		t.Error(err)
	}
	hear(3000)
	if err := s.Audio().SendDigits(t.Context(), "#", nil); err != nil {
		t.Error(err)
	}
	var first, second string
	if _, err := fmt.Fscanf(out, "pressed %s\npressed %s\n", &first, &second); err != nil || first != "2" || second != "#" {
		t.Errorf("pressed %q and %q, %v", first, second, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
