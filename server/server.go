// Package server answers browsers over HTTP: signalling, the calls with their
// limits and deadlines, and a page to try them with.
//
//	s, err := server.New(&server.Config{})
//	s.Handle("/offer", echo.Handler{})
//	http.ListenAndServe("127.0.0.1:8080", s)
//
// An application is reached by a POST of {"sdp": …, "type": "offer"} to its
// path; the answer is {"sdp": …, "type": "answer", "pc_id": …} and a Location.
// There the call can be changed while it goes on: see [Server.Handle]. All of it
// can be had over one WebSocket too, where this end can offer by itself. Encoders
// and players come by WHIP and WHEP: see [Server.HandleWHIP]. Errors are
// {"error": …} in words.
//
// # WebSocket
//
// A socket at the path of an application and "/ws" is one call. Its first message
// is the offer, as it would be posted, and is answered at once; addresses follow.
// Each message is one object of JSON:
//
//	{"type": "offer", "sdp": …}        either end: a call, or a change in one
//	{"type": "answer", "sdp": …}       to an offer of the other end; the first one has "pc_id" and "location" too
//	{"type": "candidate", "candidate": "candidate:…", "sdpMid": …, "sdpMLineIndex": …}
//	                                   either end: an address; "" says that there are no more
//	{"type": "error", "status": 409, "error": …}
//	                                   this end: a message was of no effect
//	{"type": "bye", "reason": …}       either end: the call is over
//
// What a client says may also be in any of the forms that PATCH takes. An offer
// that crosses one of this end is refused (409), and the client answers that one
// first, which browsers do by themselves ("polite" in W3C webrtc-pc, section
// 10.7). A socket that has no answer to a ping within ten seconds is closed, and so
// is one whose client says more than is allowed. The call outlives a socket that is
// lost, by its deadlines; a client gets a new one at its "location" and "/ws", in
// place of the old one. So does one that made its call by POST. Without a socket, this
// end can offer to a client that waits for that: see [Server.Handle].
//
// # Behind a proxy
//
// A proxy passes Host on as the client sent it, since what comes from pages of another
// site is refused (403), and Upgrade, for WebSockets. The address of one on this machine
// without TLS has to be among Origins of [Config]. A proxy that takes a prefix off the
// path puts it back into Location, as nginx does with "proxy_redirect / /prefix/;", or
// what clients ask there does not arrive, such as the DELETE of an encoder; "location"
// of a WebSocket is without it. What [net/http.StripPrefix] takes off is put back here.
// Media does not go through it: see PublicIP of [peer.Config].
//
// # Operations
//
// "/healthz" is 200, and 503 while the server shuts down or waits in [Server.Drain]; the
// example of [Server.Shutdown] has the order of things. [Server.Metrics] is for
// Prometheus, to be mounted beside the server. Each line of the log that is about a call
// has its id ("call", and [CallID] for its handler), and GET of Location/stats tells how
// a call does. "/apps" lists what [Server.Describe] was told, "/ice-servers" has
// {"iceServers": […]} for the page, and everything else is the page.
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
	"github.com/parley-media/parley/internal/loop"
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

	// MaxDuration is how long a call may last. It ends with the reason [TimeUp]. 0:
	// as long as it likes.
	MaxDuration time.Duration

	// MaxLate is the part of the timed work of all calls of this process, over the
	// last second, that may begin more than 20 ms late before new calls are refused
	// with status 503, so that those there are do not suffer from more. What is as
	// little as for two or three calls does not count, but no call is taken while that
	// work has stood still for a second. 0: 0.5; negative: no limit.
	MaxLate float64

	// OffersPerMinute is how many calls one address may ask for in a minute, or all
	// at once; more are refused with status 429. The address is RemoteAddr of the
	// request, so that a server behind a proxy needs a handler before it that puts
	// the client's there. 0: no limit.
	OffersPerMinute int

	// Authorize says whether a request that is about a call may go on; nothing has
	// been done for it before. See [BearerToken]. An error that wraps [ErrForbidden]
	// is answered with status 403, any other with 401, and its text. nil: all may.
	Authorize func(*http.Request) error

	// Origins are the other sites whose pages may make calls, as
	// "https://example.com"; "*" is any. nil: none. On the loopback interface, a page
	// over plain HTTP with a name that is not localhost counts as one of them, since any
	// name may have been made to lead there (DNS rebinding).
	Origins []string

	// ICEServers are what helps a client to reach this server: WHIP and WHEP tell
	// them, and "/ice-servers" does. They are told to each one that was let in, so
	// that their passwords can be good for a short time and for one client: see
	// [TURNCredentials]. nil: none.
	ICEServers func(*http.Request) []peer.Server
}

