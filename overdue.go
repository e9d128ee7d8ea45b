package parley

import (
	"fmt"
	"time"
)

const (
	stalled = 100 * time.Millisecond // how late a run is when this machine has stood still
	reading = time.Second            // for how long what came meanwhile may wait in the sockets
)

// stallLocked notices at the begin of a run that this machine has stood still, as when
// the process was stopped: the far end may have spoken all the time. Where each run is
// late, that is believed once, until the far end is heard again.
func (c *Call) stallLocked(now time.Time) {
	if late := now.Sub(c.scheduled); c.scheduled.IsZero() || late <= stalled {
		return
	}
	if c.awake.IsZero() || c.awake.Before(c.lastHeard) {
		c.awake = now
	}
}

// deadlineLocked returns when the call ends by itself if nothing happens, and
// by which limit.
func (c *Call) deadlineLocked() (at time.Time, limit time.Duration, reason Reason) {
	d := &c.deadlines
	begin := c.lastHeard
	expected, receives := c.expectedLocked()
	bye := c.byeLocked()
	switch {
	case bye != nil:
		begin, limit, reason = bye.at, bye.grace, Bye
		if d.Silence > 0 {
			limit = min(limit, d.Silence)
		}
	case c.connected.IsZero():
		begin, limit, reason = c.opened, d.Connect, NotConnected
	case !receives:
		return time.Time{}, 0, ""
	case begin.IsZero():
		begin, limit, reason = later(c.connected, expected), d.FirstMedia, NoMedia
	default:
		begin, limit, reason = later(begin, expected), d.Silence, Silent
	}
	if limit <= 0 {
		return time.Time{}, 0, ""
	}
	return later(begin.Add(limit), c.awake.Add(min(limit, reading))), limit, reason
}

// byeLocked returns the last goodbye that the far end has said on any line, or nil if it
// has not left yet, or would not say so by that. A line on which it never said anything
// does not count, and neither does one that was turned down. On hold a goodbye is that of
// a stream (RFC 3550, section 6.6, has sources leave), and says nothing of the call.
func (c *Call) byeLocked() (last *goodbye) {
	if c.persists {
		return nil
	}
	for _, l := range c.lines {
		switch {
		case l.off:
		case l.known && l.bye == nil:
			return nil
		case !l.direction.Receives() && l.heard != 0: // of the stream that the hold has ended
		case l.bye != nil && (last == nil || l.bye.at.After(last.at)):
			last = l.bye
		}
	}
	return last
}

// expectedLocked returns from when on media is expected on any line, after a
// hold, and false if all are on hold.
func (c *Call) expectedLocked() (at time.Time, ok bool) {
	for _, l := range c.lines {
		if l.direction.Receives() && (!ok || l.expected.Before(at)) {
			at, ok = l.expected, true
		}
	}
	return at, ok
}

// overdueLocked says in words that a limit has passed.
func (c *Call) overdueLocked(limit time.Duration, reason Reason) *EndError {
	e := &EndError{Reason: reason}
	switch reason {
	case Bye:
		e.Detail = c.byeLocked().reason
	case NotConnected:
		e.Detail = fmt.Sprintf("not connected within %v", limit)
		if c, ok := c.channels.(interface{ Unreached() string }); ok {
			if what := c.Unreached(); what != "" {
				e.Detail += "; " + what
			}
		}
	case NoMedia:
		e.Detail = fmt.Sprintf("no media within %v", limit)
		for _, l := range c.lines {
			leg, ok := l.leg.(interface{ Unheard() string })
			if !ok {
				continue
			}
			if what := leg.Unheard(); what != "" {
				e.Detail += "; " + what
			}
		}
	case Silent:
		e.Detail = fmt.Sprintf("nothing heard for %v", limit)
	}
	return e
}
