package parley

import (
	"context"
	"time"

	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/stream"
)

// ReadDigit returns the next key that the far end has pressed, as telephone
// events (RFC 4733) tell it: once for each press, as soon as it is known. It
// blocks until there is one, and ends as [Audio.ReadFrame] does. Of keys that
// nobody reads the last 64 are kept.
func (c *Call) ReadDigit(ctx context.Context) (dtmf.Digit, error) {
	for {
		r, err := c.ReadDigitReport(ctx)
		if err != nil {
			return 0, err
		}
		if !r.End {
			return r.Digit, nil
		}
	}
}

// ReadDigitReport is like [Call.ReadDigit] for those who want to know how long
// keys are held: it returns a report when a key is pressed and another one when
// it is released. Both methods read from one queue.
func (c *Call) ReadDigitReport(ctx context.Context) (dtmf.Report, error) {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	var r dtmf.Report
	err := c.wait(ctx, &c.waiting, func() (ok bool) {
		if c.audio != nil {
			r, ok = c.audio.digits.pop()
		}
		return ok
	})
	if err != nil {
		return dtmf.Report{}, endOfRead(err)
	}
	return r, nil
}

// SendDigits sends digits as telephone events in real time, and returns when the
// last one has been sent. What is said meanwhile is muted. See
// [dtmf.ParseDigit] for the characters; a nil o is the zero options. When ctx is
// cancelled, digits that have not begun are dropped.
//
// The error is [stream.ErrNoEvents] if the call has no payload format for them,
// [stream.ErrHeld] on hold, or one of [dtmf.Sender.Queue].
func (c *Call) SendDigits(ctx context.Context, digits string, o *dtmf.Options) error {
	defer c.watch(ctx)()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.audio
	if c.end != nil {
		return c.end
	}
	if a == nil {
		return stream.ErrNoEvents
	}
	if err := a.sender.QueueDigits(time.Now(), digits, o); err != nil {
		return err
	}
	c.schedule()
	err := a.wait(ctx, &a.waiting.digits, func() bool { return a.sender.PendingDigits() == 0 })
	if err != nil {
		a.sender.ClearDigits()
	}
	return err
}

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
