package parley

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// ErrHandled is returned by [Audio.ReadFrame] and [Audio.ReadPacket] while frames go to a
// function.
var ErrHandled = errors.New("parley: the frames go to a function")

// HandleFrames has fn called with each frame, when [Audio.ReadFrame] would return it,
// in place of ReadFrame; nil undoes it. A program with thousands of calls needs no
// goroutine for any of them in this way.
//
// fn runs on a loop that other calls share, so it must not block, nor take longer than
// a small part of the duration of a frame: calls of fn that took more than 5 ms are
// counted in SlowFrames of [AudioStats]. [Audio.WriteLive] may be called by it, and any
// method that does not block. The frame is borrowed until fn returns. A panic of fn ends
// the call, and so does FailNow of a test. If the loop comes more than 100 ms late, the
// frames that were due meanwhile are left out, and counted in Skipped.
//
// When the call or the line has ended, fn is not called any more; [Call.Done] tells,
// and what is left can be read by ReadFrame. The error is [ErrCoded] if packets are
// read, and wraps [codec.ErrUnknown] if this build can decode nothing that the far end
// may send.
func (a *Audio) HandleFrames(fn func(f *audio.Frame)) error {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case fn == nil:
	case a.apart:
		return ErrCoded
	case !a.decodesAny():
		return fmt.Errorf("%w: no decoder for %v", codec.ErrUnknown, a.codecs)
	default:
		a.decodeLocked()
	}
	a.handler = fn
	a.receiver.SetPatience(a.maxDelay)
	if fn != nil {
		a.receiver.SetPatience(min(a.maxDelay, handlePatience))
	}
	c.cond.Broadcast() // for those who wait for frames
	c.schedule()
	return nil
}

// handlePatience is how late a loop may come to a call until the frames that were due
// meanwhile are left out. A machine that cannot keep up would spend its time on them,
// and keep up even less.
const handlePatience = 100 * time.Millisecond

// takeLocked takes the frame that is due at now, if there is a function for it.
func (a *Audio) takeLocked(now time.Time) bool {
	if a.handler == nil || !a.receiver.Pull(now, &a.frame) {
		return false
	}
	a.handling = a.handler
	a.hearLocked(&a.frame)
	return true
}

// slowFrame is how long the function for frames may take.
const slowFrame = 5 * time.Millisecond

// handle gives the frame that was taken to the function, and returns the time after it,
// or that at which what was written is due, if that is nearly the same.
func (a *Audio) handle() time.Time {
	begin := time.Now()
	a.handling(&a.frame)
	end := time.Now()
	if d := end.Sub(begin); d > slowFrame && a.slowFrames.Add(1) == 1 {
		a.call.logger.Warn("the function for frames is slow, other calls wait for it", "took", d)
	}
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if next := a.sender.Next(); next.Sub(end) < nearly {
		return later(end, next)
	}
	return end
}
