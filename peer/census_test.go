package peer_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// A census counts what calls could leave behind in this process.
type census struct {
	goroutines int
	files      int // open file descriptors, of which sockets are most; 0 if the system does not tell
	heap       int // bytes
}

func count() census {
	for range 3 { // finalizers and pools need more than one cycle
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c := census{goroutines: runtime.NumGoroutine(), heap: int(m.HeapAlloc)}
	if runtime.GOOS == "linux" {
		files, _ := os.ReadDir("/proc/self/fd")
		c.files = len(files)
	}
	return c
}

// rested is the least that is counted in half a second.
func rested() census {
	c := count()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		d := count()
		c = census{min(c.goroutines, d.goroutines), min(c.files, d.files), min(c.heap, d.heap)}
	}
	return c
}

// leaves waits until all is as it was before but for the given slack.
func leaves(t *testing.T, before, slack census) {
	t.Helper()
	var after census
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		after = count()
		if after.goroutines <= before.goroutines+slack.goroutines && after.files <= before.files+slack.files && after.heap <= before.heap+slack.heap {
			t.Logf("before: %v; after: %v", before, after)
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("before: %v; after: %v", before, after)
	if after.goroutines > before.goroutines+slack.goroutines {
		buf := make([]byte, 1<<20)
		t.Logf("%s", buf[:runtime.Stack(buf, true)])
	}
}

func (c census) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d kB", c.goroutines, c.files, c.heap>>10)
}
