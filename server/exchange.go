package server

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/parley-media/parley/peer"
)

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

// offer makes another offer of this end in the call.
func (c *session) offer(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	c.answering.Lock()
	defer c.answering.Unlock()
	offer, err := c.peer.Offer(ctx, nil)
	if err == nil {
		c.offered = offer
	}
	return offer, err
}

// accept takes the answer to an offer of this end.
func (c *session) accept(ctx context.Context, answer string) *refusal {
	if no := tooMany(answer); no != nil {
		return no
	}
	c.answering.Lock()
	defer c.answering.Unlock()
	err := c.peer.SetAnswer(ctx, answer)
	if c.peer.Connection().SignalingState().String() != "have-local-offer" {
		c.offered = "" // also if the answer was of no use
	}
	switch {
	case err == nil:
		c.renew(answer)
		return nil
	case c.peer.Err() != nil:
		return noCall()
	default:
		return refuse(http.StatusBadRequest, "%v", err)
	}
}

// outstanding returns an offer of this end that has no answer yet, or "".
func (c *session) outstanding() string {
	c.answering.Lock()
	defer c.answering.Unlock()
	return c.offered
}

// nextOffer returns the offer of this end that has no answer yet, or else waits until
// the call has changed at this end, and makes one.
func (c *session) nextOffer(ctx context.Context) (string, error) {
	if offer := c.outstanding(); offer != "" {
		return offer, nil
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-c.peer.Done():
		return "", c.peer.Err()
	case <-c.peer.Negotiate():
	}
	// The offer counts also if the client is lost in the middle.
	return c.offer(context.WithoutCancel(ctx))
}

// nextOfferOf lets a client without a socket wait for an offer of this end.
func (s *Server) nextOfferOf(w http.ResponseWriter, r *http.Request, path string) {
	c, no := s.known(r.PathValue("id"), path)
	if no == nil && c.hasSocket() {
		no = refuse(http.StatusConflict, "offers of this end come over the socket of the call")
	}
	if no != nil {
		no.write(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), pollTime)
	defer cancel()
	c.listening.is(cancel)
	offer, err := c.nextOffer(ctx)
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, described{Type: "offer", SDP: offer})
	case c.peer.Err() != nil:
		noCall().write(w)
	case ctx.Err() != nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		c.logger.Info("no offer to the far end", "error", err)
		refuse(http.StatusServiceUnavailable, "%v", err).write(w)
	}
}

// The newest of those who wait for the same is the one that does.
type newest struct {
	mu   sync.Mutex
	stop context.CancelFunc
}

// is makes the one whom stop stops the newest.
func (n *newest) is(stop context.CancelFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop != nil {
		n.stop()
	}
	n.stop = stop
}
