package parley

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Message is what a [Channel] carries: text, in UTF-8, or bytes. It may be
// empty.
type Message struct {
	Text bool
	Data []byte
}

// ChannelConfig describes a [Channel]. The zero value is reliable and in order.
type ChannelConfig struct {
	Label    string // any text of up to 65535 bytes
	Protocol string // what is spoken, if the far end wants to know

	Unordered      bool          // a message need not wait for those before it
	MaxRetransmits int           // after which a message is given up; 0: never; negative: at once
	MaxLifetime    time.Duration // the same by time, whole milliseconds; 0: never. At most one of both

	// Negotiated means that the far end opens the channel too, with the same ID,
	// 0 to 65534, instead of being told of it.
	Negotiated bool
	ID         uint16
}

// A Channel carries messages beside the media of a call, as the data channels of
// browsers do (RFC 8831). Its methods may be used from any goroutine. What is not read
// makes the far end wait, with all channels of the call in the end, which share one
// window.
type Channel interface {
	// Config returns what both ends know of the channel.
	Config() ChannelConfig

	// ReadMessage fills m with the next message, reusing the memory of m.Data, and
	// blocks until there is one. After the far end has closed the channel, what is
	// left comes first, and then [io.EOF]. The error wraps [net.ErrClosed] after
	// Close, is that of ctx, or an [*EndError] after the end of the call.
	ReadMessage(ctx context.Context, m *Message) error

	// WriteMessage sends a copy of m. Before the channel is open messages wait in
	// line; it blocks while too much waits to be sent. A message that the far end
	// does not take for its size, or a text that is not UTF-8, is an error at once.
	// The error wraps [net.ErrClosed] after either end has closed the channel, is
	// that of ctx, or an [*EndError] after the end of the call.
	WriteMessage(ctx context.Context, m *Message) error

	// Buffered returns the bytes that wait to be sent.
	Buffered() int

	// Close ends the channel once what was written has left. What was received and
	// not read is dropped. To close it again does nothing.
	Close() error
}

// Channels opens channels for a call. Packages that make legs implement it. If there is a
// method Unreached() string too, what that says is part of the reason [NotConnected].
type Channels interface {
	OpenChannel(ctx context.Context, c *ChannelConfig) (Channel, error)
	Close() error // ends all of them
}

// maxAccepted bounds the channels that wait for AcceptChannel. A far end opens several
// at once, faster than anybody can accept them.
const maxAccepted = 64

// OpenChannel opens a channel to the far end; a nil config is the zero one. It does not
// wait until the far end has it. The error wraps [errors.ErrUnsupported] if the call has
// no channels, as with telephones.
func (c *Call) OpenChannel(ctx context.Context, config *ChannelConfig) (Channel, error) {
	if c.channels == nil {
		return nil, fmt.Errorf("parley: this call has no channels: %w", errors.ErrUnsupported)
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if config == nil {
		config = &ChannelConfig{}
	}
	return c.channels.OpenChannel(ctx, config)
}

// AcceptChannel returns the next channel that the far end has opened, and blocks
// until there is one. The event [ChannelOpen] tells of it too. A channel that is not
// accepted is closed before what comes on it holds up the others, and so is one at
// once that comes while 64 wait. It fails as [Call.WaitConnected] does.
func (c *Call) AcceptChannel(ctx context.Context) (Channel, error) {
	ch, err := c.nextChannel(ctx)
	if told, ok := ch.(interface{ Accepted() }); ok {
		told.Accepted()
	}
	return ch, err
}

func (c *Call) nextChannel(ctx context.Context) (ch Channel, err error) {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.wait(ctx, &c.waiting, func() bool {
		if len(c.accepted) == 0 {
			return false
		}
		ch = c.accepted[0]
		c.accepted = c.accepted[1:]
		return true
	})
	return ch, err
}

// OfferChannel queues a channel of the far end for [Call.AcceptChannel]. It
// reports false if 64 are waiting, or the call has ended: then it is the
// caller's to close. If ch has a method Accepted(), that is called when AcceptChannel
// returns it. It is meant for packages that make legs.
func (c *Call) OfferChannel(ch Channel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil || len(c.accepted) == maxAccepted {
		return false
	}
	c.accepted = append(c.accepted, ch)
	c.emitLocked(Event{Kind: ChannelOpen, Detail: ch.Config().Label})
	return true
}
