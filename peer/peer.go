package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/stream"
)

// CallConfig describes one call. The zero value is a good one, but has no deadlines for
// media: that a connection is lost is noticed without (see [Timeouts]), and one that does
// not come about has 30 s, from when both ends have described it, where there is no
// deadline for that either.
type CallConfig struct {
	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: a PTime (of Fixed 60 ms), 500 ms
	Deadlines          parley.Deadlines
	Logger             *slog.Logger // of all that is about this call; nil: that of Config

	// Silence is how long silence is sent when nothing more is written, before
	// nothing is sent, so that the browser does not go on with the last sound, as
	// if something were lost. 0: 40 ms; negative: for as long as nothing is written.
	Silence time.Duration

	// Gather is how long a description waits for the addresses of this end, which
	// servers of Config may be slow to tell; what comes later is for
	// [Peer.ReadCandidate] only. 0: 500 ms; negative: not at all, so that a
	// description has none.
	Gather time.Duration

	Servers   []Server // nil: those of Config
	RelayOnly bool     // reach the far end through a relay (TURN) only; without one the call ends

	// What an offer of this end asks for; what the far end offers is taken anyway.
	NoAudio bool
	Videos  int // lines of video
}

// A Peer is a [parley.Call] with a browser, or with another program that speaks
// WebRTC.
//
// What the far end sends, and can be sent, are the lines of the call, of audio and
// of video. All lines are in the answer both ways, as far as the far end wants
// them, so that what is written at any time later is heard without another
// exchange. The exception is what [Peer.SetDirection] says. For the far end all of
// them belong to one stream (MSID, CNAME).
type Peer struct {
	*parley.Call
	c *connection
}

// Connection returns the peer connection underneath, for what this package has
// no words for. Closing it ends the call.
func (p *Peer) Connection() *webrtc.PeerConnection { return p.c.pc }

var (
	// ErrOffer is returned, wrapped with what was wrong, for an offer that cannot
	// be answered.
	ErrOffer = errors.New("peer: unusable offer")

	// ErrAnswer is the same for an answer to an offer of this end.
	ErrAnswer = errors.New("peer: unusable answer")

	// ErrGlare is wrapped by the error for an offer that has crossed one of this
	// end, which stands: the far end has to take its own back and answer. Browsers
	// do so when they are given the offer; with another far end it may be this one
	// that gives way ([Peer.Rollback]).
	ErrGlare = errors.New("peer: the offer crossed one of this end")
)

var errNotAnswered = errors.New("peer: offer not answered")

// dial makes a connection with its call.
func (e *Endpoint) dial(c *CallConfig) (*Peer, error) {
	if e.closed.Load() {
		return nil, fmt.Errorf("peer: %w", net.ErrClosed)
	}
	logger, in := e.logger, newIntake()
	if c != nil && c.Logger != nil {
		logger = c.Logger
	}
	configuration := e.configuration(c)
	api := e.api(configuration, logger, in)
	pc, err := api.NewPeerConnection(configuration)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	n := newConnection(api, pc, in, c, e.timeouts, logger)
	n.public = e.public
	if err := n.open(logger, e.unblocking && !relayed(configuration)); err != nil {
		return nil, err
	}
	return &Peer{Call: n.call, c: n}, nil
}

// giveUp ends a call that never came about.
func (p *Peer) giveUp(err error) {
	p.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
	p.Close()
}

// Answer makes a call from the offer of a browser, and returns the answer (SDP)
// that completes the signalling. The context covers the answering only. After
// Close of the endpoint the error wraps [net.ErrClosed].
func (e *Endpoint) Answer(ctx context.Context, offer string, c *CallConfig) (_ *Peer, answer string, err error) {
	p, err := e.dial(c)
	if err != nil {
		return nil, "", err
	}
	if answer, err = p.Answer(ctx, offer); err == nil {
		err = inTime(ctx)
	}
	if err != nil {
		p.giveUp(err)
		return nil, "", err
	}
	return p, answer, nil
}

// Offer makes a call from this end, and returns the offer (SDP) to be answered:
// see [Peer.SetAnswer], which gives the call its lines. The context covers the
// making of the offer only.
func (e *Endpoint) Offer(ctx context.Context, c *CallConfig) (_ *Peer, offer string, err error) {
	p, err := e.dial(c)
	if err != nil {
		return nil, "", err
	}
	if err = p.c.prepare(); err == nil {
		offer, err = p.Offer(ctx, nil)
	}
	if err == nil {
		err = inTime(ctx)
	}
	if err != nil {
		p.giveUp(err)
		return nil, "", err
	}
	return p, offer, nil
}

// An Exchange carries an offer to the far end and returns its answer.
type Exchange func(ctx context.Context, offer string) (answer string, err error)

// Dial calls a far end that answers offers, such as a server of this project or
// one that speaks WHIP, and returns the call once it is connected. Of two endpoints
// with one port each, there can be one call at a time between them: a program that
// makes many to one server has a range of ports (PortMin of [Config]).
func (e *Endpoint) Dial(ctx context.Context, exchange Exchange, c *CallConfig) (*Peer, error) {
	p, offer, err := e.Offer(ctx, c)
	if err != nil {
		return nil, err
	}
	answer, err := exchange(ctx, offer)
	if err == nil {
		err = p.SetAnswer(ctx, answer)
	}
	if err == nil {
		err = p.WaitConnected(ctx)
	}
	if err != nil {
		p.giveUp(err)
		return nil, err
	}
	return p, nil
}
