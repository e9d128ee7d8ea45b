package examples

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
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
	cmd, out := begin(t, "menu", steps(t, 1000), steps(t, 2000), steps(t, 3000))
	s := dial(t, out)
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
