//go:build interop

package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/server"
)

// hum sends a tone on a line until it ends.
func hum(line *parley.Audio, hz float64) error {
	f := audio.Frame{Format: audio.Format{Rate: 48000, Channels: 1}, Samples: make([]int16, 960)}
	for n := 0; ; {
		for i := range f.Samples {
			f.Samples[i] = int16(6000 * math.Sin(2*math.Pi*hz*float64(n)/48000))
			n++
		}
		if err := line.WriteFrame(&f); err != nil {
			return err
		}
	}
}

// A choir hums 440 Hz, and after a second on further lines one of these after the
// other. When it is told to, it takes the first of them away.
type choir struct {
	more   []float64
	remove chan struct{}
}

func (h choir) ServeCall(ctx context.Context, c *parley.Call) error {
	if err := c.WaitConnected(ctx); err != nil {
		return err
	}
	var voices sync.WaitGroup
	defer voices.Wait()
	voices.Go(func() { hum(c.Audio(), 440) }) //nolint:errcheck // it ends with the call
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil
	}
	var added []*parley.Audio
	for _, hz := range h.more {
		a, err := c.AddAudio(ctx)
		if err != nil {
			return err
		}
		added = append(added, a)
		voices.Go(func() { hum(a, hz) }) //nolint:errcheck // it ends with the line
	}
	select {
	case <-h.remove:
		if err := c.Remove(added[0]); err != nil {
			return err
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// tones notes on the body which tone is heard on each line of sound.
const tones = `
	const context = new AudioContext();
	const ears = new Map();
	const hear = (track) => {
		if (!ears.has(track)) {
			const analyser = new AnalyserNode(context, { fftSize: 8192 });
			context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
			ears.set(track, analyser);
		}
		const analyser = ears.get(track);
		const bins = new Float32Array(analyser.frequencyBinCount);
		analyser.getFloatFrequencyData(bins);
		const peak = bins.indexOf(Math.max(...bins));
		return bins[peak] < -60 ? 0 : 20 * Math.round(peak * context.sampleRate / analyser.fftSize / 20);
	};
	setInterval(() => {
		const lines = document.querySelector('#speaker').srcObject?.getAudioTracks() ?? [];
		document.body.dataset.tones = lines.map(hear).sort((a, b) => a - b).join(' ');
	}, 100);`

// perform has a page whose server has a choir. What a driven page has heard in the end
// is its result.
func perform(t *testing.T, h choir, want string) (url string, result <-chan map[string]string) {
	t.Helper()
	if err := libopus.Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
	s, err := server.New(&server.Config{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle("/offer", h)
	s.Describe(server.App{Path: "/offer", Name: "Choir", Media: []string{"audio", "video"}})
	results := make(chan map[string]string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /driven.html", driven)
	mux.HandleFunc("GET /drive.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(w, `%s
			const { dataset } = document.body;
			const until = async (condition) => {
				for (const end = performance.now() + 30000; !condition() && performance.now() < end;) await new Promise((done) => setTimeout(done, 50));
			};
			await until(() => 'ready' in dataset);
			document.querySelector('#camera').value = 'none';
			document.querySelector('#start').click();
			await until(() => dataset.tones === %q);
			await fetch('result', { method: 'POST', body: JSON.stringify({ ...dataset, log: document.querySelector('#log').innerText }) });`, tones, want)
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		var seen map[string]string
		if err := json.NewDecoder(r.Body).Decode(&seen); err != nil {
			t.Error(err)
		}
		results <- seen
	})
	mux.Handle("/", s)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		web.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), within)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return web.URL, results
}

// heardTones waits until these are heard, each on a line of its own.
func (v *visit) heardTones(want string) {
	v.t.Helper()
	v.until("the tones "+want, fmt.Sprintf(`document.body.dataset.tones === %q && document.body.dataset.sounds === %q`, want, fmt.Sprint(len(strings.Fields(want)))))
}

// An application adds a line in the middle of a call that was made by POST: the page
// answers that offer of the server, hears the line, and that it is taken away.
func TestLineOfTheServer(t *testing.T) {
	for name, prepare := range map[string]string{
		"socket": "",
		"poll":   `window.WebSocket = function none() { throw new Error('as the test wants'); }`,
	} {
		t.Run(name, func(t *testing.T) {
			h := choir{more: []float64{660}, remove: make(chan struct{})}
			url, _ := perform(t, h, "")
			v := enter(t, url, browser.View{})
			v.Eval("(() => {" + prepare + tones + "})()")
			v.set("camera", "none")
			v.call()
			v.heardTones("440 660")
			close(h.remove)
			v.heardTones("440")
			v.set("camera", "test")
			v.until("a change of the page after those of the server", `document.querySelectorAll('#screens .own').length === 1 && document.body.dataset.signaling === 'stable'`)
			v.heardTones("440")
			v.hangUp()
		})
	}
}

// Offers of the page and of the server cross, and both come about.
func TestCrossingOffers(t *testing.T) {
	h := choir{more: []float64{660, 880, 1100, 1320}, remove: make(chan struct{})}
	url, _ := perform(t, h, "")
	v := enter(t, url, browser.View{})
	v.Eval("(() => {" + tones + "})()")
	v.set("camera", "test")
	v.call()
	for range 6 {
		v.push("#video")
		v.Eval(`new Promise((done) => setTimeout(done, 200))`)
	}
	v.heardTones("440 660 880 1100 1320")
	v.until("the picture", `document.querySelectorAll('#screens .own').length === 1 && document.querySelector('#error').hidden`)
	v.hangUp()
}

// Firefox hears a line of the server too.
func TestLineOfTheServerInFirefox(t *testing.T) {
	url, results := perform(t, choir{more: []float64{660}}, "440 660")
	browser.Firefox(t, url+"/driven.html")
	select {
	case seen := <-results:
		if seen["tones"] != "440 660" || seen["sounds"] != "2" {
			t.Errorf("%v", seen)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing from the page")
	}
}
