package transport

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that may open one more file, but not two, is told so, and not of ports.
func TestListenWithoutFiles(t *testing.T) {
	p, err := Listen(ListenConfig{Local: netip.AddrPortFrom(loopback, 0)})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	next, err := os.Open(os.DevNull) // it has the lowest number that is free
	if err != nil {
		t.Fatal(err)
	}
	n := next.Fd()
	next.Close()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n) + 1, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) //nolint:errcheck // it was so before
	for range 10 {
		p, err := Listen(ListenConfig{Local: netip.AddrPortFrom(loopback, 0)})
		if err == nil {
			p.Close()
		}
		if !errors.Is(err, unix.EMFILE) {
			t.Fatal(err)
		}
	}
}
