// Package server answers browsers over HTTP: signalling, the calls with their
// limits and deadlines, and a page to try them with.
//
//	s, err := server.New(&server.Config{})
//	s.Handle("/offer", echo.Handler{})
//	http.ListenAndServe("127.0.0.1:8080", s)
//
// An application is reached by a POST of {"sdp": …, "type": "offer"} to its
// path; the answer is {"sdp": …, "type": "answer", "pc_id": …} and a Location.
// There the call can be changed while it goes on: see [Server.Handle]. Encoders
// and players come by WHIP and WHEP: see [Server.HandleWHIP]. Everything else is
// the page. Errors are {"error": …} in words.
package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
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

	// Authorize says whether a request that is about a call may go on; nothing has
	// been done for it before. See [BearerToken]. An error that wraps [ErrForbidden]
	// is answered with status 403, any other with 401, and its text. nil: all may.
	Authorize func(*http.Request) error

	// Origins are the other sites whose pages may make calls, as
	// "https://example.com"; "*" is any. nil: none.
	Origins []string

	// ICEServers are what helps a client of WHIP or WHEP to reach this server. They
	// are told to each one that was let in, so that their passwords can be good for
	// a short time and for one client. nil: none.
	ICEServers func(*http.Request) []peer.Server
}

// A Server is an [http.Handler] with the calls that were made through it.
type Server struct {
	config   Config
	endpoint *peer.Endpoint
	mux      *http.ServeMux
	handler  http.Handler
	ctx      context.Context // of all calls
	cancel   context.CancelCauseFunc

	mu       sync.Mutex
	calls    int
	sessions map[string]*session // by id
	closed   bool
	stuck    int64
	served   sync.WaitGroup
}

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
	s := &Server{config: config, mux: http.NewServeMux(), sessions: map[string]*session{}}
	var err error
	if s.handler, err = guard(s.mux, config.Origins); err != nil {
		return nil, err
	}
	if s.endpoint, err = peer.Listen(&config.Peer); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	files := pages()
	s.mux.Handle("/", methods{http.MethodGet: files, http.MethodHead: files})
	return s, nil
}

func deadline(d, otherwise time.Duration) time.Duration {
	return max(0, cmp.Or(d, otherwise))
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

// pages serves the page, which loads nothing from elsewhere.
func pages() http.HandlerFunc {
	files := http.FileServerFS(page.Files())
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "frame-ancestors 'none'") // the rest is in the page
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	}
}
