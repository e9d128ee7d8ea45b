package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// opened is called by pion once messages can be sent.
func (ch *channel) opened() {
	ch.all.mu.Lock()
	delete(ch.all.waiting, ch)
	ch.all.mu.Unlock()
	if !ch.all.start(ch.run) {
		ch.finish(ch.because(errLost))
	}
}

// because returns why the call has ended, which explains everything, or else err.
func (ch *channel) because(err error) error {
	if end := ch.call.Err(); end != nil {
		return end
	}
	return err
}

// run sends what has waited for the channel to open, and then reads it to its
// end.
func (ch *channel) run() {
	raw, err := ch.dc.Detach()
	if err != nil {
		ch.finish(fmt.Errorf("peer: channel: %w", err))
		return
	}
	open, ok := raw.(detached)
	if !ok {
		ch.finish(fmt.Errorf("peer: channel: %w", errors.ErrUnsupported))
		return
	}
	open.SetBufferedAmountLowThreshold(maxUnsent / 2)
	open.OnBufferedAmountLow(ch.wake)
	switch err := ch.begin(open); {
	case err == nil:
		ch.finish(ch.receive(open))
	case errors.Is(err, errLost):
		ch.finish(ch.lost())
	default:
		open.Close() //nolint:errcheck // the association may be gone
		ch.finish(ch.because(fmt.Errorf("peer: channel: %w", err)))
	}
}

// begin sends what has waited, and opens the channel for writers.
func (ch *channel) begin(raw detached) error {
	largest := int(ch.all.pc.SCTP().GetCapabilities().MaxMessageSize)
	if largest == 0 {
		return errLost
	}
	var buf []byte
	for {
		ch.mu.Lock()
		ch.opening = true
		text, message, ok := ch.out.pop(buf[:0])
		if !ok {
			ch.raw, ch.largest, ch.opening = raw, largest, false
			ch.changed.change()
			closed := ch.closed != nil
			ch.mu.Unlock()
			if closed {
				raw.SetBufferedAmountLowThreshold(0)
				return raw.Close()
			}
			return nil
		}
		ch.mu.Unlock()
		buf = message
		if _, err := raw.WriteDataChannel(message, text); err != nil {
			return err
		}
	}
}

// receive reads until the channel or its association ends, and returns why,
// [io.EOF] if the far end has closed it.
func (ch *channel) receive(raw detached) error {
	small := make([]byte, 2048)
	for {
		err := ch.receiveOne(raw, small)
		if err == nil {
			err = ch.makeRoom()
		}
		switch {
		case err == nil:
		case err == io.EOF || errors.Is(err, errTooLong): //nolint:errorlint // pion returns it as it is
			return err
		default:
			return ch.lost()
		}
	}
}

// receiveOne moves one message to the backlog. Most fit in small; for others
// there is one large buffer for all channels.
func (ch *channel) receiveOne(raw detached, small []byte) error {
	n, text, err := raw.ReadDataChannel(small)
	if !errors.Is(err, io.ErrShortBuffer) {
		if err == nil {
			ch.deliver(text, small[:n])
		}
		return err
	}
	big := &ch.all.big
	big.Lock()
	defer big.Unlock()
	if big.buf == nil {
		big.buf = make([]byte, maxMessage)
	}
	n, text, err = raw.ReadDataChannel(big.buf)
	switch {
	case errors.Is(err, io.ErrShortBuffer): // and it stays in pion's queue
		ch.all.logger.Warn("channel closed: the far end sent a message that is too large", "label", ch.config.Label)
		ch.giveUp(errTooLong)
		return errTooLong
	case err == nil:
		ch.deliver(text, big.buf[:n])
	}
	return err
}

// deliver appends a message to the backlog, unless nobody will read it.
func (ch *channel) deliver(text bool, message []byte) {
	if text && !utf8.Valid(message) {
		message = bytes.ToValidUTF8(message, []byte("\uFFFD"))
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed == nil {
		ch.in.push(text, message)
		ch.changed.change()
	}
}

// makeRoom blocks while the backlog is full, so that the far end has to wait, and
// fails when the call is over. A channel that nobody has accepted is closed.
func (ch *channel) makeRoom() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for ch.closed == nil && ch.in.cost() >= maxUnread {
		if ch.theirs && !ch.taken {
			ch.mu.Unlock()
			ch.all.logger.Warn("channel closed: nobody takes what the far end sends", "label", ch.config.Label)
			ch.giveUp(errUnread)
			ch.mu.Lock()
			return nil
		}
		if err := ch.wait(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// lost returns why the association is gone: with the call, as a rule, which may
// take a moment to notice.
func (ch *channel) lost() error {
	patience := time.NewTimer(endWithin)
	defer patience.Stop()
	select {
	case <-ch.call.Done():
		return ch.call.Err()
	case <-patience.C:
		return errLost
	}
}

// finish says that nothing more is received, and frees the place of the channel.
func (ch *channel) finish(why error) {
	ch.mu.Lock()
	first := ch.over == nil
	if first {
		ch.over = why
		ch.changed.change()
	}
	ch.mu.Unlock()
	if first {
		ch.all.release(ch)
	}
}
