//go:build linux && !portable

package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// polledPair listens on an address of this machine.
func polledPair(t *testing.T, local string, mux bool) (*Pair, *Polled, *Polled) {
	t.Helper()
	p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort(local), Mux: mux})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	rtp, rtcp, err := p.Poll()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rtp.Close() })
	if rtcp != nil {
		t.Cleanup(func() { rtcp.Close() })
	}
	return p, rtp, rtcp
}

func TestPolled(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0", "0.0.0.0:0"} {
		t.Run(local, func(t *testing.T) {
			a, in, rtcp := polledPair(t, local, false)
			_, out, _ := polledPair(t, local, true)
			to := a.LocalAddr()
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
			}
			told := make(chan struct{}, 100)
			if err := in.Watch(func() { told <- struct{}{} }); err != nil {
				t.Fatal(err)
			}
			if rtcp == nil {
				t.Fatal("no socket for RTCP")
			}
			buf := make([]byte, 100)
			for _, clocked := range []bool{false, true, true, false} {
				in.Read(clocked, buf, func(time.Time, netip.AddrPort, []byte) { t.Error("a packet that nobody sent") })
				begin := time.Now()
				for i := range 3 {
					if err := out.WriteTo(fmt.Append(nil, "packet ", i), to); err != nil {
						t.Fatal(err)
					}
				}
				if err := out.WriteTo(make([]byte, 1000), to); err != nil {
					t.Fatal(err)
				}
				if !clocked {
					<-told
				}
				var got []string
				for len(got) < 4 {
					more := in.Read(clocked, buf, func(arrival time.Time, from netip.AddrPort, b []byte) {
						got = append(got, string(b))
						if now := time.Now(); arrival.Before(begin) || arrival.After(now) {
							t.Errorf("came %v after it was sent, at most %v", arrival.Sub(begin), now.Sub(begin))
						}
						if from.Addr().IsUnspecified() || !from.Addr().IsLoopback() || from.Addr().Is4In6() {
							t.Errorf("from %v", from)
						}
					})
					if more {
						t.Error("there is more")
					}
					if !clocked && len(got) < 4 {
						<-told
					}
				}
				if want := []string{"packet 0", "packet 1", "packet 2", string(make([]byte, 100))}; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// What comes while nobody reads has the time at which it came.
func TestPolledArrival(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := in.Watch(func() {}); err != nil {
		t.Fatal(err)
	}
	const wait = 30 * time.Millisecond
	send := func() (sent, after time.Time) {
		t.Helper()
		sent = time.Now()
		if err := out.WriteTo([]byte("early"), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		after = time.Now()
		time.Sleep(wait)
		return sent, after
	}
	// The first socket of a machine that wants times gets them a little later.
	for tries, timed := 0, false; !timed && tries < 30; tries++ {
		send()
		in.Read(true, make([]byte, 100), func(arrival time.Time, _ netip.AddrPort, _ []byte) {
			timed = time.Since(arrival) > wait/2
		})
	}
	sent, after := send()
	n := 0
	in.Read(true, make([]byte, 100), func(arrival time.Time, _ netip.AddrPort, _ []byte) {
		n++
		// The two clocks are read at different moments.
		if arrival.Before(sent.Add(-5*time.Millisecond)) || arrival.After(after.Add(5*time.Millisecond)) {
			t.Errorf("came %v after it was sent", arrival.Sub(sent))
		}
	})
	if n != 1 {
		t.Errorf("%d packets", n)
	}
}

// A flood is read in parts.
func TestPolledFlood(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := in.Watch(func() {}); err != nil {
		t.Fatal(err)
	}
	for range maxRead + 10 {
		if err := out.WriteTo([]byte("x"), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	count := func(time.Time, netip.AddrPort, []byte) { n++ }
	if !in.Read(true, make([]byte, 100), count) || n != maxRead {
		t.Errorf("read %d, want %d and more", n, maxRead)
	}
	if in.Read(false, make([]byte, 100), count) || n != maxRead+10 {
		t.Errorf("read %d in all, want %d", n, maxRead+10)
	}
}

func TestPolledErrors(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := out.WriteTo([]byte("x"), netip.MustParseAddrPort("[2001:db8::1]:4000")); err == nil {
		t.Error("sent to IPv6 from a socket of IPv4")
	}
	if err := out.WriteTo(make([]byte, 70000), a.LocalAddr()); err == nil {
		t.Error("sent 70000 bytes")
	}
	// Nobody listens there any more: what the network says about it costs nothing.
	to := a.LocalAddr()
	in.Close()
	a.Close()
	if err := out.WriteTo([]byte("x"), to); err != nil {
		t.Error(err)
	}
	if out.Read(true, make([]byte, 10), func(time.Time, netip.AddrPort, []byte) { t.Error("a packet") }) {
		t.Error("there is more")
	}

	if err := in.WriteTo([]byte("x"), to); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sent when closed: %v", err)
	}
	if in.Read(true, make([]byte, 10), func(time.Time, netip.AddrPort, []byte) { t.Error("a packet") }) {
		t.Error("there is more when closed")
	}
	if err := in.Watch(func() {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("watched when closed: %v", err)
	}
	if err := errors.Join(in.Close(), a.Close()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	// The port is free.
	p, err := Listen(ListenConfig{Local: to, Mux: true})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// A troubled system fails, and has a clock that is set while packets come in.
type troubled struct {
	kernel
	receives, sends []syscall.Errno // that come next
	step            time.Duration   // of the clock since the packets came
	calls           int
}

func (s *troubled) receive(fd int, h *unix.Msghdr) (int, syscall.Errno) {
	s.calls++
	if len(s.receives) > 0 {
		errno := s.receives[0]
		s.receives = s.receives[1:]
		return 0, errno
	}
	n, errno := s.kernel.receive(fd, h)
	if c := (*unix.Cmsghdr)(unsafe.Pointer(h.Control)); errno == 0 && h.Controllen > 0 && c.Type == unix.SCM_TIMESTAMPNS {
		t := (*unix.Timespec)(unsafe.Add(unsafe.Pointer(h.Control), unix.CmsgLen(0)))
		*t = unix.NsecToTimespec(t.Nano() - int64(s.step))
	}
	return n, errno
}

func (s *troubled) send(fd int, b []byte, to *unix.RawSockaddrInet6, length uintptr) syscall.Errno {
	if len(s.sends) > 0 {
		errno := s.sends[0]
		s.sends = s.sends[1:]
		return errno
	}
	return s.kernel.send(fd, b, to, length)
}

func TestPolledTrouble(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := in.Watch(func() {}); err != nil {
		t.Fatal(err)
	}
	from, to := &troubled{}, &troubled{}
	out.system, in.system = from, to
	buf := make([]byte, 100)
	read := func() (n int) {
		in.Read(true, buf, func(time.Time, netip.AddrPort, []byte) { n++ })
		return n
	}

	trouble := []syscall.Errno{unix.ENOBUFS, unix.ECONNREFUSED, unix.EPERM, unix.ENETDOWN, unix.EAGAIN}
	from.sends = append(from.sends, trouble...)
	for _, want := range trouble {
		if err := out.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	from.sends = []syscall.Errno{unix.EINTR, unix.EINTR}
	if err := out.WriteTo([]byte("x"), a.LocalAddr()); err != nil {
		t.Errorf("after an interruption: %v", err)
	}
	to.receives = []syscall.Errno{unix.ECONNREFUSED, unix.EINTR, unix.EPERM}
	if n := read(); n != 1 {
		t.Errorf("read %d packets behind errors, want 1", n)
	}

	// Errors without an end do not keep the others on the loop waiting.
	to.calls, to.receives = 0, slices.Repeat([]syscall.Errno{unix.EPERM}, 1000)
	if n := read(); n != 0 || to.calls > 10 {
		t.Errorf("read %d packets with %d system calls", n, to.calls)
	}
	to.receives = nil

	for _, step := range []time.Duration{-time.Hour, time.Hour, -10 * time.Millisecond, 10 * time.Millisecond} {
		read()
		begin := time.Now()
		if err := out.WriteTo([]byte("x"), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		to.step = step
		in.Read(true, buf, func(arrival time.Time, _ netip.AddrPort, _ []byte) {
			if now := time.Now(); arrival.After(now) || arrival.Before(in.since) {
				t.Errorf("with a clock that was set by %v, came %v after it was sent", step, arrival.Sub(begin))
			}
		})
	}
}

// Who reads each packet of a steady flow by a clock does not ask for another one each
// time, and what comes beside it is read by the next Read.
func TestPolledSteady(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := in.Watch(func() {}); err != nil {
		t.Fatal(err)
	}
	system := &troubled{}
	in.system = system
	sent, got := byte(0), byte(0)
	var last time.Time
	for i, step := range []struct {
		clocked            bool
		send, calls, reads int
	}{
		{true, 1, 2, 1},
		{true, 1, 1, 1},
		{true, 1, 1, 1},
		{true, 2, 1, 1}, // one of which is left
		{true, 1, 3, 2},
		{true, 1, 2, 1},
		{true, 1, 1, 1},
		{true, 0, 1, 0},
		{true, 1, 2, 1}, // late
		{true, 1, 1, 1},
		{true, 2, 1, 1},
		{false, 0, 2, 1},
		{true, 2, 1, 1},
		{true, 2, 4, 3},
		{true, 2, 3, 2}, // two each time
		{true, 2, 3, 2},
	} {
		for range step.send {
			sent++
			if err := out.WriteTo([]byte{sent}, a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		system.calls = 0
		reads := 0
		in.Read(step.clocked, make([]byte, 100), func(arrival time.Time, _ netip.AddrPort, b []byte) {
			reads++
			if got++; b[0] != got {
				t.Errorf("step %d: packet %d, want %d", i, b[0], got)
			}
			if arrival.Before(last) {
				t.Errorf("step %d: came %v before the one before", i, last.Sub(arrival))
			}
			last = arrival
		})
		if system.calls != step.calls || reads != step.reads {
			t.Errorf("step %d: %d packets by %d system calls, want %d by %d", i, reads, system.calls, step.reads, step.calls)
		}
	}
}

func TestPolledDoesNotAllocate(t *testing.T) {
	a, in, _ := polledPair(t, "127.0.0.1:0", true)
	_, out, _ := polledPair(t, "127.0.0.1:0", true)
	if err := in.Watch(func() {}); err != nil {
		t.Fatal(err)
	}
	buf, packet, to := make([]byte, 2048), make([]byte, 172), a.LocalAddr()
	got := 0
	fn := func(time.Time, netip.AddrPort, []byte) { got++ }
	if n := testing.AllocsPerRun(100, func() {
		if err := out.WriteTo(packet, to); err != nil {
			t.Fatal(err)
		}
		in.Read(true, buf, fn)
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
	if got != 101 {
		t.Errorf("%d packets", got)
	}
}
