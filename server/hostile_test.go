package server_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/server"
)

// Whoever asks about one call all the time is told to wait, and others are not.
func TestFlood(t *testing.T) {
	s, _ := start(t, &server.Config{MaxCalls: 3})
	s.HandleWHIP("/whip", waits)
	locate := func(w *httptest.ResponseRecorder) string { return w.Header().Get("Location") }
	busy := locate(ask(s, "POST", "/wait", object{"type": "offer", "sdp": chromium(t)}))
	calm := locate(ask(s, "POST", "/wait", object{"type": "offer", "sdp": chromium(t)}))
	whip := locate(publish(t, s, "/whip", chromium(t)))
	const n = 1000
	for _, request := range [][2]string{{"PATCH", busy}, {"GET", busy + "/candidates"}, {"PATCH", whip}} {
		statuses := map[int]int{}
		begin := time.Now()
		for range n {
			w := ask(s, request[0], request[1], "null", "Content-Type", fragmentType, "If-Match", "*")
			statuses[w.Code]++
			if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		}
		if allowed := n - statuses[429]; allowed > 100+1+int(20*time.Since(begin).Seconds()) || statuses[500] > 0 {
			t.Errorf("%s %s: %v", request[0], request[1], statuses)
		}
		wantStatus(t, ask(s, "PATCH", calm, "null"), http.StatusNoContent)
	}
	eventually(t, patience, "an offer that has to wait too", func() bool {
		w := ask(s, "POST", "/wait", object{"type": "offer", "sdp": "v=0", "pc_id": busy[len("/wait/"):]})
		for range n {
			ask(s, "PATCH", busy, "null")
		}
		return w.Code == http.StatusTooManyRequests
	})

	statuses := map[int]int{}
	var mu sync.Mutex
	inParallel(100, 10, func(int) {
		w := ask(s, "POST", "/wait", object{"type": "offer", "sdp": chromium(t)})
		mu.Lock()
		statuses[w.Code]++
		mu.Unlock()
	})
	if statuses[503] != 100 {
		t.Errorf("offers without end: %v", statuses)
	}
	wantStatus(t, ask(s, "DELETE", busy, nil), http.StatusNoContent)
}

// A forever is a body without end.
type forever struct{ read int }

func (f *forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	f.read += len(p)
	return len(p), nil
}

func TestLargeBodies(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHIP("/whip", waits)
	location := publish(t, s, "/whip", chromium(t)).Header().Get("Location")
	for _, tt := range []struct{ method, path, kind string }{
		{"POST", "/offer", "application/json"},
		{"PATCH", "/offer", "application/json"},
		{"PATCH", "/offer/nobody", "application/json"},
		{"POST", "/whip", sdpType},
		{"PATCH", location, fragmentType},
	} {
		body := &forever{}
		r := httptest.NewRequest(tt.method, tt.path, io.LimitReader(body, 8<<20))
		r.Header.Set("Content-Type", tt.kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read > 1<<20 {
			t.Errorf("%s %s: status %d after %d bytes", tt.method, tt.path, w.Code, body.read)
		}
	}
}

// Offers that are damaged in all ways are answered or refused, and nothing is
// left of either.
func TestDamagedOffers(t *testing.T) {
	s, _ := start(t, &server.Config{Deadlines: parley.Deadlines{Connect: time.Second}})
	s.HandleWHIP("/whip", waits)
	whole := chromium(t)
	lines := strings.SplitAfter(whole, "\r\n")
	var offers []string
	for i := range lines {
		offers = append(offers,
			strings.Join(lines[:i], ""),
			strings.Join(lines[:i], "")+lines[i][:len(lines[i])/2],
			strings.Join(slices.Delete(slices.Clone(lines), i, i+1), ""),
			strings.Join(slices.Insert(slices.Clone(lines), i, lines[i]), ""),
			strings.Join(slices.Insert(slices.Clone(lines), i, strings.Repeat(lines[i], 300)), ""),
			strings.Join(slices.Insert(slices.Clone(lines), i, "a="+strings.Repeat("x", 100000)+"\r\n"), ""),
		)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		b := []byte(whole)
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.IntN(128))
		}
		offers = append(offers, string(b))
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	inParallel(len(offers), 4, func(i int) {
		for _, w := range []*httptest.ResponseRecorder{
			ask(s, "POST", "/wait", object{"type": "offer", "sdp": offers[i]}),
			ask(s, "POST", "/whip", offers[i], "Content-Type", sdpType),
		} {
			mu.Lock()
			statuses[w.Code]++
			mu.Unlock()
			late := w.Code == http.StatusServiceUnavailable && strings.Contains(w.Body.String(), "not connected within") // on a busy machine
			if w.Code/100 != 2 && w.Code/100 != 4 && !late {
				t.Errorf("status %d: %.200s for %.1000q", w.Code, w.Body, offers[i])
			}
		}
	})
	t.Logf("%d offers: %v", len(offers), statuses)
	if statuses[200] == 0 || statuses[201] == 0 || statuses[400] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
}

