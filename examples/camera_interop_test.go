//go:build interop && unix

package examples

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/testport"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/video"
)

// Who opens the page of a camera sees what ffmpeg reads, from a key frame on.
func TestCamera(t *testing.T) {
	program := filepath.Join(t.TempDir(), "camera")
	if out, err := exec.Command("go", "build", "-o", program, "./camera").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	address := fmt.Sprintf("127.0.0.1:%d", testport.Pair(t, net.IPv4(127, 0, 0, 1)))
	camera := exec.CommandContext(ctx, program, "-http", address, "--", "-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=30")
	camera.Cancel = func() error { return camera.Process.Signal(os.Interrupt) } // which ends ffmpeg too
	var log strings.Builder
	camera.Stderr = &log
	if err := camera.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		camera.Cancel()
		if err := camera.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s", &log)
		}
	}()
	e, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p, err := e.Dial(ctx, func(ctx context.Context, offer string) (string, error) {
		body, err := json.Marshal(map[string]string{"type": "offer", "sdp": offer})
		if err != nil {
			return "", err
		}
		for {
			answer, err := http.Post("http://"+address+"/offer", "application/json", bytes.NewReader(body))
			if err != nil && ctx.Err() == nil { // it has not come up yet
				time.Sleep(20 * time.Millisecond)
				continue
			} else if err != nil {
				return "", err
			}
			defer answer.Body.Close()
			var said struct{ SDP string }
			err = json.NewDecoder(answer.Body).Decode(&said)
			return said.SDP, err
		}
	}, &peer.CallConfig{NoAudio: true, Videos: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	deadline, _ := ctx.Deadline()
	p.Video().SetReadDeadline(deadline)
	var f video.Frame
	for n := range 30 {
		if err := p.Video().ReadFrame(&f); err != nil {
			t.Fatalf("after %d frames: %v", n, err)
		}
		if n == 0 && (!f.Key || f.Width != 320 || f.Height != 240) {
			t.Errorf("the first frame is of %dx%d, a key frame: %t", f.Width, f.Height, f.Key)
		}
	}
}
