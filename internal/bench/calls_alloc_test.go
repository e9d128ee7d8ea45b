//go:build !race && linux

package bench

import (
	"errors"
	"testing"
	"time"
)

// A whole call allocates nothing for its packets, on both ways, once it has the memory
// that it needs to conceal and to stretch. Reports of RTCP are put off: they are few, and
// allocate.
func TestCallsAllocateNothing(t *testing.T) {
	for name, open := range map[string]opener{"blocking reads": openReadCalls, "on the loop": openLoopCalls, "SRTP": openReadCalls} {
		setup := &callSetup{n: 50, reports: time.Hour}
		if name == "SRTP" {
			setup.keys = newCallKeys()
		}
		w, err := open(t.Context(), setup)
		if _, ok := errors.AsType[missing](err); ok {
			t.Logf("%s: missing: %v", name, err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		err = w.begin(t.Context())
		least, packets := 1.0, int64(0)
		for range 20 {
			sent, received := w.counts()
			before := mallocs()
			if err = errors.Join(err, pause(t.Context(), 300*time.Millisecond)); err != nil {
				break
			}
			allocated := mallocs() - before
			a, b := w.counts()
			packets = a - sent + b - received
			if least = min(least, float64(allocated)/float64(max(packets, 1))); least < 0.02 {
				break
			}
		}
		lost := w.finish()
		t.Logf("%s: %.3f allocations for each of %d packets", name, least, packets)
		if err != nil || least >= 0.02 || packets < 50 || lost != 0 {
			t.Errorf("%s: %.3f allocations for each of %d packets, %d lost, %v", name, least, packets, lost, err)
		}
	}
}
