package parley

import (
	"time"

	"github.com/parley-media/parley/internal/prefetch"
)

// Wake makes the call look after its legs soon. It is meant for packages that make
// legs, see [PolledLeg].
func (c *Call) Wake() { c.task.Wake(time.Time{}) }

// pollInterval is how long packets may wait where they are read by the clock.
const pollInterval = 20 * time.Millisecond

// prefetch asks the processor for what a run needs, in order of what points to what.
func (c *Call) prefetch() {
	prefetch.Value(c)
	for _, a := range c.audios {
		prefetch.Until(a, &a.rtcp)
		a.rtcp.Prefetch()
		prefetch.Until(&a.maxDelay, &a.receiver)
		a.receiver.Prefetch()
		a.sender.Prefetch()
		if a.ahead != nil {
			a.ahead.Prefetch()
		}
	}
	for _, a := range c.audios {
		a.receiver.PrefetchBuffers()
		a.sender.PrefetchBuffers()
	}
}

// Prefetch asks the processor for the memory that a packet needs which is delivered
// next, and sent on by a [Forwarder]. It is meant for legs.
func (a *Audio) Prefetch() {
	prefetch.Value(a.call)
	prefetch.Until(&a.line, &a.rtcp)
	a.receiver.Prefetch()
	if f := a.forwarder.Load(); f != nil {
		prefetch.Value(f)
		d := f.dst
		prefetch.Value(d.call)
		prefetch.Until(&d.line, &d.rtcp)
		d.sender.Prefetch()
		d.rtcp.Prefetch()
		if d.ahead != nil {
			d.ahead.Prefetch()
		}
	}
}

// poll begins a run: it reads what has come in on the legs that have to be asked.
func (c *Call) poll(now time.Time, scratch []byte) (more bool) {
	c.mu.Lock()
	c.running = true
	c.prefetch()
	audios := c.audios
	for _, a := range audios {
		a.clockLocked(now)
	}
	c.mu.Unlock()
	for _, a := range audios {
		if a.polls && a.polled.Poll(a.clocked, scratch[:cap(scratch)]) {
			more = true
			c.mu.Lock()
			a.clocked = false
			c.mu.Unlock()
		}
	}
	return more
}

// clockLocked decides whether the leg is read now, and when it is at the latest: while
// media comes and is played out, when a frame is due.
func (a *Audio) clockLocked(now time.Time) {
	a.polls = false
	if a.polled == nil {
		return
	}
	frame := a.receiver.Next()
	if a.clocked && now.Before(a.asked.Add(pollInterval)) && (frame.IsZero() || now.Before(frame)) {
		return
	}
	a.polls, a.asked = true, now
	a.clocked = a.coded == nil && !a.receiver.Diverts() && a.heard != 0 && !a.muted && a.direction.Receives() && a.bye == nil
}
