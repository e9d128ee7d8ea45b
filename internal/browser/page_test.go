package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPageServesItself(t *testing.T) {
	page := NewPage()
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	for _, name := range []string{"tone.html?codec=opus", "tone.js", "gaps.js"} {
		response, err := http.Get(server.URL + "/tone/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || len(text) == 0 {
			t.Errorf("%s: %s, %d bytes, %v", name, response.Status, len(text), err)
		}
	}
}

func TestPageURL(t *testing.T) {
	page := NewPage()
	const base = "http://127.0.0.1:1"
	if got, want := page.URL(base, Tone{}), base+"/tone/tone.html?"; got != want {
		t.Errorf("zero value: %s, want %s", got, want)
	}
	tone := Tone{Offer: "/a b", Codec: "PCMU", Frequency: 440.5, Right: 880, Settle: 1500 * time.Millisecond, Listen: 3 * time.Second}
	if got, want := page.URL(base, tone), base+"/tone/tone.html?codec=PCMU&freq=440.5&offer=%2Fa+b&right=880&seconds=3&settle=1.5"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPagesTogether(t *testing.T) {
	page := NewPage()
	const base = "http://127.0.0.1:1"
	recorder := httptest.NewRecorder()
	page.ServeHTTP(recorder, httptest.NewRequest("GET", page.Together(base, Tone{Codec: "PCMU", Right: 880}, Tone{}), nil))
	const want = "<!doctype html><title>Tones</title>\n" +
		"<iframe src=\"" + base + "/tone/tone.html?codec=PCMU&amp;right=880\"></iframe>\n<iframe src=\"" + base + "/tone/tone.html?\"></iframe>\n"
	if got := recorder.Body.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPageTakesResults(t *testing.T) {
	page := NewPage()
	post := func(body string) int {
		recorder := httptest.NewRecorder()
		page.ServeHTTP(recorder, httptest.NewRequest("POST", "/tone/result", strings.NewReader(body)))
		return recorder.Code
	}
	if code := post(`{"peakHz": 440.1, "codec": "audio/opus", "inbound": {"concealedSamples": 480, "totalSamplesReceived": 48000,
		"jitterBufferDelay": 1920, "jitterBufferEmittedCount": 48000}}`); code != http.StatusNoContent {
		t.Fatalf("status %d", code)
	}
	heard := page.Wait(t, time.Second)
	if heard.PeakHz != 440.1 || heard.Codec != "audio/opus" {
		t.Errorf("got %+v", heard)
	}
	if got := heard.Inbound.Concealment(); got != 0.01 {
		t.Errorf("concealment %v, want 0.01", got)
	}
	if got := heard.Inbound.Delay(); got != 40*time.Millisecond {
		t.Errorf("delay %v, want 40ms", got)
	}
	if got := new(Inbound).Concealment(); got != 1 {
		t.Errorf("concealment of nothing %v, want 1", got)
	}
	if code := post("not JSON"); code != http.StatusBadRequest {
		t.Errorf("status %d for what is not JSON", code)
	}
	if code := post(`{"error": "` + strings.Repeat("x", maxResult) + `"}`); code != http.StatusBadRequest {
		t.Errorf("status %d for a result that is too long", code)
	}
	for range cap(page.results) {
		post("{}")
	}
	if code := post("{}"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d when nobody waits", code)
	}
}
