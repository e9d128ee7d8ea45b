package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/parley-media/parley/peer"
)

const (
	pollTime = 20 * time.Second // how long a browser is kept waiting for candidates, or an offer
	maxFound = 256              // candidates of ours that are kept
)

// polled are the candidates of this end, in the order in which they were found.
// They stay, so that one that did not arrive can be asked for again.
type polled struct {
	reading chan struct{} // capacity 1: full while a poll reads from the peer
	polling newest

	mu    sync.Mutex
	first int              // number of the oldest kept
	found []peer.Candidate // an empty one says that there are no more
}

func newPolled() polled { return polled{reading: make(chan struct{}, 1)} }

// since returns the candidates from the given number on, and the number after
// the last one.
func (p *polled) since(n int) ([]peer.Candidate, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.first + len(p.found)
	return p.found[min(max(n-p.first, 0), len(p.found)):], next
}

func (p *polled) add(c peer.Candidate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.found) == maxFound {
		p.found = append([]peer.Candidate(nil), p.found[1:]...) // others may read the old ones
		p.first++
	}
	p.found = append(p.found, c)
}

// current returns the number of the first candidate of the newest ICE session.
func (p *polled) current() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.found)
	if n > 0 && p.found[n-1].Candidate == "" {
		n--
	}
	for n > 0 && p.found[n-1].Candidate != "" {
		n--
	}
	return p.first + n
}

// poll returns the candidates of this end from number n on, and waits for one if
// there is none yet. It returns none when its time is over, or when the same
// browser asks again meanwhile.
func (c *session) poll(ctx context.Context, n int) (found []peer.Candidate, next int, no *refusal) {
	p := &c.ours
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	p.polling.is(cancel)
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		found, next = p.since(n)
		return found, next, nil
	}
	if found, _ = p.since(n); len(found) > 0 {
		cancel() // take what else is there, but do not wait
	}
	for {
		candidate, err := c.peer.ReadCandidate(ctx)
		switch {
		case err == nil, errors.Is(err, io.EOF):
			p.add(candidate)
			cancel()
			continue
		case c.peer.Err() != nil:
			return nil, 0, noCall()
		}
		found, next = p.since(n)
		return found, next, nil
	}
}

func (s *Server) candidates(w http.ResponseWriter, r *http.Request, path string) {
	c, no := s.known(r.PathValue("id"), path)
	since := 0
	if text := r.URL.Query().Get("since"); no == nil && text != "" {
		var err error
		if since, err = strconv.Atoi(text); err != nil || since < 0 {
			no = refuse(http.StatusBadRequest, "since %.20q is not a number", text)
		}
	}
	var answer struct {
		Candidates []peer.Candidate `json:"candidates"`
		Next       int              `json:"next"`
	}
	if no == nil {
		answer.Candidates, answer.Next, no = c.poll(r.Context(), since)
	}
	if no != nil {
		no.write(w)
		return
	}
	if answer.Candidates == nil {
		answer.Candidates = []peer.Candidate{}
	}
	writeJSON(w, http.StatusOK, &answer)
}
