//go:build unix

// Package testport gives tests ports of UDP for programs that open them later.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Pair returns an even port of an address that is free, as is the one after it.
// Both lie below those that the system gives to whoever asks for any, and until the
// test ends no other caller, of this process or another, is given them.
func Pair(t testing.TB, ip net.IP) int {
	t.Helper()
	return Pairs(t, ip, 1)
}

// Pairs is Pair for n pairs, one after the other, and returns the first port.
func Pairs(t testing.TB, ip net.IP, n int) int {
	t.Helper()
	for range 200 {
		first := 21000 + 2*rand.IntN(5500-n)
		ok := true
		for port := first; port < first+2*n && ok; port += 2 {
			ok = reserve(t, port) && free(ip, port) && free(ip, port+1)
		}
		if ok {
			return first
		}
	}
	t.Fatalf("no %d free pairs of ports", n)
	return 0
}

func free(ip net.IP, port int) bool {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Open tells whether a program of this machine, which runs Linux, has a port open. To try
// to open it would tell that too, but keep the program from doing so at that moment.
func Open(port int) bool {
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		table, _ := os.ReadFile(name) // not every container has the second
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				return true
			}
		}
	}
	return false
}

// reserve locks a file that stands for a port, which the end of the process unlocks
// too. The empty file stays: to remove it would let two have it.
func reserve(t testing.TB, port int) bool {
	name := filepath.Join(os.TempDir(), fmt.Sprintf("parley-test-port-%d", port))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return false
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return false
	}
	t.Cleanup(func() { f.Close() })
	return true
}
