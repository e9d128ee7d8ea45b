package stream

import "time"

// A mediaClock ties the timestamps of a sender to time.
type mediaClock struct {
	rate      int
	timestamp uint32        // of the frame that is due at next
	next      time.Time     // zero before anything was sent
	rounding  time.Duration // by which the timestamp is behind the clock, since pauses are no whole number of its units
}

// at returns the timestamp at now.
func (c *mediaClock) at(now time.Time) uint32 {
	if c.next.IsZero() {
		return c.timestamp
	}
	late := now.Sub(c.next)
	if late < 0 {
		return c.timestamp - uint32(timeToUnits(-late, c.rate))
	}
	return c.timestamp + uint32(timeToUnits(late+c.rounding, c.rate))
}

// due returns when the frame of a timestamp is due.
func (c *mediaClock) due(timestamp uint32) time.Time {
	return c.next.Add(unitsToTime(int64(int32(timestamp-c.timestamp)), c.rate))
}

// skip lets time go by until now, if that is in the future of the clock, and
// reports whether it was.
func (c *mediaClock) skip(now time.Time) bool {
	late := now.Sub(c.next)
	if c.next.IsZero() || late <= 0 {
		return false
	}
	late += c.rounding
	units := max(0, timeToUnits(late, c.rate))
	c.rounding = late - unitsToTime(units, c.rate)
	c.next = now
	c.timestamp += uint32(units)
	return true
}
