package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/server"
)

// udpSockets returns how many sockets of UDP there are at a port of this machine,
// and how many this process has.
func udpSockets(t *testing.T, port int) (at, all int) {
	t.Helper()
	mine := map[string]bool{}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if target, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(target, "socket:[") {
			mine[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		text, err := os.ReadFile(table)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || !mine[f[9]] {
				continue
			}
			all++
			if strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				at++
			}
		}
	}
	return at, all
}

// However many calls there are, the server has the port that it began with, once
// for each address of this machine, and no other.
func TestOnePort(t *testing.T) {
	s, _ := start(t, &server.Config{MaxLate: -1}) // it takes all of them, however busy this machine is
	atFirst, allFirst := udpSockets(t, s.Port())
	if atFirst == 0 {
		t.Fatal("the server has no port")
	}
	const n = 50
	callers := make([]*caller, n)
	inParallel(n, 10, func(i int) {
		c, err := newCaller()
		if err != nil {
			t.Error(err)
			return
		}
		callers[i] = c
		c.call(t, s, "/wait")
	})
	var at, all int
	eventually(t, 5*time.Second, "no socket that a caller has while it connects", func() bool {
		at, all = udpSockets(t, s.Port())
		return all <= allFirst+n // each caller has one of its own
	})
	calls := s.Calls()
	for _, c := range callers {
		if c != nil {
			c.hangUp()
		}
	}
	if calls != n || at != atFirst {
		t.Errorf("with %d calls %d sockets at the port, %d in all; %d and %d before", calls, at, all, atFirst, allFirst)
	}
}
