package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// A connection is a peer connection of pion, the call that it carries, and the
// legs between them. For the call it is what opens its channels, and asks for lines.
type connection struct {
	api      *webrtc.API
	pc       *webrtc.PeerConnection
	intake   *intake
	name     string // of the stream that all our tracks belong to
	call     *parley.Call
	config   CallConfig
	timeouts Timeouts
	public   netip.Addr // told in the place of local addresses; zero: none
	channels *channels

	needed chan struct{} // capacity 1: the far end has to hear of a change
	direct atomic.Bool   // packets leave through a socket that never blocks
	byUDP  atomic.Bool   // the far end has told an address for UDP

	signalling sync.Mutex // held during an exchange of descriptions
	legs       map[*webrtc.RTPTransceiver]*leg
	tracks     int                     // legs made so far
	layout     []slot                  // the lines of the last description that both ends have agreed on
	offered    []*sdp.MediaDescription // by this end, the last time
	restarting bool                    // with which ICE began anew
	early      []Candidate             // that came before the answer which they belong to
	taken      string                  // the last answer of the far end; "": none
	role       string                  // of this end in DTLS; "": none yet
	talks      bool                    // this end has opened a channel
	declined   bool                    // the far end has turned channels down
	exchanged  chan struct{}           // closed, and made anew, when both ends have agreed

	mu         sync.Mutex
	closed     bool
	connected  bool        // it was, at least
	lost       *time.Timer // ends the call unless the far end is reached before; nil: it is
	found      []Candidate
	told       []string      // which they were, until there are no more
	complete   bool          // there are no more
	reachable  bool          // there was one
	news       chan struct{} // closed when one of the two changes
	goroutines sync.WaitGroup
}

func newConnection(api *webrtc.API, pc *webrtc.PeerConnection, in *intake, c *CallConfig, timeouts Timeouts, logger *slog.Logger) *connection {
	n := &connection{
		api:       api,
		pc:        pc,
		intake:    in,
		timeouts:  timeouts,
		name:      rand.Text(),
		legs:      map[*webrtc.RTPTransceiver]*leg{},
		needed:    make(chan struct{}, 1),
		exchanged: make(chan struct{}),
		news:      make(chan struct{}),
	}
	if c != nil {
		n.config = *c
	}
	n.channels = newChannels(pc, logger)
	return n
}

// open makes the call, which owns the connection from then on. The sockets of local
// addresses may be such that never block.
func (c *connection) open(logger *slog.Logger, unblocking bool) (err error) {
	c.call, err = parley.New(parley.Config{Deadlines: c.config.Deadlines, Connection: true, Logger: logger, Channels: c, Lines: c})
	if err != nil {
		return err
	}
	c.channels.attach(c.call)
	c.watch(unblocking)
	return nil
}

// watch connects the callbacks of the peer connection to the call.
func (c *connection) watch(unblocking bool) {
	c.intake.onFull(func() {
		c.call.EndWith(&parley.EndError{Reason: parley.Failed, Detail: fmt.Sprintf("the far end sends more than %d streams", maxStreams)})
	})
	var doubt atomic.Bool // pion calls from goroutines that may overlap
	c.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		was := c.look(state)
		switch state {
		case webrtc.PeerConnectionStateConnected:
			c.call.Connected()
			if doubt.Swap(false) {
				c.call.Emit(parley.Event{Kind: parley.Reconnected})
			}
		case webrtc.PeerConnectionStateDisconnected:
			doubt.Store(true)
			c.call.Emit(parley.Event{Kind: parley.Unreachable})
		case webrtc.PeerConnectionStateFailed:
			never := "the connection failed"
			if hint := c.Unreached(); hint != "" {
				never += "; " + hint
			}
			if c.pc.ICEConnectionState() != webrtc.ICEConnectionStateFailed {
				never = "no keys were agreed on, as with a wrong fingerprint"
			}
			c.call.EndWith(unreached(was, never))
		case webrtc.PeerConnectionStateClosed:
			c.call.EndWith(hungUp(was))
		}
	})
	c.pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		c.signalling.Lock()
		defer c.signalling.Unlock()
		l := c.legs[receiver.RTPTransceiver()]
		if l == nil {
			l = c.unnamed(receiver.RTPTransceiver(), track.SSRC())
		}
		if l != nil {
			l.remote, l.receiver = track, receiver
			l.listen()
		}
	})
	c.pc.OnICECandidate(c.candidate)
	if unblocking {
		c.pc.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
			c.direct.Store(pair != nil && pair.Local.Typ == webrtc.ICECandidateTypeHost && pair.Local.Protocol == webrtc.ICEProtocolUDP)
		})
	}
}

// connectWithin is for calls whose deadlines leave it open.
const connectWithin = 30 * time.Second

