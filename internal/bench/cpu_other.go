//go:build !linux

package bench

import "time"

// cpuOf is for Linux.
func cpuOf(int) (time.Duration, error) {
	return 0, missing("Linux, to know the CPU time of another process")
}
