package browser

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

//go:embed testdata/tone.html testdata/tone.js testdata/gaps.js
var toneFiles embed.FS

// maxResult bounds what a page may post; two SDPs and the counters are 10 kB.
const maxResult = 256 << 10

// A Tone says what the test page sends and how long it listens to what comes
// back. The zero value is 440 Hz in mono, in the codec that the browser prefers.
type Tone struct {
	Offer     string        // where the offer goes; "": /offer
	Codec     string        // the only codec offered, as in rtpmap: opus, PCMU; "": all, in the browser's order
	Frequency float64       // of the tone, in Hz; 0: 440
	Right     float64       // in Hz; if not 0 the tone is in stereo, Frequency left and Right right
	Settle    time.Duration // from the first sound to the start of the measurement; 0: 1 s
	Listen    time.Duration // how long the measurement lasts; 0: 6 s
}

// A Page is the handler of the test page. Mount it at /tone/, beside the server
// under test, and open [Page.URL] in a browser. It is safe for concurrent use.
type Page struct {
	mux     *http.ServeMux
	results chan *Result
}

// NewPage returns a page that nobody has opened yet.
func NewPage() *Page {
	files, err := fs.Sub(toneFiles, "testdata")
	if err != nil {
		panic(err)
	}
	p := &Page{mux: http.NewServeMux(), results: make(chan *Result, 16)}
	p.mux.Handle("GET /tone/", http.StripPrefix("/tone/", http.FileServerFS(files)))
	p.mux.HandleFunc("GET /tone/frames", frames)
	p.mux.HandleFunc("POST /tone/result", p.take)
	return p
}

// URL returns the address to open in a browser, for the server at base, such as
// "http://127.0.0.1:8080".
func (p *Page) URL(base string, o Tone) string {
	query := make(url.Values)
	text := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	number := func(name string, value float64) {
		if value != 0 {
			query.Set(name, strconv.FormatFloat(value, 'g', -1, 64))
		}
	}
	text("offer", o.Offer)
	text("codec", o.Codec)
	number("freq", o.Frequency)
	number("right", o.Right)
	number("settle", o.Settle.Seconds())
	number("seconds", o.Listen.Seconds())
	return base + "/tone/tone.html?" + query.Encode()
}

// Together returns the address of a page with several test pages in it, which measure
// at the same time. Each has a result of its own, in any order.
func (p *Page) Together(base string, tones ...Tone) string {
	query := make(url.Values)
	for _, o := range tones {
		query.Add("page", p.URL(base, o))
	}
	return base + "/tone/frames?" + query.Encode()
}

func frames(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintln(w, "<!doctype html><title>Tones</title>")
	for _, page := range r.URL.Query()["page"] {
		fmt.Fprintf(w, "<iframe src=\"%s\"></iframe>\n", html.EscapeString(page))
	}
}

// ServeHTTP serves the page and takes its result.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

func (p *Page) take(w http.ResponseWriter, r *http.Request) {
	result := new(Result)
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxResult)).Decode(result); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case p.results <- result:
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "nobody waits for results", http.StatusServiceUnavailable)
	}
}

// Wait returns the next result. It fails the test if none comes in time, or if
// the page could not measure anything.
func (p *Page) Wait(t testing.TB, within time.Duration) *Result {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case result := <-p.results:
		if result.Error != "" {
			t.Fatalf("the page says: %s (%s)", result.Error, result.UserAgent)
		}
		return result
	case <-timer.C:
		t.Fatalf("no result from the page in %v", within)
	case <-t.Context().Done():
		t.Fatalf("no result from the page: %v", t.Context().Err())
	}
	return nil
}
