package examples

import (
	"fmt"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
)

// Two telephones call the ports that the program prints, and one hangs up.
func TestBridge(t *testing.T) {
	cmd, out := begin(t, "bridge")
	telephones := [2]*session.Session{dial(t, out), dial(t, out)}
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for range 50 {
		for _, s := range telephones {
			if err := s.Audio().WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := telephones[0].Audio().ReadFrame(&f); err != nil {
		t.Error(err)
	}
	telephones[0].Close()
	var there, back int
	if _, err := fmt.Fscanf(out, "%d packets forwarded one way, %d the other\n", &there, &back); err != nil || there < 10 || back < 10 {
		t.Errorf("%d packets there, %d back, %v", there, back, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
