package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

const (
	// maxMessage is the largest message that is received, in bytes; what the
	// session description tells the far end. Browsers take as much.
	maxMessage = 256 << 10

	// maxTheirs bounds the channels that the far end has open at a time.
	maxTheirs = 64

	// maxRefused is with how many channels beyond that, or that nobody accepted, the
	// call ends: each costs memory until the far end has closed it too.
	maxRefused = 1024
)

// channels are the data channels of a peer connection (RFC 8831). Its methods
// may be used from any goroutine.
//
// The SCTP association has one receive window for all of its channels (RFC 8831,
// section 6.2): when a channel that is in use is not read, the others come to a
// halt too in the end. So a channel that nobody has accepted is closed when it
// would begin to do that.
//
// Limits, all of them pion's: a label and a protocol from the far end have about
// 8000 bytes together. Longer ones prevent the far end from opening more, and so does a
// message that comes on a negotiated channel before this end has opened it, once
// connected. What the far end still sends on those is not read, and after 1 MiB nothing
// comes on any channel. A message that is to be given up at once and does not fit in
// the congestion window is lost as a rule. This end opens up to 32767 channels in the
// life of a connection.
//
// One request to reset streams may be under way at a time (RFC 6525, section 5.1.1), but
// pion sends each at once. When the packet of one is lost and the next one arrives before
// it was sent again, a second or more later, the far end refuses that one and all later
// ones: it never sees again that a channel is closed, by either end. Those there are go
// on, and new ones open, as many as there are IDs.
//
// The first messages of more than 16 new channels at a time are dropped until they are
// sent again. When very many are opened at once, thousands, these may be all that the far
// end sends again, while pion waits for the rest of one that came in parts: nothing comes
// on any channel then. Sound and pictures are not held up.
type channels struct {
	pc     *webrtc.PeerConnection
	logger *slog.Logger

	mu         sync.Mutex
	call       *parley.Call // nil until attach
	closed     bool
	negotiated map[uint16]bool   // IDs that are in use
	waiting    map[*channel]bool // of this end, that are not open yet
	turnedDown bool              // the far end takes no channels
	theirs     int               // channels that the far end has opened, and that are not over
	refused    int               // of these, that were closed at once
	warned     bool              // of that

	big struct { // for messages that do not fit in a channel's own buffer
		sync.Mutex
		buf []byte
	}
	goroutines sync.WaitGroup
}

// newChannels makes the channels of pc, which has to be of an API with detached
// data channels and a maximum message size of maxMessage. They need attach
// before the connection is made.
func newChannels(pc *webrtc.PeerConnection, logger *slog.Logger) *channels {
	cs := &channels{pc: pc, logger: logger, negotiated: map[uint16]bool{}, waiting: map[*channel]bool{}}
	pc.OnDataChannel(cs.take)
	pc.SCTP().OnError(func(err error) {
		if what := wrong(err); what != "" { // else the connection is over
			logger.Warn("the far end can open no more channels: "+what, "error", err)
		}
	})
	return cs
}

// wrong says what the far end did for which pion takes no more channels from it, if it
// did anything.
func wrong(err error) string {
	switch {
	case errors.Is(err, datachannel.ErrInvalidPayloadProtocolIdentifier):
		return "it has sent on one that is not open here, as when it alone says that both have negotiated it"
	case errors.Is(err, io.ErrShortBuffer):
		return "the label and the protocol of one are too long"
	case errors.Is(err, datachannel.ErrDataChannelMessageTooShort),
		errors.Is(err, datachannel.ErrInvalidMessageType),
		errors.Is(err, datachannel.ErrUnexpectedDataChannelType),
		errors.Is(err, datachannel.ErrExpectedAndActualLengthMismatch):
		return "it broke the rules"
	}
	return ""
}

// attach says which call the channels belong to.
func (cs *channels) attach(call *parley.Call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.call = call
}

