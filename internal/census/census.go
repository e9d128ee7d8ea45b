// Package census counts what a process holds, for tests that nothing is left behind.
package census

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// A Census is what calls could leave behind in this process.
type Census struct {
	Goroutines int
	Files      int // open file descriptors, of which sockets are most; 0 if the system does not tell
	Heap       int // bytes
}

// Count returns what there is now.
func Count() Census {
	for range 3 { // finalizers and pools need more than one cycle
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c := Census{Goroutines: runtime.NumGoroutine(), Heap: int(m.HeapAlloc)}
	if runtime.GOOS == "linux" {
		files, _ := os.ReadDir("/proc/self/fd")
		c.Files = len(files)
	}
	return c
}

// Rested returns the least that is counted in half a second.
func Rested() Census {
	c := Count()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		d := Count()
		c = Census{min(c.Goroutines, d.Goroutines), min(c.Files, d.Files), min(c.Heap, d.Heap)}
	}
	return c
}

// Return counts until there is no more than before but for the given slack, for ten
// seconds at the most, and returns the last count.
func Return(before, slack Census) (after Census) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for after = Count(); !after.Within(before, slack) && time.Now().Before(deadline); after = Count() {
		<-tick.C
	}
	return after
}

// Within reports whether c is no more than before but for the given slack.
func (c Census) Within(before, slack Census) bool {
	return c.Goroutines <= before.Goroutines+slack.Goroutines && c.Files <= before.Files+slack.Files && c.Heap <= before.Heap+slack.Heap
}

// LogGoroutines logs where goroutines are if there are more than before.
func (c Census) LogGoroutines(t testing.TB, before Census) {
	if c.Goroutines > before.Goroutines {
		buf := make([]byte, 1<<20)
		t.Logf("%s", buf[:runtime.Stack(buf, true)])
	}
}

func (c Census) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d kB", c.Goroutines, c.Files, c.Heap>>10)
}
