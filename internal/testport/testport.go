//go:build unix

// Package testport gives tests ports of UDP for programs that open them later.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Pair returns an even port of an address that is free, as is the one after it.
// Both lie below those that the system gives to whoever asks for any, and until the
// test ends no other caller, of this process or another, is given them.
func Pair(t testing.TB, ip net.IP) int {
	t.Helper()
	for range 200 {
		port := 21000 + 2*rand.IntN(5500)
		if reserve(t, port) && free(ip, port) && free(ip, port+1) {
			return port
		}
	}
	t.Fatal("no free pair of ports")
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
