package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time that the calling thread has used.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

// processTime returns the CPU time that the program has used, in the kernel too.
func processTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // nothing in it can fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
