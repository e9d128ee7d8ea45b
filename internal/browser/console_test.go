package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// obey stands for a page: it does one job, and says what it was.
func obey(t *testing.T, url string, answer func(*job) value) {
	t.Helper()
	response, err := http.Get(url + "/peer/next")
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	var j job
	if err := json.NewDecoder(response.Body).Decode(&j); err != nil {
		t.Error(err)
		return
	}
	b, err := json.Marshal(answer(&j))
	if err != nil {
		t.Error(err)
		return
	}
	posted, err := http.Post(url+"/peer/value", "application/json", bytes.NewReader(b))
	if err != nil || posted.StatusCode != http.StatusNoContent {
		t.Errorf("%v, %v", posted, err)
	}
	if err == nil {
		posted.Body.Close()
	}
}

func TestConsole(t *testing.T) {
	c := NewConsole()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	if got := c.URL(server.URL); got != server.URL+"/peer/peer.html" {
		t.Errorf("URL %s", got)
	}
	for _, name := range []string{"peer.html", "peer.js", "sound.js", "console.js", "gaps.js", "tape.js"} {
		response, err := http.Get(server.URL + "/peer/" + name)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, response.Status)
		}
	}
	go obey(t, server.URL, func(j *job) value { return value{ID: j.ID, Value: "worth " + j.Expression} })
	if got := c.Must(t, 5*time.Second, "1 + 1"); got != "worth 1 + 1" {
		t.Errorf("value %q", got)
	}
	go obey(t, server.URL, func(j *job) value { return value{ID: j.ID, Error: "TypeError: no"} })
	if got, err := c.Eval(t.Context(), "f()"); err == nil || err.Error() != "TypeError: no" {
		t.Errorf("value %q, error %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Eval(ctx, "never"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	for body, want := range map[string]int{
		"not JSON":                 http.StatusBadRequest,
		`{"ID": 99}`:               http.StatusNotFound,
		`{"ID": 1}`:                http.StatusNotFound,
		fmt.Sprintf("%300000d", 1): http.StatusBadRequest,
	} {
		recorder := httptest.NewRecorder()
		c.ServeHTTP(recorder, httptest.NewRequest("POST", "/peer/value", strings.NewReader(body)))
		if recorder.Code != want {
			t.Errorf("%.20q: status %d, want %d", body, recorder.Code, want)
		}
	}
	if len(c.asked) != 0 {
		t.Errorf("%d jobs are kept", len(c.asked))
	}
}
