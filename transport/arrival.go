package transport

import "time"

// arrivalTime turns the time of arrival that the kernel has put on a datagram,
// which is wall clock, into one on the monotonic clock. The datagram came after
// since, when the socket was last found empty, and is read at now, when the wall
// clock is at wallNow; that and kernel are nanoseconds of one epoch.
//
// Only the difference of the two readings counts. If the wall clock was set between
// them it is wrong, and then what is known for certain bounds it: the result is
// never before since nor after now, and so never before that of a datagram which
// was read earlier. Without a time of the kernel, 0, it is now.
func arrivalTime(now time.Time, wallNow, kernel int64, since time.Time) time.Time {
	if kernel == 0 {
		return now
	}
	ago := time.Duration(wallNow - kernel)
	if (wallNow < kernel) != (ago < 0) { // beyond what a Duration holds
		ago = 0
		if wallNow > kernel {
			ago = maxAgo
		}
	}
	if ago <= 0 {
		return now
	}
	if longest := now.Sub(since); ago >= longest {
		return earlier(now, since)
	}
	return now.Add(-ago)
}

const maxAgo = 1<<63 - 1

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
