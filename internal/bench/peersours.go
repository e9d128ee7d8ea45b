package bench

import (
	"context"
	"fmt"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/internal/bench/pionpeers"
	"github.com/parley-media/parley/peer"
)

// A peerWorker is a program of ours that sends back what it hears.
type peerWorker struct {
	endpoint *peer.Endpoint
	echo     bool // decoded, played out and encoded, and not as it came
	calls    []*peer.Peer
}

func newPeerWorker(echo bool) (*peerWorker, error) {
	e, err := peer.Listen(&peer.Config{Interface: pionpeers.OnLoopback})
	if err != nil {
		return nil, err
	}
	return &peerWorker{endpoint: e, echo: echo}, nil
}

func (w *peerWorker) do(ctx context.Context, q peersRequest) (r peersReply, err error) {
	if q.Do != doAnswer {
		return r, fmt.Errorf("a call does not %s", q.Do)
	}
	p, answer, err := w.endpoint.Answer(ctx, q.SDP, nil)
	if err != nil {
		return r, err
	}
	w.calls = append(w.calls, p)
	r.SDP = answer
	if w.echo {
		go echo(p.Audio()) //nolint:errcheck // it ends with the call
	} else {
		go parley.Copy(ctx, p.Call, p.Call) //nolint:errcheck // the same
	}
	return r, nil
}

// echo sends back what is heard, frame by frame.
func echo(a *parley.Audio) error {
	var f audio.Frame
	for {
		if err := a.ReadFrame(&f); err != nil {
			return err
		}
		if f.Kind == audio.Silence {
			continue
		}
		if err := a.WriteLive(&f); err != nil {
			return err
		}
	}
}

func (w *peerWorker) Close() error {
	for _, p := range w.calls {
		p.Close()
	}
	return w.endpoint.Close()
}
