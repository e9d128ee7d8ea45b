package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// cpuOf returns the CPU time that all threads of a process have used, in the kernel
// too. That of threads which have ended is not in it.
func cpuOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(files) == 0 {
		err = missing("a kernel that tells the CPU time of threads (/proc/PID/task/TID/schedstat)")
	}
	var sum time.Duration
	for _, name := range files {
		b, e := os.ReadFile(name)
		var ns int64
		if e == nil {
			_, e = fmt.Sscan(string(b), &ns)
		}
		if e == nil {
			sum += time.Duration(ns)
		}
	}
	return sum, err
}