// Any request in any order is answered as the calls that there are demand.
func TestRequests(t *testing.T) {
	s, _ := start(t, &server.Config{})
	s.HandleWHIP("/whip", waits)
	offer := chromium(t)
	rapid.Check(t, func(t *rapid.T) {
		live := map[string]string{} // kinds by Location
		dead := []string{"/wait/nobody", "/whip/nobody"}
		locations := func() []string {
			var all []string
			for l := range live {
				all = append(all, l)
			}
			slices.Sort(all)
			return append(all, dead...)
		}
		check := func(w *httptest.ResponseRecorder, statuses ...int) *httptest.ResponseRecorder {
			if !slices.Contains(statuses, w.Code) {
				t.Fatalf("status %d, want one of %v: %s", w.Code, statuses, w.Body)
			}
			return w
		}
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				if len(live) < 3 {
					w := check(ask(s, "POST", "/wait", object{"type": "offer", "sdp": offer, "trickle": true}), 200)
					live[w.Header().Get("Location")] = "wait"
				}
			},
			"publish": func(t *rapid.T) {
				if len(live) < 3 {
					w := check(ask(s, "POST", "/whip", offer, "Content-Type", sdpType), 201)
					live[w.Header().Get("Location")] = "whip"
				}
			},
			"candidate": func(t *rapid.T) {
				l := rapid.SampledFrom(locations()).Draw(t, "location")
				body := "a=end-of-candidates"
				if strings.HasPrefix(l, "/wait") {
					body = "null"
				}
				want := 404
				if live[l] != "" {
					want = 204
				}
				check(ask(s, "PATCH", l, body, "Content-Type", fragmentType, "If-Match", "*"), want, 429)
			},
			"another offer": func(t *rapid.T) {
				l := rapid.SampledFrom(locations()).Draw(t, "location")
				switch live[l] {
				case "wait":
					check(ask(s, "PATCH", l, object{"type": "offer", "sdp": offer}), 200, 429)
				case "whip":
					fragment := fmt.Sprintf("a=ice-ufrag:%d\r\na=ice-pwd:0123456789abcdefghijkl\r\n", rapid.IntRange(1000, 9999).Draw(t, "ufrag"))
					w := check(ask(s, "PATCH", l, fragment, "Content-Type", fragmentType, "If-Match", "*"), 200, 204, 429)
					if w.Code == 200 && w.Header().Get("ETag") == "" {
						t.Fatal("no ETag")
					}
				default:
					check(ask(s, "PATCH", l, object{"type": "offer", "sdp": offer}), 404)
				}
			},
			"hang up": func(t *rapid.T) {
				l := rapid.SampledFrom(locations()).Draw(t, "location")
				switch live[l] {
				case "wait":
					check(ask(s, "DELETE", l, nil), 204)
				case "whip":
					check(ask(s, "DELETE", l, nil), 200)
				default:
					check(ask(s, "DELETE", l, nil), 404)
				}
				if live[l] != "" {
					delete(live, l)
					dead = append(dead, l)
				}
			},
			"nonsense": func(t *rapid.T) {
				method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}).Draw(t, "method")
				path := rapid.SampledFrom([]string{"/", "/wait", "/whip", "/wait/x", "/whip/x", "/wait/x/candidates", "/wait/x/y", "/whip/x/candidates", "/wait/%2e%2e", "/nothing"}).Draw(t, "path")
				kind := rapid.SampledFrom([]string{"", sdpType, fragmentType, "application/json", "\x00"}).Draw(t, "type")
				body := rapid.SampledFrom([]string{"", "null", "[]", "{}", `{"pc_id": "x", "candidates": []}`, `{"type": "offer", "sdp": "v=0"}`, "v=0", "a=end-of-candidates", "\xff"}).Draw(t, "body")
				check(ask(s, method, path, body, "Content-Type", kind), 200, 307, 400, 404, 405, 415)
			},
			"": func(t *rapid.T) {
				if n := s.Calls(); n < len(live) {
					t.Fatalf("%d calls, want %d at least", n, len(live))
				}
			},
		})
		for l := range live {
			ask(s, "DELETE", l, nil)
		}
	})
	eventually(t, patience, "no calls", func() bool { return s.Calls() == 0 })
}
