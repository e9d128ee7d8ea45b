//go:build interop

package server_test

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/server"
)

// listen serves the echo and the test page to browsers on this machine.
func listen(t *testing.T, c *server.Config) (s *server.Server, page *browser.Page, url string) {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := server.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/offer", echo.Handler{})
	page = browser.NewPage()
	mux := http.NewServeMux()
	mux.Handle("/tone/", page)
	mux.Handle("/", s)
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		ts.Close()
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return s, page, ts.URL
}

// Browsers hear their own tone, in each codec that they have.
func TestEcho(t *testing.T) {
	open := map[string]func(testing.TB, string) *browser.Process{"Chromium": browser.Chromium, "Firefox": browser.Firefox}
	tests := []struct {
		browser, codec string
	}{
		{"Chromium", "opus"}, {"Chromium", "PCMU"}, {"Chromium", "PCMA"}, {"Chromium", "G722"}, {"Firefox", "opus"},
	}
	for _, tt := range tests {
		t.Run(tt.browser+"/"+tt.codec, func(t *testing.T) {
			s, page, url := listen(t, &server.Config{})
			process := open[tt.browser](t, page.URL(url, browser.Tone{Codec: tt.codec}))
			r := page.Wait(t, time.Minute)
			if r.Error != "" {
				t.Fatalf("%s: %s", tt.browser, r.Error)
			}
			t.Logf("%s: peak %.2f Hz, connected in %.0f ms, concealed %.2f %%, longest gap %.0f ms, jitter buffer %v, round trip %.1f ms, lost %.1f %%",
				r.Codec, r.PeakHz, r.ConnectMs, 100*r.Inbound.Concealment(), r.LongestSteadyGapMs, r.Inbound.Delay(), 1000*r.RoundTripSeconds, 100*r.FractionLost)
			if math.Abs(r.PeakHz-440) > 2 {
				t.Errorf("peak at %.1f Hz, want 440", r.PeakHz)
			}
			if c := r.Inbound.Concealment(); c > 0.03 { // none on a machine that has nothing else to do
				t.Errorf("the browser made up %.1f %% of what it played", 100*c)
			}
			if r.Inbound.PacketsLost > 0 {
				t.Errorf("%d packets lost", r.Inbound.PacketsLost)
			}
			if !r.HasRemoteReport {
				t.Error("the browser got no report from us")
			}
			process.Kill()
			deadline := time.Now().Add(10 * time.Second)
			for s.Calls() > 0 && time.Now().Before(deadline) {
				time.Sleep(20 * time.Millisecond)
			}
			if n := s.Calls(); n > 0 {
				t.Errorf("%d calls 10 s after the browser was killed", n)
			}
		})
	}
}

// A person opens the page, presses Start and hears themselves.
func TestPage(t *testing.T) {
	_, _, url := listen(t, &server.Config{})
	tab := browser.Open(t, url, browser.View{})
	tab.Click("#start")
	tab.Wait(`body[data-connection="connected"]`, 15*time.Second)
	tab.Wait(`body[data-codec="audio/opus"]`, 15*time.Second)
	tab.Eval(`new Promise(done => setTimeout(done, 5000))`)
	t.Logf("screenshot: %s", tab.Screenshot("connected"))
	if got := tab.Text("#offer pre"); !strings.Contains(got, "m=audio") {
		t.Errorf("the offer is shown as %q", got)
	}
	if got := tab.Text("#answer pre"); !strings.Contains(got, "opus/48000/2") {
		t.Errorf("the answer is shown as %q", got)
	}
	if got := tab.Text("#packets-back"); got == "–" || got == "0" {
		t.Errorf("packets received: %q", got)
	}
	tab.Click("#start")
	tab.Wait(`body[data-phase="ended"]`, 5*time.Second)
}

// What Chromium codes is decoded, goes to a handler as PCM, is coded again by us
// and decoded by Chromium.
func TestOpusThroughPCM(t *testing.T) {
	if err := libopus.Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
	s, page, url := listen(t, &server.Config{})
	var total, made time.Duration
	s.Handle("/pcm", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		var f audio.Frame
		for {
			if err := c.Audio().ReadFrame(&f); err != nil {
				return err
			}
			total += f.Duration()
			if f.Kind == audio.Concealed {
				made += f.Duration()
			}
			if err := c.Audio().WriteFrame(&f); err != nil {
				return err
			}
		}
	}))
	browser.Chromium(t, page.URL(url, browser.Tone{Offer: "/pcm", Codec: "opus"}))
	r := page.Wait(t, time.Minute)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	for deadline := time.Now().Add(10 * time.Second); s.Calls() > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("peak %.2f Hz, level %.1f dB of %.1f dB sent, concealed by the browser %.2f %%, by us %v of %v",
		r.PeakHz, r.LevelDB, r.SentLevelDB, 100*r.Inbound.Concealment(), made, total)
	if math.Abs(r.PeakHz-440) > 2 || math.Abs(r.LevelDB-r.SentLevelDB) > 3 {
		t.Errorf("heard %.1f Hz at %.1f dB, want 440 Hz at %.1f dB", r.PeakHz, r.LevelDB, r.SentLevelDB)
	}
	if total < 5*time.Second || made > total/25 {
		t.Errorf("%v of %v were made up", made, total)
	}
}
