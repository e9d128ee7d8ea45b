//go:build unix

package testport

import (
	"net"
	"testing"
)

func TestPair(t *testing.T) {
	loopback := net.IPv4(127, 0, 0, 1)
	given := map[int]bool{}
	for range 50 {
		port := Pair(t, loopback)
		if port%2 != 0 || given[port] || !free(loopback, port) || !free(loopback, port+1) {
			t.Fatalf("port %d after %v", port, given)
		}
		given[port] = true
	}
}

// Ranges that are given at the same time have no port in common.
func TestPairs(t *testing.T) {
	loopback := net.IPv4(127, 0, 0, 1)
	given := map[int]bool{}
	for range 20 {
		first := Pairs(t, loopback, 5)
		for port := first; port < first+10; port++ {
			if first%2 != 0 || given[port] || !free(loopback, port) {
				t.Fatalf("port %d of the range from %d after %v", port, first, given)
			}
			given[port] = true
		}
	}
}

// A port that somebody has open is given to nobody.
func TestTaken(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if free(net.IPv4(127, 0, 0, 1), c.LocalAddr().(*net.UDPAddr).Port) {
		t.Error("free")
	}
}
