package calltest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/parley-media/parley"
)

// An exchange opens channels to another call.
type exchange struct {
	other *parley.Call

	mu   sync.Mutex
	done chan struct{}
	over bool
}

func newExchange() *exchange { return &exchange{done: make(chan struct{})} }

func (x *exchange) OpenChannel(_ context.Context, c *parley.ChannelConfig) (parley.Channel, error) {
	to, from := newPipe(), newPipe()
	if !x.other.OfferChannel(&channel{*c, x, to, from}) {
		return nil, errors.New("too many channels")
	}
	return &channel{*c, x, from, to}, nil
}

func (x *exchange) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		x.over = true
		close(x.done)
	}
	return nil
}

// A pipe is one way of a channel; as many messages fit in as a far end takes that
// does not read.
type pipe struct {
	messages chan parley.Message
	closed   chan struct{}
	once     sync.Once
}

func newPipe() *pipe {
	return &pipe{messages: make(chan parley.Message, 4), closed: make(chan struct{})}
}

type channel struct {
	config   parley.ChannelConfig
	exchange *exchange
	in, out  *pipe
}

func (c *channel) Config() parley.ChannelConfig { return c.config }

func (c *channel) ReadMessage(ctx context.Context, m *parley.Message) error {
	var err error
	select {
	case got := <-c.in.messages:
		return set(m, got)
	case <-c.in.closed:
		err = io.EOF
	case <-c.out.closed:
		return io.ErrClosedPipe
	case <-c.exchange.done:
		err = io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // what was written before the end comes first
	case got := <-c.in.messages:
		return set(m, got)
	default:
		return err
	}
}

func set(m *parley.Message, got parley.Message) error {
	m.Text, m.Data = got.Text, append(m.Data[:0], got.Data...)
	return nil
}

func (c *channel) WriteMessage(ctx context.Context, m *parley.Message) error {
	select {
	case c.out.messages <- parley.Message{Text: m.Text, Data: append([]byte(nil), m.Data...)}:
		return nil
	case <-c.out.closed:
		return io.ErrClosedPipe
	case <-c.exchange.done:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *channel) Buffered() int { return len(c.out.messages) }

func (c *channel) Close() error {
	c.out.once.Do(func() { close(c.out.closed) })
	return nil
}
