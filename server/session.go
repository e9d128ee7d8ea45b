package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/peer"
)

// answerTimeout bounds how long an offer may take to be answered.
const answerTimeout = 10 * time.Second

// A session is a call as its browser knows it: by an id that nobody can guess,
// below the path where it was made.
type session struct {
	id       string
	path     string
	peer     *peer.Peer
	released chan struct{} // closed when nothing is left of the call

	answering sync.Mutex // held while an offer is answered

	mu     sync.Mutex
	limit  bucket
	heard  int              // candidates of the far end since its last offer
	ufrags []string         // of the ICE session of that offer
	early  []peer.Candidate // of another one, which an offer still under way may begin

	ours polled

	fragments fragments // of WHIP and WHEP
}

// begin makes a call from an offer, which h serves at path.
func (s *Server) begin(r *http.Request, path, offer string, gather time.Duration, h parley.Handler) (*session, string, *refusal) {
	if no := tooMany(offer); no != nil {
		return nil, "", no
	}
	if err := s.enter(); err != nil {
		no := refuse(http.StatusServiceUnavailable, "%v", err)
		no.retry = "5"
		return nil, "", no
	}
	served := false
	defer func() { // also if answering panics, which net/http survives
		if !served {
			s.leave(nil, false)
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	p, answer, err := s.endpoint.Answer(ctx, offer, &peer.CallConfig{Deadlines: s.config.Deadlines, Gather: gather})
	if err != nil {
		s.config.Logger.Info("offer refused", "error", err, "from", r.RemoteAddr)
		if errors.Is(err, peer.ErrOffer) {
			return nil, "", refuse(http.StatusBadRequest, "%v", err)
		}
		return nil, "", refuse(http.StatusServiceUnavailable, "%v", err)
	}
	s.config.Logger.Info("call made", "from", r.RemoteAddr, "codecs", codecs(p.Call))
	c := &session{id: rand.Text(), path: path, peer: p, released: make(chan struct{}), ours: newPolled(), ufrags: ufrags(offer)}
	s.mu.Lock()
	s.sessions[c.id] = c
	s.mu.Unlock()
	served = true
	go func() {
		err := parley.Serve(s.ctx, p.Call, h)
		_, stuck := errors.AsType[*parley.StuckError](err)
		s.leave(c, stuck)
	}()
	return c, answer, nil
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

// leave takes back what enter counted. c is nil if there was no call after all.
func (s *Server) leave(c *session, stuck bool) {
	s.mu.Lock()
	s.calls--
	if stuck {
		s.stuck++
	}
	if c != nil {
		delete(s.sessions, c.id)
		close(c.released)
	}
	s.mu.Unlock()
	s.served.Done()
}

// find returns the call with that id that was made at path, or nil if there is
// none or it has ended.
func (s *Server) find(id, path string) *session {
	s.mu.Lock()
	c := s.sessions[id]
	s.mu.Unlock()
	if c == nil || c.path != path || c.peer.Err() != nil {
		return nil
	}
	return c
}

// known returns the call that a request is for, if it may ask once more.
func (s *Server) known(id, path string) (*session, *refusal) {
	c := s.find(id, path)
	if c == nil {
		return nil, noCall()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.limit.take(time.Now()) {
		no := refuse(http.StatusTooManyRequests, "more than %d requests in a second about one call", perSecond)
		no.retry = "1"
		return nil, no
	}
	return c, nil
}

// tooMany refuses an offer that makes this end knock at many doors.
func tooMany(offer string) *refusal {
	if strings.Count(offer, "a=candidate:") > maxOffered {
		return refuse(http.StatusBadRequest, "more than %d candidates", maxOffered)
	}
	return nil
}

func noCall() *refusal {
	return refuse(http.StatusNotFound, "there is no such call; it may have ended")
}

// hangUp ends the call for its far end.
func (c *session) hangUp() {
	c.peer.EndWith(&parley.EndError{Reason: parley.Bye, Detail: "the far end has hung up"})
}

// answer answers another offer in the call.
func (c *session) answer(ctx context.Context, offer string) (string, *refusal) {
	if no := tooMany(offer); no != nil {
		return "", no
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c.answering.Lock()
	defer c.answering.Unlock()
	answer, err := c.peer.Answer(ctx, offer)
	switch {
	case err == nil:
		c.renew(offer)
		return answer, nil
	case errors.Is(err, peer.ErrGlare):
		return "", refuse(http.StatusConflict, "%v", err)
	case errors.Is(err, peer.ErrOffer):
		return "", refuse(http.StatusBadRequest, "%v", err)
	case c.peer.Err() != nil:
		return "", noCall()
	}
	return "", refuse(http.StatusServiceUnavailable, "%v", err)
}

// location returns where the session is found, as the client sees it: the path
// that it asked for, which may be longer than what arrived here.
func (c *session) location(r *http.Request) string {
	asked := c.path
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		asked = cmp.Or(u.EscapedPath(), asked)
	}
	return strings.TrimSuffix(asked, "/") + "/" + c.id
}

const (
	perSecond = 20
	burst     = 100
)

// A bucket limits requests to perSecond, with bursts. The zero value is full.
type bucket struct {
	spent float64
	at    time.Time
}

// take reports whether there may be one more at now.
func (b *bucket) take(now time.Time) bool {
	if now.After(b.at) {
		b.spent = max(0, b.spent-perSecond*now.Sub(b.at).Seconds())
		b.at = now
	}
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}
