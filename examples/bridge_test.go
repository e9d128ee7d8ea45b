package examples

import (
	"bufio"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
)

// Two telephones call the ports that the program prints, and one hangs up.
func TestBridge(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bridge")
	if out, err := exec.Command("go", "build", "-o", program, "./bridge").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	var telephones [2]*session.Session
	for i := range telephones {
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
		telephones[i] = s
	}
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
