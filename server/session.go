package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
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
	began    time.Time
	logger   *slog.Logger
	released chan struct{} // closed when nothing is left of the call

	answering sync.Mutex // held during an exchange of descriptions
	offered   string     // an offer of this end that has no answer yet
	listening newest     // who waits for one

	mu     sync.Mutex
	limit  bucket
	socket *socket          // the newest; nil: none
	heard  int              // candidates of the far end since its last offer
	ufrags []string         // of the ICE session of that offer
	early  []peer.Candidate // of another one, which an offer still under way may begin

	ours polled

	fragments fragments // of WHIP and WHEP
	tallied   tallied
	measured  *parley.Audio // used by metrics.watch only
}

// begin makes a call from an offer, at path, for the application that is chosen.
func (s *Server) begin(o *Offer, path string, gather time.Duration, choose chooser) (c *session, answer string, no *refusal) {
	defer func() {
		if no != nil {
			s.refused(o.Request, no)
		}
	}()
	if !s.offers.take(o.RemoteAddr, time.Now()) {
		no := refuse(http.StatusTooManyRequests, "more than %d calls in a minute from one address", s.config.OffersPerMinute)
		no.retry = strconv.Itoa(max(1, 60/s.config.OffersPerMinute))
		return nil, "", no
	}
	if no := tooMany(o.SDP); no != nil {
		return nil, "", no
	}
	h, no := o.chosen(choose)
	if no != nil {
		return nil, "", no
	}
	if full := s.enter(); full != nil {
		s.metrics.full.WithLabelValues(full.reason).Inc()
		no := refuse(http.StatusServiceUnavailable, "%v", full)
		no.retry = full.retry
		return nil, "", no
	}
	served := false
	defer func() { // also if answering panics, which net/http survives
		if !served {
			s.leave(nil, nil)
		}
	}()
	ctx, cancel := context.WithTimeout(o.Context(), answerTimeout)
	defer cancel()
	c = &session{id: rand.Text(), path: path, began: time.Now(), released: make(chan struct{}), ours: newPolled(), ufrags: ufrags(o.SDP)}
	c.logger = s.config.Logger.With("call", c.id)
	var err error
	c.peer, answer, err = s.endpoint.Answer(ctx, o.SDP, &peer.CallConfig{
		Deadlines: s.config.Deadlines, Gather: gather, Logger: s.config.Peer.Logger.With("call", c.id),
	})
	if err != nil {
		if errors.Is(err, peer.ErrOffer) {
			return nil, "", refuse(http.StatusBadRequest, "%v", err)
		}
		return nil, "", refuse(http.StatusServiceUnavailable, "%v", err)
	}
	if kind := turnedDown(o.SDP, answer); kind != "" && o.whole {
		c.peer.Close()
		return nil, "", refuse(http.StatusUnprocessableEntity, "%s cannot be taken: it has no codec that is known here, is one line too many, or is not bundled", kind)
	}
	c.logger.Info("call made", "from", o.RemoteAddr, "path", o.URL.Path, "codecs", codecs(c.peer.Call))
	s.metrics.made.Inc()
	s.mu.Lock()
	s.sessions[c.id] = c
	s.mu.Unlock()
	served = true
	go s.serve(c, h)
	return c, answer, nil
}

type callID struct{} // key of a context

// CallID returns the id of the call for whose handler ctx is, as the log and the
// Location of the call have it; "" for any other.
func CallID(ctx context.Context) string {
	id, _ := ctx.Value(callID{}).(string)
	return id
}

// serve serves a call until nothing is left of it.
func (s *Server) serve(c *session, h parley.Handler) {
	var watching sync.WaitGroup
	watching.Go(func() { s.metrics.watch(c) })
	if d := s.config.MaxDuration; d > 0 {
		limit := time.AfterFunc(d, func() {
			c.peer.EndWith(&parley.EndError{Reason: TimeUp, Detail: fmt.Sprintf("calls last %v at most", d)})
		})
		defer limit.Stop()
	}
	err := parley.Serve(context.WithValue(s.ctx, callID{}, c.id), c.peer.Call, h)
	watching.Wait()
	s.leave(c, err)
}

// refused notes that an offer for a call was refused.
func (s *Server) refused(r *http.Request, no *refusal) {
	s.metrics.refuse(no)
	s.config.Logger.Info("offer refused", "status", no.status, "error", no.message, "from", r.RemoteAddr, "path", r.URL.Path)
}

// codecs returns what the call sends, by line.
func codecs(c *parley.Call) (names []string) {
	for a := range c.Audios() {
		names = append(names, a.Codec().String())
	}
	for v := range c.Videos() {
		names = append(names, v.Codec().String())
	}
	return names
}

// enter counts a new call, or says why there cannot be one.
func (s *Server) enter() *refusedCall {
	late := s.tooLate()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.drained != nil:
		return &refusedCall{reason: "shutdown", retry: "5", detail: errShutdown.Error()}
	case s.calls >= s.config.MaxCalls:
		return &refusedCall{reason: "calls", retry: "5", detail: fmt.Sprintf("all %d calls are taken", s.config.MaxCalls)}
	case late != nil:
		return late
	}
	s.calls++
	s.served.Add(1)
	return nil
}

// leave takes back what enter counted, and tells how the call was, which ended with
// err. c is nil if there was no call after all.
func (s *Server) leave(c *session, err error) {
	_, stuck := errors.AsType[*parley.StuckError](err)
	if c != nil {
		s.metrics.tally(c)
		s.metrics.duration.Observe(time.Since(c.began).Seconds())
		end, _ := errors.AsType[*parley.EndError](err)
		s.metrics.ended(end)
		c.logger.Info("call released", "end", err, "after", time.Since(c.began).Round(time.Millisecond), "stuck", stuck)
	}
	s.mu.Lock()
	if s.calls--; s.calls == 0 && s.drained != nil {
		close(s.drained)
	}
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
	if no := c.mayAsk(); no != nil {
		return nil, no
	}
	return c, nil
}

// mayAsk refuses what is too much of one client.
func (c *session) mayAsk() *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit.take(time.Now(), perSecond, burst) {
		return nil
	}
	no := refuse(http.StatusTooManyRequests, "more than %d requests in a second about one call", perSecond)
	no.retry = "1"
	return no
}

// tooMany refuses an offer that makes this end knock at many doors: at those of the
// section that stands for its bundle, again and again until one opens (RFC 8445, section
// 6.1.2.5, has 100 as well).
func tooMany(offer string) *refusal {
	all, here := 0, 0
	for line := range strings.FieldsFuncSeq(offer, func(r rune) bool { return r == '\r' || r == '\n' }) {
		switch {
		case strings.HasPrefix(line, "m="):
			here = 0
		case strings.HasPrefix(line, "a=candidate:"):
			all++
			here++
		}
		if here > maxHeard {
			return refuse(http.StatusBadRequest, "more than %d candidates in one section", maxHeard)
		}
		if all > maxOffered {
			return refuse(http.StatusBadRequest, "more than %d candidates", maxOffered)
		}
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

// wanted ends a call whose client did not wait for the answer to its offer, and knows
// nothing of the call that it could end.
func (c *session) wanted(r *http.Request) {
	if r.Context().Err() != nil {
		c.hangUp()
	}
}

// location returns where the session is found, as the client sees it: the path
// that it asked for, which may be longer than what arrived here, without end.
func (c *session) location(r *http.Request, end string) string {
	asked := c.path
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		asked = cmp.Or(u.EscapedPath(), asked)
	}
	asked = strings.TrimSuffix(strings.TrimSuffix(asked, end), "/")
	return asked + "/" + c.id
}
