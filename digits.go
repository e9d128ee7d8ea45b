package parley

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
)

// ReadDigit returns the next key that the far end has pressed on the first audio
// of the call, if it gets one only later. See [Audio.ReadDigit].
func (c *Call) ReadDigit(ctx context.Context) (dtmf.Digit, error) {
	return pressed(ctx, c.ReadDigitReport)
}

// ReadDigitReport is to [Call.ReadDigit] what [Audio.ReadDigitReport] is to
// [Audio.ReadDigit].
func (c *Call) ReadDigitReport(ctx context.Context) (dtmf.Report, error) {
	return c.readDigit(ctx, c.audioLocked, func() *EndError { return c.end })
}

// SendDigits sends digits on the first audio of the call. See [Audio.SendDigits].
// Without audio the error is [stream.ErrNoEvents].
func (c *Call) SendDigits(ctx context.Context, digits string, o *dtmf.Options) error {
	a := c.Audio()
	if a != nil {
		return a.SendDigits(ctx, digits, o)
	}
	if err := c.Err(); err != nil {
		return err
	}
	return stream.ErrNoEvents
}

// ReadDigit returns the next key that the far end has pressed, as telephone
// events (RFC 4733) tell it: once for each press, as soon as it is known. It
// blocks until there is one, and ends as [Audio.ReadFrame] does, or with the error
// of ctx; it has no other deadline. Of keys that nobody reads the last 64 are kept.
func (a *Audio) ReadDigit(ctx context.Context) (dtmf.Digit, error) {
	return pressed(ctx, a.ReadDigitReport)
}

// ReadDigitReport is like [Audio.ReadDigit] for those who want to know how long
// keys are held: it returns a report when a key is pressed and another one when
// it is released. Both methods read from one queue.
func (a *Audio) ReadDigitReport(ctx context.Context) (dtmf.Report, error) {
	return a.call.readDigit(ctx, func() *Audio { return a }, a.overLocked)
}

// pressed returns the next key that is pressed, and leaves out releases.
func pressed(ctx context.Context, read func(context.Context) (dtmf.Report, error)) (dtmf.Digit, error) {
	for {
		r, err := read(ctx)
		if err != nil {
			return 0, err
		}
		if !r.End {
			return r.Digit, nil
		}
	}
}

// readDigit waits for a report on the audio that line returns, which may be nil.
func (c *Call) readDigit(ctx context.Context, line func() *Audio, over func() *EndError) (r dtmf.Report, err error) {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.waitUntil(ctx, over, &c.waiting, func() (ok bool) {
		if a := line(); a != nil {
			r, ok = a.digits.pop()
		}
		return ok
	})
	return r, endOfRead(err)
}

// SendDigits sends digits as telephone events in real time, and returns when the
// last one has been sent. What is said meanwhile is muted. See
// [dtmf.ParseDigit] for the characters; a nil o is the zero options. When ctx is
// cancelled, digits that have not begun are dropped.
//
// The error wraps [stream.ErrNoEvents] if the line has no payload format for them,
// if the far end does not take one of them, most likely [dtmf.Flash], or if the call
// goes over to a codec meanwhile with which they cannot go on; it wraps [stream.ErrHeld]
// if the line does not send, or is put on hold meanwhile; it is an [*EndError] after its
// end, or one of [dtmf.Sender.Queue].
func (a *Audio) SendDigits(ctx context.Context, digits string, o *dtmf.Options) error {
	c := a.call
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := a.overLocked(); end != nil {
		return end
	}
	if err := a.sender.QueueDigits(time.Now(), digits, o); err != nil {
		return err
	}
	c.schedule()
	cut := a.cut
	err := a.wait(ctx, &a.waiting.digits, func() bool { return a.cut != cut || a.sender.PendingDigits() == 0 })
	switch {
	case err != nil:
		a.sender.ClearDigits()
	case a.cut.held != cut.held:
		return fmt.Errorf("digits were cut off: %w", stream.ErrHeld)
	case a.cut.codec != cut.codec:
		return fmt.Errorf("digits were cut off by %s: %w", a.sending.Codec, stream.ErrNoEvents)
	}
	return err
}

// cuts counts how often digits could not be sent to their end.
type cuts struct{ held, codec uint8 }

// maxDigits is how many reports wait to be read: two for each key.
const maxDigits = 128

// digitsLocked moves reports of telephone events to where they are read.
func (a *Audio) digitsLocked(now time.Time) {
	any := false
	for {
		r, ok := a.receiver.PullDigit(now)
		if !ok {
			break
		}
		a.digits.push(r)
		any = true
	}
	if any && a.call.waiting > 0 {
		a.call.cond.Broadcast()
	}
}