// look has the call end in time while the far end is not reached, and reports whether
// it ever was. The state may be an old one.
func (c *connection) look(state webrtc.PeerConnectionState) (connected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connected = c.connected || state == webrtc.PeerConnectionStateConnected
	if c.lost != nil {
		c.lost.Stop()
		c.lost = nil
	}
	var within time.Duration
	now := c.pc.ConnectionState()
	switch {
	case c.closed || now != webrtc.PeerConnectionStateConnecting && now != webrtc.PeerConnectionStateDisconnected:
	case !c.connected && c.config.Deadlines.Connect > 0: // the call sees to that
	case !c.connected:
		within = connectWithin
	case now == webrtc.PeerConnectionStateDisconnected:
		within = c.timeouts.Failed
	default: // an ICE restart
		within = c.timeouts.Disconnected + c.timeouts.Failed
	}
	if within > 0 {
		was, end := c.connected, unreached(c.connected, fmt.Sprintf("not connected within %v", within))
		c.lost = time.AfterFunc(within, func() {
			if was && c.pc.ICEConnectionState() == webrtc.ICEConnectionStateConnected {
				return // it came back at this moment
			}
			c.call.EndWith(end)
		})
	}
	return c.connected
}

// learn notes what addresses the far end tells, in lines of SDP.
func (c *connection) learn(lines string) {
	for line := range strings.Lines(lines) {
		value, ok := strings.CutPrefix(line, "a=candidate:")
		if !ok {
			continue
		}
		if fields := strings.Fields(value); len(fields) > 2 && strings.EqualFold(fields[2], "udp") { // RFC 8839, section 5.1
			c.byUDP.Store(true)
		}
	}
}

// Unreached is for the call. A far end without an address may still be found by what it
// sends, but for one that is kept from UDP there is no way.
func (c *connection) Unreached() string {
	if c.byUDP.Load() {
		return ""
	}
	return "the far end has told no address for UDP"
}

// unreached is why a call ends whose far end was lost, or else was never reached.
func unreached(connected bool, never string) *parley.EndError {
	if connected {
		return &parley.EndError{Reason: parley.Disconnected, Detail: "the far end is not to be reached any more"}
	}
	return &parley.EndError{Reason: parley.NotConnected, Detail: never}
}

// hungUp is why a call ends whose connection the far end has closed.
func hungUp(connected bool) *parley.EndError {
	if connected {
		return &parley.EndError{Reason: parley.Bye, Detail: "the far end closed the connection"}
	}
	return &parley.EndError{Reason: parley.NotConnected, Detail: "the far end refused the connection, as with a wrong fingerprint"}
}

// start runs fn on a goroutine that Close waits for, unless the connection is
// closed.
func (c *connection) start(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.goroutines.Go(fn)
	}
}

// OpenChannel is for the call.
func (c *connection) OpenChannel(ctx context.Context, config *parley.ChannelConfig) (parley.Channel, error) {
	ch, err := c.channels.OpenChannel(ctx, config)
	if err != nil {
		return nil, err
	}
	c.start(func() { // signalling may take its time
		c.signalling.Lock()
		defer c.signalling.Unlock()
		c.talks = true
		c.review()
	})
	return ch, nil
}

// Close closes the connection and waits for all goroutines. The legs of the call
// have been closed before.
func (c *connection) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.lost != nil {
		c.lost.Stop()
	}
	c.mu.Unlock()
	err := c.channels.Close()
	// pion does not look at its end in the middle of an exchange, and would go on
	// to open what nobody closes any more.
	c.signalling.Lock()
	err = errors.Join(err, c.pc.GracefulClose())
	for _, l := range c.legs { // of which some were never part of the call
		l.Close()
		l.wait()
	}
	c.signalling.Unlock()
	c.goroutines.Wait()
	return err
}

// A Candidate is an address at which one end may be reached, as the browsers'
// toJSON writes it and their addIceCandidate takes it.
type Candidate = webrtc.ICECandidateInit

// maxFound bounds the candidates that nobody reads.
const maxFound = 256

// candidate keeps a candidate of ours, nil for the end, until it is read.
func (c *connection) candidate(found *webrtc.ICECandidate) {
	c.mu.Lock()
	switch {
	case found == nil:
		c.complete, c.told = true, nil
	case len(c.found) < maxFound:
		next := found.ToJSON()
		next.Candidate = announced(next.Candidate, c.public)
		if !slices.Contains(c.told, next.Candidate) {
			c.told = append(c.told, next.Candidate)
			c.found = append(c.found, next)
		}
	}
	c.reachable = c.reachable || found != nil
	alone := c.complete && !c.reachable
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	if alone && c.config.RelayOnly {
		c.endUnreachable()
	}
}

func (c *connection) endUnreachable() {
	c.call.EndWith(&parley.EndError{Reason: parley.NotConnected, Err: errNoRelay})
}

var errNoRelay = errors.New("peer: no relay that can be reached and takes the credentials")

// ReadCandidate returns the next address of this end, to be sent to the far end,
// and blocks until there is one. After the last one the error is [io.EOF]; those
// of a restart follow. It ends with ctx or with the call.
func (p *Peer) ReadCandidate(ctx context.Context) (Candidate, error) {
	c := p.c
	for {
		c.mu.Lock()
		news := c.news
		if len(c.found) > 0 {
			found := c.found[0]
			c.found = c.found[1:]
			c.mu.Unlock()
			return found, nil
		}
		if c.complete {
			c.complete = false
			c.mu.Unlock()
			return Candidate{}, io.EOF
		}
		c.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return Candidate{}, ctx.Err()
		case <-p.Done():
			return Candidate{}, p.Err()
		}
	}
}
