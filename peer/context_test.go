package peer_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/parley-media/parley/peer"
)

// A context that is over before anything has changed leaves all as it was.
func TestExchangeTooLate(t *testing.T) {
	caller, called := dial(t, nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := caller.Offer(over, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("offer: %v", err)
	}
	offer, err := called.Offer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Answer(over, offer); !errors.Is(err, context.Canceled) {
		t.Errorf("answer: %v", err)
	}
	answer, err := caller.Answer(t.Context(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := called.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	hearLevel(t, caller.Call, called.Call, 1000)
}

// An until is a context that ends when a peer has a new local description.
type until struct {
	context.Context
	p      *peer.Peer
	before string
}

func untilChanged(t *testing.T, p *peer.Peer) until {
	return until{t.Context(), p, line(p.Connection().LocalDescription().SDP, "a=ice-ufrag:")}
}

func (u until) Err() error {
	if line(u.p.Connection().LocalDescription().SDP, "a=ice-ufrag:") != u.before {
		return context.Canceled
	}
	return nil
}

func (u until) Done() <-chan struct{} {
	if u.Err() == nil {
		return nil
	}
	over := make(chan struct{})
	close(over)
	return over
}

// What has changed is told, although the context has ended meanwhile. The addresses
// follow.
func TestExchangeLate(t *testing.T) {
	caller, called := dial(t, nil)
	offer, err := caller.Offer(untilChanged(t, caller), &peer.OfferOptions{Restart: true})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := called.Answer(untilChanged(t, called), offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.SetAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var trickling sync.WaitGroup
	for _, way := range [][2]*peer.Peer{{caller, called}, {called, caller}} {
		trickling.Go(func() {
			for ctx.Err() == nil {
				if found, err := way[0].ReadCandidate(ctx); err == nil {
					way[1].AddCandidate(found) //nolint:errcheck // it may be an old one
				}
			}
		})
	}
	defer trickling.Wait()
	defer cancel()
	hearLevel(t, caller.Call, called.Call, 1000)
}
