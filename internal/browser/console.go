package browser

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

//go:embed testdata/peer.html testdata/console.js testdata/peer.js testdata/sound.js testdata/gaps.js testdata/tape.js
var peerFiles embed.FS

// A Console is the handler of a page that does what the test tells it, in any
// browser: it fetches expressions, evaluates them, and posts what they are worth.
// The page has a peer connection with tones and numbered pictures to send; see
// testdata/peer.js and testdata/sound.js for its words. Mount it at /peer/ and open [Console.URL] in
// one browser. It is safe for concurrent use.
type Console struct {
	mux  *http.ServeMux
	jobs chan *job

	mu    sync.Mutex
	count int
	asked map[int]*job
}

// A job is an expression and the place for its value.
type job struct {
	ID         int
	Expression string
	value      chan value // capacity 1
}

// A value is what the page posts.
type value struct {
	ID    int
	Value string
	Error string // what was thrown; "" if nothing
}

// NewConsole returns a console that nobody has opened yet.
func NewConsole() *Console {
	files, err := fs.Sub(peerFiles, "testdata")
	if err != nil {
		panic(err)
	}
	c := &Console{mux: http.NewServeMux(), jobs: make(chan *job), asked: map[int]*job{}}
	c.mux.Handle("GET /peer/", http.StripPrefix("/peer/", http.FileServerFS(files)))
	c.mux.HandleFunc("GET /peer/next", c.next)
	c.mux.HandleFunc("POST /peer/value", c.take)
	return c
}

// URL returns the address to open in a browser, for the server at base.
func (c *Console) URL(base string) string { return base + "/peer/peer.html" }

// ServeHTTP serves the page, gives it expressions and takes their values.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// next gives the page something to do, once there is something.
func (c *Console) next(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	select {
	case j := <-c.jobs:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(j) //nolint:errcheck // then the job has no value, which the test reports
	case <-r.Context().Done():
	}
}

func (c *Console) take(w http.ResponseWriter, r *http.Request) {
	var v value
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxResult)).Decode(&v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	j := c.asked[v.ID]
	delete(c.asked, v.ID)
	c.mu.Unlock()
	if j == nil {
		http.Error(w, "nobody asked for "+strconv.Itoa(v.ID), http.StatusNotFound)
		return
	}
	j.value <- v
	w.WriteHeader(http.StatusNoContent)
}

// Eval evaluates a JavaScript expression in the page, awaits it if it is a
// promise, and returns its value as a string. Several may be under way at a time.
// The error is that of ctx, or says what the page has thrown.
func (c *Console) Eval(ctx context.Context, expression string) (string, error) {
	c.mu.Lock()
	c.count++
	j := &job{ID: c.count, Expression: expression, value: make(chan value, 1)}
	c.asked[j.ID] = j
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.asked, j.ID)
	}()
	select {
	case c.jobs <- j:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	select {
	case v := <-j.value:
		if v.Error != "" {
			return "", errors.New(v.Error)
		}
		return v.Value, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Must is Eval that fails the test when there is no value in time.
func (c *Console) Must(t testing.TB, within time.Duration, expression string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	v, err := c.Eval(ctx, expression)
	if err != nil {
		t.Fatalf("the page, asked for %.100s: %v", expression, err)
	}
	return v
}
