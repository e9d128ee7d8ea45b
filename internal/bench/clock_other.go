//go:build !linux

package bench

import "time"

var start = time.Now()

// cpuTime returns the time of the wall, for want of a better clock.
func cpuTime() time.Duration { return time.Since(start) }

// processTime returns the time of the wall.
func processTime() time.Duration { return time.Since(start) }
