//go:build unix

package transport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parley-media/parley/internal/testport"
)

// What the system says at every read must not take a core: the rests between errors
// grow to a tenth of a second, and the first datagram ends them.
func TestErrorsThatStay(t *testing.T) {
	const ms = time.Millisecond
	for _, persistent := range []error{syscall.EPERM, syscall.ENETDOWN, syscall.ECONNREFUSED, syscall.ENOBUFS, os.ErrDeadlineExceeded} {
		var r Reader
		var rests []time.Duration
		reads := 0
		r.each(func(d time.Duration) error {
			rests = append(rests, d)
			return nil
		}, func() error {
			switch reads++; {
			case reads == 31: // after a datagram all begins anew
				return nil
			case reads == 41:
				return &net.OpError{Op: "read", Err: net.ErrClosed}
			}
			return &net.OpError{Op: "read", Err: os.NewSyscallError("recvmsg", persistent)}
		})
		want := []time.Duration{1 * ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms, 32 * ms, 64 * ms}
		for len(want) < 30-freeErrors {
			want = append(want, maxRest)
		}
		want = append(want, 1*ms)
		if fmt.Sprint(rests) != fmt.Sprint(want) {
			t.Errorf("%v: rests of %v, want %v", persistent, rests, want)
		}
		if n := r.Errors(); n != 39 || reads != 41 {
			t.Errorf("%v: %d errors in %d reads, want 39 in 41", persistent, n, reads)
		}
	}
}

// The end of the socket ends a rest, and the reading with it.
func TestCloseEndsARest(t *testing.T) {
	p := open(t, netip.AddrPortFrom(loopback, 0))
	rested := make(chan struct{})
	var r Reader
	var reading sync.WaitGroup
	reading.Go(func() {
		rest := restOn(p.RTP)
		r.each(func(time.Duration) error {
			close(rested)
			return rest(time.Hour)
		}, func() error { return syscall.EPERM })
	})
	<-rested
	p.Close()
	reading.Wait() // or the test takes an hour
	if n := r.Errors(); n != freeErrors+1 {
		t.Errorf("%d errors, want %d", n, freeErrors+1)
	}
	if err := restOn(p.RTP)(time.Hour); err == nil {
		t.Error("a rest on a closed socket")
	}
}

// A rest ends at its time, or with a datagram, which is there to be read then.
func TestRest(t *testing.T) {
	p, sender := open(t, netip.AddrPortFrom(loopback, 0)), open(t, netip.AddrPortFrom(loopback, 0))
	rest := restOn(p.RTP)
	begin := time.Now()
	if err := rest(20 * time.Millisecond); err != nil || time.Since(begin) < 20*time.Millisecond {
		t.Errorf("a rest of %v: %v", time.Since(begin), err)
	}
	ended := make(chan error)
	go func() { ended <- rest(time.Hour) }()
	// One that comes before the rest has begun does not end it, the next one does.
	for sent := 0; ; sent++ {
		if _, err := sender.RTP.WriteToUDPAddrPort([]byte("here"), p.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Millisecond):
			continue
		}
		break
	}
	var b [16]byte
	n, err := p.RTP.Read(b[:])
	if err != nil || string(b[:n]) != "here" {
		t.Errorf("after the rest %q is read: %v", b[:n], err)
	}
}

// A socket on which each read fails is a guest of the processor, and what comes to it
// when that is over is heard. The errors here are real ones: refusals that a socket
// is told of which is tied to a port that nobody has.
func TestRefusalsAreCounted(t *testing.T) {
	to := netip.AddrPortFrom(loopback, uint16(testport.Pair(t, loopback.AsSlice())))
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	var r Reader
	var reading sync.WaitGroup
	reading.Go(func() {
		r.Receive(c, func(_ time.Time, _ netip.AddrPort, b []byte) {
			select {
			case heard <- string(b):
			default:
			}
		})
	})
	defer reading.Wait()
	defer c.Close()
	deadline := time.Now().Add(10 * time.Second)
	refused := 0
	for r.Errors() < 3*freeErrors && time.Now().Before(deadline) {
		if _, err := c.Write([]byte("anybody?")); err != nil {
			refused++ // whoever asks first is told
		}
		time.Sleep(time.Millisecond)
	}
	if r.Errors() < 3*freeErrors && runtime.GOOS == "linux" {
		t.Errorf("%d errors of reads, and %d of writes", r.Errors(), refused)
	}
	back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	for {
		if _, err := back.WriteToUDPAddrPort([]byte("yes"), c.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if got != "yes" {
				t.Errorf("heard %q", got)
			}
			t.Logf("%d errors of reads, %d of writes", r.Errors(), refused)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
