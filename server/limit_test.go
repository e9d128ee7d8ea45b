package server

import (
	"fmt"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAddresses(6)
	for _, step := range []struct {
		at   time.Duration
		from string
		want int // calls until one is refused
	}{
		{0, "192.0.2.1:1000", 6},
		{0, "192.0.2.1:2000", 0},
		{0, "[::ffff:192.0.2.1]:2000", 0},
		{0, "192.0.2.2:1000", 6},
		{0, "[2001:db8::1]:1000", 6},
		{0, "[2001:db8::ffff:0:0:1]:1000", 0},
		{0, "[2001:db8:0:1::1]:1000", 6},
		{0, "[fe80::1%eth0]:1000", 6},
		{0, "@", 6}, // a socket in the file system
		{0, "", 0},
		{9 * time.Second, "192.0.2.1:1000", 0},
		{10 * time.Second, "192.0.2.1:1000", 1},
		{40 * time.Second, "192.0.2.1:1000", 3},
		{2 * time.Minute, "192.0.2.1:1000", 6},
	} {
		n := 0
		for n < 100 && a.take(step.from, begin.Add(step.at)) {
			n++
		}
		if n != step.want {
			t.Errorf("after %v %d calls from %q, want %d", step.at, n, step.from, step.want)
		}
	}
	if free := newAddresses(0); !free.take("192.0.2.1:1000", begin) {
		t.Error("a limit where there is none")
	}
}

// However many addresses ask, few are remembered, and those that ask all the time
// are the last to be forgotten while others are old.
func TestAddressesAreForgotten(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAddresses(2)
	for i := range maxAddresses {
		a.take(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255), now)
	}
	now = now.Add(time.Minute)
	const busy = "192.0.2.1:1"
	for a.take(busy, now) {
	}
	if a.take(busy, now) || len(a.seen) != 1 {
		t.Errorf("%d addresses are remembered, want the busy one", len(a.seen))
	}
	for i := range 3 * maxAddresses {
		a.take(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
		if len(a.seen) > maxAddresses {
			t.Fatalf("%d addresses are remembered", len(a.seen))
		}
	}
}
