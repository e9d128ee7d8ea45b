//go:build linux && !portable

package loop

import (
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
	for _, haste := range []Haste{Patient, Prompt} {
		testWatch(t, haste)
	}
}

func testWatch(t *testing.T, haste Haste) {
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
	fd := descriptor(t, in)
	ready := func(scratch []byte) {
		if haste == Prompt { // which tells until it is read
			if n, _, err := unix.Recvfrom(fd, scratch, unix.MSG_DONTWAIT); n != 1 || err != nil {
				t.Errorf("told of %d bytes, %v", n, err)
			}
		}
		told.Add(1)
		called <- struct{}{}
	}
	wait := func(why string) {
		t.Helper()
		select {
		case <-called:
		case <-time.After(10 * time.Second):
			t.Fatalf("not told of %s", why)
		}
	}

	send()
	if haste == Prompt {
		send()
	}
	ahead := make(chan struct{}, 100)
	w, err := NewWatch(fd, haste, func() { ahead <- struct{}{} }, ready)
	if err != nil {
		t.Fatal(err)
	}
	wait("what was there before")
	if haste == Prompt {
		wait("what was left of it")
	}
	for range 10 {
		send()
		wait("one more")
	}
	if n := told.Load(); haste == Prompt && n != 12 || int64(len(ahead)) < n {
		t.Errorf("told %d times, %d times ahead", n, len(ahead))
	}
	if err := w.Pause(); err != nil {
		t.Fatal(err)
	}
	before := told.Load()
	// Another socket shows that the poller has been round.
	second, err := NewWatch(descriptor(t, out), haste, nil, func([]byte) {})
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
	again, err := NewWatch(fd, haste, nil, ready)
	if err != nil {
		t.Fatal(err)
	}
	wait("what came while there was no watch at all")
	again.Close()
	if _, err := NewWatch(-1, haste, nil, ready); err == nil {
		t.Error("a watch of nothing")
	}
}

// More watches than one poller has are shared out, and nothing is left of the pollers.
func TestManyWatches(t *testing.T) {
	var watches []*Watch
	told := make(chan int, 3*maxWatches)
	var sockets []*net.UDPConn
	for i := range maxWatches + 10 {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w, err := NewWatch(descriptor(t, c), Patient, nil, func(scratch []byte) {
			if len(scratch) < ScratchSize {
				t.Errorf("%d bytes of scratch", len(scratch))
			}
			told <- i
		})
		if err != nil {
			t.Fatal(err)
		}
		watches, sockets = append(watches, w), append(sockets, c)
	}
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, c := range sockets {
		if _, err := out.WriteToUDP([]byte("x"), c.LocalAddr().(*net.UDPAddr)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int]bool{}
	for len(seen) < len(sockets) {
		select {
		case i := <-told:
			seen[i] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("told of %d sockets of %d", len(seen), len(sockets))
		}
	}
	pollers.Lock()
	n := len(pollers.all)
	pollers.Unlock()
	if want := min(2, runtime.GOMAXPROCS(0)); n != want {
		t.Errorf("%d pollers, want %d", n, want)
	}
	for _, w := range watches {
		w.Close()
	}
	if len(pollers.all) != 0 {
		t.Error("pollers are left")
	}
}
