//go:build linux && !portable

package loop

import (
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// descriptor is that of a socket, for as long as the socket is open.
func descriptor(t *testing.T, c syscall.Conn) (fd int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(f uintptr) { fd = int(f) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestWatch(t *testing.T) {
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := net.DialUDP("udp4", nil, in.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	send := func() {
		t.Helper()
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	var told atomic.Int64
	called := make(chan struct{}, 100)
	ready := func() { told.Add(1); called <- struct{}{} }
	wait := func(why string) {
		t.Helper()
		select {
		case <-called:
		case <-time.After(10 * time.Second):
			t.Fatalf("not told of %s", why)
		}
	}

	send()
	w, err := NewWatch(descriptor(t, in), ready)
	if err != nil {
		t.Fatal(err)
	}
	wait("what was there before")
	for range 10 {
		send()
		wait("one more, although nothing was read")
	}
	if err := w.Pause(); err != nil {
		t.Fatal(err)
	}
	before := told.Load()
	// Another socket shows that the poller has been round.
	second, err := NewWatch(descriptor(t, out), func() {})
	if err != nil {
		t.Fatal(err)
	}
	send()
	if err := w.Resume(); err != nil {
		t.Fatal(err)
	}
	wait("what came in a pause")
	if n := told.Load(); n > before+2 {
		t.Errorf("told %d times of one packet", n-before)
	}
	w.Close()
	second.Close()
	send()
	again, err := NewWatch(descriptor(t, in), ready)
	if err != nil {
		t.Fatal(err)
	}
	wait("what came while there was no watch at all")
	again.Close()
	if _, err := NewWatch(-1, ready); err == nil {
		t.Error("a watch of nothing")
	}
}
