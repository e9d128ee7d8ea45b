// Package server answers browsers over HTTP: signalling, the calls with their
// limits and deadlines, and a page to try them with.
//
//	s, err := server.New(&server.Config{})
//	s.Handle("/offer", echo.Handler{})
//	http.ListenAndServe("127.0.0.1:8080", s)
//
// An application is reached by a POST of {"sdp": …, "type": "offer"} to its
// path; the answer is {"sdp": …, "type": "answer"}. Everything else is the
// page. Errors are {"error": …} in words.
package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server/page"
)

// Config describes a [Server]. The zero value is good for a program that
// listens on the local machine.
type Config struct {
	Peer      peer.Config
	Deadlines parley.Deadlines // zero fields: 15 s to connect, 15 s to the first media, 30 s of silence; negative: none
	MaxCalls  int              // calls at one time; 0: 1000
	Logger    *slog.Logger     // nil: no log
}

// A Server is an [http.Handler] with the calls that were made through it.
type Server struct {
	config   Config
	endpoint *peer.Endpoint
	mux      *http.ServeMux
	handler  http.Handler
	ctx      context.Context // of all calls
	cancel   context.CancelCauseFunc

	mu     sync.Mutex
	calls  int
	closed bool
	stuck  int64
	served sync.WaitGroup
}

const (
	maxBody       = 256 << 10
	answerTimeout = 10 * time.Second
)

// New opens the UDP port and returns a server without applications.
func New(c *Config) (*Server, error) {
	var config Config
	if c != nil {
		config = *c
	}
	config.MaxCalls = cmp.Or(config.MaxCalls, 1000)
	config.Deadlines.Connect = deadline(config.Deadlines.Connect, 15*time.Second)
	config.Deadlines.FirstMedia = deadline(config.Deadlines.FirstMedia, 15*time.Second)
	config.Deadlines.Silence = deadline(config.Deadlines.Silence, 30*time.Second)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Peer.Logger == nil {
		config.Peer.Logger = config.Logger
	}
	endpoint, err := peer.Listen(&config.Peer)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, endpoint: endpoint, mux: http.NewServeMux()}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.mux.Handle("/", allow(pages(), http.MethodGet, http.MethodHead))
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, "the request comes from a page of another site")
	}))
	s.handler = origins.Handler(s.mux)
	return s, nil
}

func deadline(d, otherwise time.Duration) time.Duration {
	return max(0, cmp.Or(d, otherwise))
}

// Handle makes h the application for offers that are posted to path, as
// "/offer". It must be called before the server is used.
func (s *Server) Handle(path string, h parley.Handler) {
	offers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.offer(w, r, h) })
	s.mux.Handle(path, allow(offers, http.MethodPost))
}

// allow refuses other methods than those given.
func allow(h http.Handler, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		fail(w, http.StatusMethodNotAllowed, r.Method+" is not for "+r.URL.Path)
	})
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Port returns the UDP port that all calls share.
func (s *Server) Port() int { return s.endpoint.Port() }

// Calls returns the number of calls that have not been released.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Stuck returns how many handlers were left behind because they ignored the end
// of their call.
func (s *Server) Stuck() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck
}

var errShutdown = errors.New("the server is shutting down")

// Shutdown ends all calls, and returns when they have been released and the UDP
// port is closed, or with the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel(errShutdown)
	done := make(chan struct{})
	go func() {
		s.served.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.endpoint.Close())
	}
	return s.endpoint.Close()
}

// description is a session description as browsers write it.
type description struct {
	SDP  string `json:"sdp"`
	Type string `json:"type"`
}

func (s *Server) offer(w http.ResponseWriter, r *http.Request, h parley.Handler) {
	var offer description
	if err := readJSON(w, r, &offer); err != nil {
		fail(w, err.status, err.message)
		return
	}
	if offer.Type != "offer" || offer.SDP == "" {
		fail(w, http.StatusBadRequest, `the request has to be {"sdp": "…", "type": "offer"}`)
		return
	}
	if err := s.enter(); err != nil {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	served := false
	defer func() { // also if answering panics, which net/http survives
		if !served {
			s.leave(false)
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	p, answer, err := s.endpoint.Answer(ctx, offer.SDP, &peer.CallConfig{Deadlines: s.config.Deadlines})
	if err != nil {
		s.config.Logger.Info("offer refused", "error", err, "from", r.RemoteAddr)
		status := http.StatusServiceUnavailable
		if errors.Is(err, peer.ErrOffer) {
			status = http.StatusBadRequest
		}
		fail(w, status, err.Error())
		return
	}
	s.config.Logger.Info("call made", "from", r.RemoteAddr, "codecs", codecs(p.Call))
	served = true
	go func() {
		err := parley.Serve(s.ctx, p.Call, h)
		_, stuck := errors.AsType[*parley.StuckError](err)
		s.leave(stuck)
	}()
	writeJSON(w, http.StatusOK, description{SDP: answer, Type: "answer"})
}

// codecs returns what the call sends, by line.
func codecs(c *parley.Call) (names []string) {
	if a := c.Audio(); a != nil {
		names = append(names, a.Codec().String())
	}
	for v := range c.Videos() {
		names = append(names, v.Codec().String())
	}
	return names
}

// enter counts a new call, or says why there cannot be one.
func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errShutdown
	case s.calls >= s.config.MaxCalls:
		return fmt.Errorf("all %d calls are taken", s.config.MaxCalls)
	}
	s.calls++
	s.served.Add(1)
	return nil
}

func (s *Server) leave(stuck bool) {
	s.mu.Lock()
	s.calls--
	if stuck {
		s.stuck++
	}
	s.mu.Unlock()
	s.served.Done()
}

type requestError struct {
	status  int
	message string
}

// readJSON reads the body of r into v.
func readJSON(w http.ResponseWriter, r *http.Request, v any) *requestError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &requestError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than %d kB", maxBody>>10)}
	}
	if err != nil {
		return &requestError{http.StatusBadRequest, "the request did not arrive whole"}
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &requestError{http.StatusBadRequest, "the request is not JSON as expected: " + err.Error()}
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the browser may be gone
}

func fail(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}

// pages serves the page, which loads nothing from elsewhere.
func pages() http.Handler {
	files := http.FileServerFS(page.Files())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "frame-ancestors 'none'") // the rest is in the page
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
