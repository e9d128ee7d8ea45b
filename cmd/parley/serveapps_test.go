package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// The applications that the page is told of are there, and say what is wrong with
// what they are asked for.
func TestApplications(t *testing.T) {
	s, err := server.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	folder := t.TempDir()
	out := &output{stdout: io.Discard, stderr: io.Discard}
	mountApps(s, "film.webm", out)
	recordings := mountRecord(s, folder, out)

	ask := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		s.ServeHTTP(w, r)
		return w
	}
	var apps []server.App
	if err := json.Unmarshal(ask("GET", "/apps", "").Body.Bytes(), &apps); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, a := range apps {
		paths = append(paths, a.Path)
		if a.OneWay != (a.Path == "play") {
			t.Errorf("%s: it hears and sees nothing: %v", a.Path, a.OneWay)
		}
		if w := ask("POST", "/"+a.Path, `{"type":"offer","sdp":"nonsense"}`); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d for nonsense: %s", a.Path, w.Code, w.Body)
		}
	}
	if got := strings.Join(paths, " "); got != "offer room relay parrot data play record" {
		t.Errorf("the page is told of %s", got)
	}
	for body, want := range map[string]string{
		`{"type":"offer","sdp":"v=0\r\n","video_transform":"upside-down"}`: "upside-down",
		`{"type":"offer","sdp":"v=0\r\n","recording":"../passwords"}`:      `\"recording\", a name of 32 hexadecimal digits`,
	} {
		path := "/offer"
		if strings.Contains(body, "recording") {
			path = "/record"
		}
		if w := ask("POST", path, body); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d: %s", body, w.Code, w.Body)
		}
	}

	name := strings.Repeat("0a", 16)
	if err := os.WriteFile(filepath.Join(folder, name+".ogg"), []byte("sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := ask("POST", "/record", `{"type":"offer","sdp":"v=0\r\n","recording":"`+name+`"}`); w.Code != http.StatusBadRequest {
		t.Errorf("a recording is made anew: status %d", w.Code)
	}
	for path, want := range map[string]int{name: http.StatusOK, strings.Repeat("1b", 16): http.StatusNotFound, "..": http.StatusNotFound, name + ".ogg": http.StatusNotFound} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/recordings/x", nil)
		r.SetPathValue("name", path)
		recordings(w, r)
		if w.Code != want || want == http.StatusOK && !bytes.Equal(w.Body.Bytes(), []byte("sound")) {
			t.Errorf("GET %s: status %d: %s", path, w.Code, w.Body)
		}
	}
	film := strings.Repeat("2c", 16)
	if err := os.WriteFile(filepath.Join(folder, film+".webm"), []byte("pictures"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/recordings/x", nil)
	r.SetPathValue("name", film)
	if recordings(w, r); w.Header().Get("Content-Type") != "video/webm" {
		t.Errorf("pictures are served as %s", w.Header().Get("Content-Type"))
	}
}

// What an encoder publishes is heard by players, and by those on the page.
func TestPublished(t *testing.T) {
	s, err := server.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	mountApps(s, "", newOutput(false, io.Discard, io.Discard))
	web := httptest.NewServer(s)
	defer web.Close()
	defer s.Shutdown(t.Context()) //nolint:errcheck // who was cut off is told
	encoder := dialBy(t, peer.WHIP(web.URL+"/whip", "", web.Client()).Exchange)
	var saying sync.WaitGroup
	defer saying.Wait()
	defer encoder.Close()
	saying.Go(func() {
		f := audio.Frame{Format: mono8k, Samples: slices.Repeat([]int16{3000, -3000}, 80)}
		for encoder.Audio().WriteFrame(&f) == nil {
		}
	})
	for _, listener := range []*peer.Peer{
		dialBy(t, peer.WHEP(web.URL+"/whep", "", web.Client()).Exchange),
		dial(t, web.Client(), web.URL+"/relay", map[string]string{}),
	} {
		defer listener.Close()
		listener.Audio().SetReadDeadline(time.Now().Add(patience))
		var f audio.Frame
		for heard := false; !heard; heard = f.Kind == audio.Media && max(f.Samples[0], f.Samples[1]) > 2500 {
			if err := listener.Audio().ReadFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A recording is there once it is complete.
func TestRecordingBecomesComplete(t *testing.T) {
	s, err := server.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	mux := http.NewServeMux()
	mux.Handle("GET /recordings/{name}", mountRecord(s, folder, newOutput(false, io.Discard, io.Discard)))
	mux.Handle("/", s)
	web := httptest.NewServer(mux)
	defer web.Close()
	name := strings.Repeat("0a", 16)
	status := func() int {
		r, err := web.Client().Head(web.URL + "/recordings/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	call := dial(t, web.Client(), web.URL+"/record", map[string]string{"recording": name})
	sayNothing(t, call)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(filepath.Join(folder, name+".wav")); err == nil && info.Size() > 1000 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing is recorded")
		}
	}
	if got := status(); got != http.StatusNotFound {
		t.Errorf("status %d while it is written", got)
	}
	call.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("status %d after the call", got)
	}
}
