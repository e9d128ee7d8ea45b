//go:build unix

package examples

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/testport"
)

// The applications come up with a page, and with an answer for an offer that is none.
func TestApplications(t *testing.T) {
	folder := t.TempDir()
	applications := [][]string{{"parrot"}, {"transform", "-effect", "cartoon"}} // the others differ in one line
	build := []string{"build", "-ldflags=-s -w", "-o", folder + "/"}
	for _, a := range applications {
		build = append(build, "./"+a[0])
	}
	if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, a := range applications {
		t.Run(a[0], func(t *testing.T) {
			address := fmt.Sprintf("127.0.0.1:%d", testport.Pair(t, net.IPv4(127, 0, 0, 1)))
			program := exec.CommandContext(t.Context(), filepath.Join(folder, a[0]), append([]string{"-http", address}, a[1:]...)...)
			program.Dir = t.TempDir()
			var log strings.Builder
			program.Stderr = &log
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				program.Process.Kill()
				program.Wait()
				if t.Failed() {
					t.Logf("%s", &log)
				}
			}()
			var page *http.Response
			var err error
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if page, err = http.Get("http://" + address); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			defer page.Body.Close()
			if text, err := io.ReadAll(page.Body); err != nil || !strings.Contains(string(text), "<title>Parley</title>") {
				t.Errorf("the page is %.100q, %v", text, err)
			}
			answer, err := http.Post("http://"+address+"/offer", "application/json", strings.NewReader(`{"sdp": "?", "type": "offer"}`))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusBadRequest {
				t.Errorf("no offer is answered with %s", answer.Status)
			}
		})
	}
}
