//go:build interop

package bench

import (
	"os"
	"testing"
	"time"
)

// asRelay in the environment makes this test binary be our relay.
const asRelay = "PARLEY_TEST_AS_RELAY"

func TestRelay(t *testing.T) {
	if os.Getenv(asRelay) != "" {
		if err := ServeRelay(t.Context(), 10, os.Stdin, os.Stdout); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Setenv(asRelay, "1")
	t.Log(RelayHeader())
	rows := 0
	o := RelayOptions{Options: Options{Rounds: 1}, Calls: 10, Turn: 300 * time.Millisecond}
	// The number of calls comes last.
	o.Ours = []string{os.Args[0], "-test.run=^TestRelay$", "-test.count=1", "-test.parallel"}
	err := Relay(t.Context(), o, func(r RelayRow) {
		rows++
		t.Log(r)
		if r.Ours == nil || r.Ours.Min <= 0 || r.Ways[0].Sent == 0 || r.Allocs != 0 || r.Heap <= 0 {
			t.Errorf("%+v", r)
		}
		if r.Reference == "rtpengine" && r.Missing != "" {
			return // it is not installed everywhere
		}
		if r.Missing != "" || r.Ratio == nil {
			t.Fatalf("%s: missing: %s (Debian packages gcc and libc6-dev)", r.Reference, r.Missing)
		}
	})
	if err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
