package census

import (
	"os"
	"runtime"
	"testing"
)

func TestCount(t *testing.T) {
	before := Rested()
	stop := make(chan struct{})
	go func() { <-stop }()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	kept := make([]byte, 8<<20)
	more := Count()
	if more.Within(before, Census{}) || more.Goroutines != before.Goroutines+1 || more.Heap < before.Heap+7<<20 {
		t.Errorf("%v, then %v", before, more)
	}
	if runtime.GOOS == "linux" && more.Files != before.Files+1 {
		t.Errorf("%v, then %v with one more file", before, more)
	}
	runtime.KeepAlive(kept)
	close(stop)
	f.Close()
	if after, slack := Return(before, Census{Heap: 1 << 20}), (Census{Heap: 1 << 20}); !after.Within(before, slack) {
		t.Errorf("%v, and in the end %v", before, after)
	}
}