// OpenChannel opens a channel to the far end.
func (cs *channels) OpenChannel(ctx context.Context, c *parley.ChannelConfig) (parley.Channel, error) {
	init, err := channelInit(c)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cs.mu.Lock()
	call := cs.call
	switch {
	case call == nil || cs.closed:
		err = fmt.Errorf("peer: %w", net.ErrClosed)
	case cs.turnedDown:
		err = errTurnedDown
	case c.Negotiated && cs.negotiated[c.ID]:
		err = fmt.Errorf("%w: ID %d is in use", errChannelConfig, c.ID)
	case c.Negotiated:
		cs.negotiated[c.ID] = true
	}
	cs.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ch := &channel{all: cs, call: call, config: *c}
	if ch.dc, err = cs.pc.CreateDataChannel(c.Label, init); err != nil {
		cs.release(ch)
		return nil, fmt.Errorf("peer: %w", err)
	}
	cs.mu.Lock()
	over := cs.turnedDown // meanwhile
	cs.waiting[ch] = true
	cs.mu.Unlock()
	if over {
		ch.turnDown()
	}
	ch.dc.OnOpen(ch.opened)
	return ch, nil
}

// agreed takes what the far end says to channels: those that wait for it to take them
// wait no more when it turns them down.
func (cs *channels) agreed(turnedDown bool) {
	cs.mu.Lock()
	cs.turnedDown = turnedDown
	var over []*channel
	if turnedDown {
		over = slices.Collect(maps.Keys(cs.waiting))
	}
	cs.mu.Unlock()
	for _, ch := range over {
		ch.turnDown()
	}
}

// turnDown ends a channel that the far end does not take.
func (ch *channel) turnDown() {
	ch.dc.Close() //nolint:errcheck // it need not open
	ch.finish(errTurnedDown)
}

// take is called by pion with a channel that the far end opens, and with the
// next one only when it has returned.
func (cs *channels) take(dc *webrtc.DataChannel) {
	cs.mu.Lock()
	call := cs.call
	if call == nil || cs.closed {
		cs.mu.Unlock()
		return // and so is the association
	}
	room := cs.theirs-cs.refused < maxTheirs
	cs.theirs++
	cs.mu.Unlock()
	ch := &channel{all: cs, call: call, config: channelConfig(dc), dc: dc, theirs: true}
	dc.OnOpen(ch.opened)
	if !room || !call.OfferChannel(ch) {
		cs.refuse(ch)
	}
}

// refuse closes a channel once it is open, before which pion would not forget it, and
// drops what comes until the far end has closed it too.
func (cs *channels) refuse(ch *channel) {
	cs.mu.Lock()
	ch.refused = true
	cs.refused++
	n, warned := cs.refused, cs.warned
	cs.warned = true
	cs.mu.Unlock()
	if !warned {
		cs.logger.Warn("the far end opens more channels than are accepted: they are closed")
	}
	if n == maxRefused {
		ch.call.EndWith(&parley.EndError{Reason: parley.Failed, Detail: fmt.Sprintf("the far end has %d channels that were refused", n)})
	}
	ch.giveUp(net.ErrClosed)
}

// start runs fn on a goroutine that Close waits for, unless it is too late.
func (cs *channels) start(fn func()) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.closed {
		cs.goroutines.Go(fn)
	}
	return !cs.closed
}

// release forgets a channel that is over.
func (cs *channels) release(ch *channel) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if ch.theirs {
		cs.theirs--
	}
	if ch.refused {
		cs.refused--
	}
	delete(cs.waiting, ch)
	if ch.config.Negotiated {
		delete(cs.negotiated, ch.config.ID)
	}
}

// Close ends all channels at once, and waits for their goroutines. It is to be
// called when the call has ended, since pion ends the connection with the association.
func (cs *channels) Close() error {
	cs.mu.Lock()
	cs.closed = true
	cs.mu.Unlock()
	if err := cs.pc.SCTP().Stop(); err != nil {
		cs.logger.Debug("stopping the channels", "error", err)
	}
	cs.goroutines.Wait()
	return nil
}

var (
	errUnread     = errors.New("peer: channel closed: nobody took what the far end sent")
	errTooLong    = errors.New("peer: channel closed: the far end sent a message that is too large")
	errLost       = errors.New("peer: the channels are lost")
	errTurnedDown = errors.New("peer: the far end takes no channels")
	errFarClosed  = fmt.Errorf("peer: the far end has closed the channel: %w", net.ErrClosed)
	errOwnClosed  = fmt.Errorf("peer: channel: %w", net.ErrClosed)
)
