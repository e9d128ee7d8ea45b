package parley

import "time"

// Wake makes the call look after its legs soon. It is meant for packages that make
// legs, see [PolledLeg].
func (c *Call) Wake() { c.task.Wake(time.Time{}) }

// pollInterval is how long packets may wait where they are read by the clock.
const pollInterval = 20 * time.Millisecond

// poll begins a run: it reads what has come in on the legs that have to be asked.
func (c *Call) poll(now time.Time, scratch []byte) (more bool) {
	c.mu.Lock()
	c.running = true
	audios := c.audios
	for _, a := range audios {
		a.clockLocked(now)
	}
	c.mu.Unlock()
	for _, a := range audios {
		if a.polled != nil && a.polled.Poll(!a.pollAt.IsZero(), scratch[:cap(scratch)]) {
			more = true
		}
	}
	return more
}

// clockLocked decides when the leg is read next: while media comes and is played out,
// when the next frame is due.
func (a *Audio) clockLocked(now time.Time) {
	a.pollAt = time.Time{}
	if a.polled == nil || a.coded != nil || a.receiver.Diverts() || a.heard == 0 || a.muted || !a.direction.Receives() || !a.byeAt.IsZero() {
		return
	}
	a.pollAt = now.Add(pollInterval)
	if at := a.receiver.Next(); at.After(now) && at.Before(a.pollAt) {
		a.pollAt = at
	}
}
