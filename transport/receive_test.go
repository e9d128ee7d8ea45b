package transport

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func open(t *testing.T, local netip.AddrPort) *Pair {
	t.Helper()
	p, err := Listen(ListenConfig{Local: local})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestListenAddresses(t *testing.T) {
	for _, local := range []netip.AddrPort{
		{},
		netip.AddrPortFrom(loopback, 0),
		netip.MustParseAddrPort("[::1]:0"),
		netip.MustParseAddrPort("0.0.0.0:0"),
		netip.MustParseAddrPort("[::]:0"),
	} {
		for range 20 {
			p := open(t, local)
			rtp, rtcp := p.LocalAddr(), localAddr(p.RTCP)
			if rtp.Port() == 0 || rtp.Port()%2 != 0 || rtcp.Port() != rtp.Port()+1 || rtcp.Addr() != rtp.Addr() {
				t.Fatalf("%v: RTP on %v, RTCP on %v", local, rtp, rtcp)
			}
			if want := local.Addr(); want.IsValid() && rtp.Addr() != want {
				t.Fatalf("listens on %v, want %v", rtp, want)
			}
			if !local.IsValid() && !rtp.Addr().IsUnspecified() {
				t.Fatalf("listens on %v, want all addresses", rtp)
			}
		}
	}
}

func TestReceive(t *testing.T) {
	for name, receive := range receivers {
		testReceive(t, name, receive)
	}
}

func testReceive(t *testing.T, name string, receive func(*net.UDPConn, func(time.Time, netip.AddrPort, []byte))) {
	for _, local := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		t.Run(name+" on "+local, func(t *testing.T) {
			p := open(t, netip.MustParseAddrPort(local))
			sender := open(t, netip.AddrPortFrom(p.LocalAddr().Addr(), 0))
			to := p.LocalAddr()
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(loopback, to.Port())
			}
			heard := make(chan string, 10)
			var reading sync.WaitGroup
			begin := time.Now()
			reading.Go(func() {
				receive(p.RTP, func(arrival time.Time, from netip.AddrPort, b []byte) {
					if from.Addr().Is4In6() || from.Port() != sender.LocalAddr().Port() {
						t.Errorf("from %v, want %v", from, sender.LocalAddr())
					}
					if arrival.Before(begin) {
						t.Errorf("arrived %v before it was sent", begin.Sub(arrival))
					}
					heard <- string(b)
				})
			})
			for _, text := range []string{"one", "", "three"} {
				if _, err := sender.RTP.WriteToUDPAddrPort([]byte(text), to); err != nil {
					t.Fatal(err)
				}
				if got := <-heard; got != text {
					t.Errorf("received %q, want %q", got, text)
				}
			}
			// What is longer than any packet of ours is cut.
			if _, err := sender.RTP.WriteToUDPAddrPort(bytes.Repeat([]byte{1}, 3000), to); err != nil {
				t.Fatal(err)
			}
			if got := <-heard; len(got) != 2048 {
				t.Errorf("%d bytes of 3000 received, want 2048", len(got))
			}
			p.Close()
			reading.Wait()
		})
	}
}

// A far end that has closed its port makes errors for the sender's socket, which
// goes on to receive.
func TestReceiveOutlivesRefusals(t *testing.T) {
	for name, receive := range receivers {
		t.Run(name, func(t *testing.T) { testOutlivesRefusals(t, receive) })
	}
}

func testOutlivesRefusals(t *testing.T, receive func(*net.UDPConn, func(time.Time, netip.AddrPort, []byte))) {
	p := open(t, netip.AddrPortFrom(loopback, 0))
	gone := open(t, netip.AddrPortFrom(loopback, 0))
	to := gone.LocalAddr()
	gone.Close()
	heard := make(chan string, 10)
	var reading sync.WaitGroup
	reading.Go(func() {
		receive(p.RTP, func(_ time.Time, _ netip.AddrPort, b []byte) { heard <- string(b) })
	})
	for range 10 {
		p.RTP.WriteToUDPAddrPort([]byte("anybody?"), to) //nolint:errcheck // it may be refused
	}
	sender := open(t, netip.AddrPortFrom(loopback, 0))
	if _, err := sender.RTP.WriteToUDPAddrPort([]byte("yes"), p.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "yes" {
		t.Errorf("received %q", got)
	}
	p.Close()
	reading.Wait()
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func ExampleListen() {
	p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	rtp := p.LocalAddr()
	rtcp := p.RTCP.LocalAddr().(*net.UDPAddr)
	fmt.Println(rtp.Addr(), rtp.Port()%2, rtcp.Port-int(rtp.Port()))
	// Output: 127.0.0.1 0 1
}

func ExampleClassify() {
	for _, b := range [][]byte{{0x80, 0}, {0x81, 200}, {0, 1}} {
		fmt.Println(Classify(b))
	}
	// Output:
	// RTP
	// RTCP
	// STUN
}