// A Server is an [http.Handler] with the calls that were made through it.
type Server struct {
	config   Config
	endpoint *peer.Endpoint
	mux      *http.ServeMux
	handler  http.Handler
	foreign  func(*http.Request) bool // it comes from a page of another site
	apps     []App
	offers   *addresses
	metrics  *metrics
	load     func() loop.Load
	ping     time.Duration   // between pings of a socket
	patience time.Duration   // with a client: for the body of a request; and with that of a socket for a pong, for the first message, and for one to be taken
	ctx      context.Context // of all calls
	cancel   context.CancelCauseFunc

	mu       sync.Mutex
	calls    int
	sockets  int
	sessions map[string]*session // by id
	drained  chan struct{}       // closed with the last call; nil while there may be others
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
	config.MaxLate = cmp.Or(config.MaxLate, 0.5)
	config.Deadlines.Connect = deadline(config.Deadlines.Connect, 15*time.Second)
	config.Deadlines.FirstMedia = deadline(config.Deadlines.FirstMedia, 15*time.Second)
	config.Deadlines.Silence = deadline(config.Deadlines.Silence, 30*time.Second)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Peer.Logger == nil {
		config.Peer.Logger = config.Logger
	}
	s := &Server{config: config, mux: http.NewServeMux(), sessions: map[string]*session{}, load: loop.CurrentLoad}
	s.offers = newAddresses(config.OffersPerMinute)
	s.metrics, s.ping, s.patience = newMetrics(s), pingTime, socketPatience
	var err error
	if s.handler, s.foreign, err = guard(s.mux, config.Origins); err != nil {
		return nil, err
	}
	if s.endpoint, err = peer.Listen(&config.Peer); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	files := pages()
	s.mux.Handle("/", methods{http.MethodGet: files, http.MethodHead: files})
	s.mux.Handle("/healthz", methods{http.MethodGet: s.health, http.MethodHead: s.health})
	s.resource("/apps", "", methods{http.MethodGet: s.list})
	s.resource("/ice-servers", "", methods{http.MethodGet: s.iceServers})
	return s, nil
}

// list answers with the applications that there are.
func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	apps := s.apps
	if apps == nil {
		apps = []App{}
	}
	writeJSON(w, http.StatusOK, apps)
}

// health says whether there can be calls.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	ends := s.closed || s.drained != nil
	s.mu.Unlock()
	if ends {
		refuse(http.StatusServiceUnavailable, "%v", errShutdown).write(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func deadline(d, otherwise time.Duration) time.Duration {
	return max(0, cmp.Or(d, otherwise))
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // there may be a body, for which net/http waits even if nobody reads it
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.patience)) //nolint:errcheck // what serves may have limits of its own
	}
	s.handler.ServeHTTP(w, r)
}

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

// TimeUp is the reason for the end of a call that has lasted as long as MaxDuration
// of [Config] allows.
const TimeUp parley.Reason = "time-up"

var errShutdown = errors.New("the server is shutting down")

// Drain has the server refuse new calls (503) from now on, for good, and returns when
// those that there are have ended, or else the error of ctx. All that belongs to them
// goes on meanwhile, further offers and sockets too. [Server.Shutdown] is for what is
// left then.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if s.drained == nil {
		s.drained = make(chan struct{})
		if s.calls == 0 {
			close(s.drained)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown ends all calls, and returns when they have been released and the UDP
// port is closed. When ctx ends before that, or has ended, the port is closed at once and
// the error is that of ctx: a far end to which no goodbye has gone by then notices by
// itself, in five seconds.
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
