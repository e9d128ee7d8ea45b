package transport

import "time"

// arrivalTime returns when a datagram came in to which the kernel gave the time kernel,
// in nanoseconds of the wall clock, which says wall at now. It is not after now, nor
// before since, when there was none yet: a clock that was set meanwhile changes no more
// than that.
func arrivalTime(now time.Time, wall, kernel int64, since time.Time) time.Time {
	arrival := now.Add(-time.Duration(wall - kernel))
	switch {
	case arrival.After(now):
		return now
	case arrival.Before(since):
		return since
	}
	return arrival
}
