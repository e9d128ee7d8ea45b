package parley

import (
	"time"

	"github.com/parley-media/parley/rtcpctl"
)

// Pictures that the network does not carry take the sound of the call with them, so that
// they pause when the circuit breaker has tripped (RFC 8083, section 4.5), for longer each
// time if that comes again soon. A network that loses as much of the sound alone is not
// helped by that.
const (
	thinLoss  = 0.15 // less than that is repaired, mostly
	thinPause = 10 * time.Second
	thinMost  = 80 * time.Second
	thinAgain = 30 * time.Second // within which the next pause is twice as long
)

// thin is what a video knows of a network that does not carry it.
type thin struct {
	pause  time.Duration // the last one
	until  time.Time     // zero: pictures do not pause
	resume time.Time     // when they went on
	vain   bool          // the sound was no better for it
}

func (v *Video) broken(now time.Time, trip rtcpctl.Trip) {
	t := &v.thin
	if trip != rtcpctl.Congestion || t.vain || !v.losesMuch(time.Time{}) {
		return
	}
	if t.pause = min(2*t.pause, thinMost); t.pause == 0 || now.Sub(t.resume) > thinAgain {
		t.pause = thinPause
	}
	t.until = now.Add(t.pause)
	v.sender.Skip(true)
}

// losesMuch reports whether the far end's last report says so, if it came after since.
func (l *line) losesMuch(since time.Time) bool {
	var s rtcpctl.Stats
	l.rtcp.Stats(&s)
	return s.Remote.FractionLost() >= thinLoss && s.Remote.At.After(since)
}

// thinLocked lets pictures go on when their pause is over, from a key frame on.
func (v *Video) thinLocked(now time.Time) {
	if t := &v.thin; !t.until.IsZero() && !now.Before(t.until) {
		t.vain = v.sound != nil && v.sound.losesMuch(now.Add(-t.pause/4)) // a report on the pause alone
		t.until, t.resume = time.Time{}, now
		v.rtcp.ResetBreaker(now)
		v.sender.Skip(false)
		v.sender.KeyFrames().Ask()
	}
}
