package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

const (
	// maxUnread is from which cost on a channel's backlog of received messages
	// takes no more; the next message may exceed it. The same holds for messages
	// that wait for the channel to open.
	maxUnread = 256 << 10

	// maxUnsent is from how many bytes on that pion holds, and the far end has not
	// acknowledged, writing waits until there are half as many.
	maxUnsent = 1 << 20

	// linger bounds how long Close waits for the far end to have everything.
	linger = 2 * time.Second

	// endWithin is how long the end of a call may come after that of its
	// association until the channel looks for no better reason.
	endWithin = time.Second
)

// A channel is one data channel. A goroutine of its own reads it as long as it is
// open, since that is how pion tells of its end.
//
// Lock order: pion calls wake with the lock of its association held, so nothing
// that needs that lock, such as writing, is done with mu held.
type channel struct {
	all     *channels
	call    *parley.Call
	config  parley.ChannelConfig
	dc      *webrtc.DataChannel
	theirs  bool // the far end has opened it
	refused bool // and this end has closed it at once; with the lock of all

	mu      sync.Mutex
	changed gate
	raw     detached // nil until it is open
	largest int      // what the far end takes, once it is open
	in, out backlog  // received; waiting for the channel to open
	taken   bool     // somebody has accepted it
	writing bool     // a goroutine is in pion's write
	opening bool     // what has waited is being sent, and then raw is set
	closed  error    // what the methods return after this end has closed it; nil: it has not
	over    error    // why nothing more is received; nil: it goes on
}

// detached is what pion has of an open channel.
type detached interface {
	ReadDataChannel(b []byte) (n int, text bool, err error)
	WriteDataChannel(b []byte, text bool) (n int, err error)
	BufferedAmount() uint64
	SetBufferedAmountLowThreshold(n uint64)
	OnBufferedAmountLow(f func())
	Close() error
}

// A gate lets goroutines wait for a change of what a lock protects, and for other
// things at the same time. The zero value is ready; it is used with the lock held.
type gate struct{ passed chan struct{} }

// next returns a channel that is closed at the next change.
func (g *gate) next() <-chan struct{} {
	if g.passed == nil {
		g.passed = make(chan struct{})
	}
	return g.passed
}

// change wakes all that wait.
func (g *gate) change() {
	if g.passed != nil {
		close(g.passed)
		g.passed = nil
	}
}

// Accepted is called when somebody has the channel, who may take a while to read it.
func (ch *channel) Accepted() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.taken = true
}

func (ch *channel) Config() parley.ChannelConfig { return ch.config }

func (ch *channel) ReadMessage(ctx context.Context, m *parley.Message) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for {
		if ch.closed != nil {
			return ch.closed
		}
		if text, data, ok := ch.in.pop(m.Data[:0]); ok {
			m.Text, m.Data = text, data
			ch.changed.change()
			return nil
		}
		if ch.over != nil {
			return ch.over
		}
		if err := ch.wait(ctx); err != nil {
			return err
		}
	}
}

func (ch *channel) WriteMessage(ctx context.Context, m *parley.Message) error {
	if m.Text && !utf8.Valid(m.Data) {
		return errNotText
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for {
		if err := ch.unwritableLocked(len(m.Data)); err != nil {
			return err
		}
		switch {
		case ch.raw == nil && ch.out.cost() < maxUnread:
			ch.out.push(m.Text, m.Data)
			return nil
		case ch.raw != nil && !ch.writing && ch.raw.BufferedAmount() < maxUnsent:
			return ch.writeLocked(m)
		}
		if err := ch.wait(ctx); err != nil {
			return err
		}
	}
}

var errNotText = errors.New("peer: a text message that is not UTF-8")

// unwritableLocked returns why a message of n bytes cannot be written, if so.
func (ch *channel) unwritableLocked(n int) error {
	switch {
	case ch.closed != nil:
		return ch.closed
	case ch.over == io.EOF: //nolint:errorlint // never wrapped
		return errFarClosed
	case ch.over != nil:
		return ch.over
	}
	select {
	case <-ch.call.Done():
		return ch.call.Err()
	default:
	}
	limit := ch.largest
	if ch.raw == nil {
		limit = largest(ch.all.pc)
	}
	if n > limit {
		return fmt.Errorf("%w: %d bytes; at most %d", ErrMessageTooLarge, n, limit)
	}
	return nil
}

// writeLocked hands m to pion, without the lock meanwhile.
func (ch *channel) writeLocked(m *parley.Message) error {
	ch.writing = true
	ch.mu.Unlock()
	_, err := ch.raw.WriteDataChannel(m.Data, m.Text)
	ended := ch.call.Err()
	ch.mu.Lock()
	ch.writing = false
	ch.changed.change()
	switch {
	case err == nil:
		return nil
	case ch.closed != nil:
		return ch.closed
	case ended != nil:
		return ended
	}
	return fmt.Errorf("peer: channel: %w", err)
}

// wait blocks, without the lock, until something has changed, and fails when ctx
// or the call is over.
func (ch *channel) wait(ctx context.Context) error {
	next := ch.changed.next()
	ch.mu.Unlock()
	defer ch.mu.Lock()
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-ch.call.Done():
		return ch.call.Err()
	}
}

// wake is called by pion when enough has been sent.
func (ch *channel) wake() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.changed.change()
}

func (ch *channel) Buffered() int {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.over != nil {
		return 0 // and pion does not count any more
	}
	return ch.unsentLocked()
}

func (ch *channel) unsentLocked() int {
	n := ch.out.bytes()
	if ch.raw != nil {
		n += int(ch.raw.BufferedAmount())
	}
	return n
}

// Close waits until the far end has what was written, for two seconds at most;
// later it leaves as long as the call goes on.
func (ch *channel) Close() error {
	ch.giveUp(errOwnClosed)
	ctx, cancel := context.WithTimeout(context.Background(), linger)
	defer cancel()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for ch.unsentLocked() > 0 || ch.opening && ch.over == nil {
		switch ch.over {
		case nil:
		case io.EOF: // the far end has closed it too, and takes no more
			return nil
		default:
			return ch.over
		}
		if err := ch.wait(ctx); err != nil && ctx.Err() == nil {
			return err
		} else if err != nil {
			return nil
		}
	}
	return nil
}

// giveUp closes the channel, behind what was written, and drops what is received.
func (ch *channel) giveUp(why error) {
	ch.mu.Lock()
	if ch.closed != nil {
		ch.mu.Unlock()
		return
	}
	ch.closed = why
	ch.in.clear()
	ch.changed.change()
	for ch.writing {
		if ch.wait(context.Background()) != nil {
			break
		}
	}
	raw, idle := ch.raw, ch.out.cost() == 0 && !ch.opening
	ch.mu.Unlock()
	switch {
	case raw != nil:
		raw.SetBufferedAmountLowThreshold(0)
		raw.Close() //nolint:errcheck // the association may be gone
	case idle && !ch.theirs: // it need not open at all
		ch.dc.Close() //nolint:errcheck // the same
		ch.finish(errOwnClosed)
	}
}
