//go:build interop

package room_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/room"
	"github.com/parley-media/parley/codec/opus/libopus"
	"github.com/parley-media/parley/internal/browser"
	"github.com/parley-media/parley/peer"
)

// levels returns how loud sines are in what is heard, in dB of full scale.
const levels = `(async () => {
	const { analyser } = await ear(%q);
	const wave = new Float32Array(analyser.fftSize);
	analyser.getFloatTimeDomainData(wave);
	return JSON.stringify(%s.map((hz) => {
		let re = 0, im = 0;
		wave.forEach((x, i) => {
			const angle = 2 * Math.PI * hz * i / context.sampleRate;
			const window = 1 - Math.cos(2 * Math.PI * i / wave.length);
			re += window * x * Math.cos(angle);
			im += window * x * Math.sin(angle);
		});
		return 20 * Math.log10(2 * Math.hypot(re, im) / wave.length + 1e-9);
	}));
})()`

// A guest is a browser in the room.
type guest struct {
	console *browser.Console
	far     *peer.Peer
	screens []string // mids
}

func (g *guest) do(t *testing.T, format string, args ...any) string {
	t.Helper()
	return g.console.Must(t, 60*time.Second, fmt.Sprintf(format, args...))
}

// Three Chromiums, each with a tone and numbered pictures: each hears and sees the
// other two, and not itself.
func TestThreeBrowsers(t *testing.T) {
	if err := libopus.Available(); err != nil {
		t.Fatalf("%v (Debian package libopus0)", err)
	}
	e, err := peer.Listen(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	var h room.Handler
	tones := []int{440, 720, 1130}
	guests := make([]*guest, len(tones))
	for i, hz := range tones {
		g := &guest{console: browser.NewConsole()}
		guests[i] = g
		pages := httptest.NewServer(g.console)
		t.Cleanup(pages.Close)
		browser.Chromium(t, g.console.URL(pages.URL))
		g.do(t, "start()")
		g.do(t, "tone(%d)", hz)
		g.do(t, "camera('camera', %d, {codec: 'VP8'})", i+1)
		g.do(t, "camera('', 0, {direction: 'recvonly', codec: 'VP8'})") // to see the second one
		var answer string
		if g.far, answer, err = e.Answer(t.Context(), g.do(t, "offer()"), nil); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- parley.Serve(context.WithoutCancel(t.Context()), g.far.Call, &h) }()
		t.Cleanup(func() {
			g.far.Close()
			<-ended
		})
		g.do(t, "accept(%q)", answer)
		g.do(t, "connected()")
		g.do(t, "ear(%q).then(() => '')", g.far.Audio().Mid())
		for v := range g.far.Videos() {
			g.screens = append(g.screens, v.Mid())
			g.do(t, "eye(%q)", v.Mid())
		}
	}

	list, err := json.Marshal(tones)
	if err != nil {
		t.Fatal(err)
	}
	var wrong string
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		wrong = ""
		for i, g := range guests {
			var got []float64
			if err := json.Unmarshal([]byte(g.do(t, levels, g.far.Audio().Mid(), list)), &got); err != nil {
				t.Fatal(err)
			}
			for k, level := range got {
				if i != k && level < -20 || i == k && level > -50 {
					wrong += fmt.Sprintf("%d hears %d Hz at %.1f dB; ", i+1, tones[k], level)
				}
			}
		}
		if wrong == "" {
			break
		}
		if time.Now().After(end) {
			t.Fatal(wrong)
		}
	}

	for i, g := range guests {
		seen := map[int]bool{}
		for _, mid := range g.screens {
			g.do(t, "seen(%q, true)", mid)
			var v struct{ IDs []int }
			if err := json.Unmarshal([]byte(g.do(t, "sees(%q, 8, 40000)", mid)), &v); err != nil {
				t.Fatal(err)
			}
			for _, id := range v.IDs {
				seen[id] = true
			}
			if len(v.IDs) != 1 {
				t.Errorf("on one screen %d sees %v", i+1, v.IDs)
			}
		}
		others := slices.DeleteFunc([]int{1, 2, 3}, func(n int) bool { return n == i+1 })
		if len(seen) != 2 || !seen[others[0]] || !seen[others[1]] {
			t.Errorf("%d sees %v, want %v", i+1, seen, others)
		}
	}
}
