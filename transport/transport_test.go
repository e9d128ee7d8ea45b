package transport

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// All first two bytes, by the tables of RFC 7983, section 7, and RFC 5761,
// section 4.
func TestClassify(t *testing.T) {
	for first := range 256 {
		for second := range 256 {
			want := Unknown
			switch {
			case first < 4:
				want = STUN
			case first >= 16 && first < 20:
				want = ZRTP
			case first >= 20 && first < 64:
				want = DTLS
			case first >= 64 && first < 80:
				want = TURN
			case first >= 128 && first < 192 && second >= 192 && second < 224:
				want = RTCP
			case first >= 128 && first < 192:
				want = RTP
			}
			if got := Classify([]byte{byte(first), byte(second)}); got != want {
				t.Fatalf("%d %d: %v, want %v", first, second, got, want)
			}
		}
	}
	for n := range 2 {
		if got := Classify(make([]byte, n)); got != Unknown {
			t.Errorf("%d bytes: %v", n, got)
		}
	}
}

func TestListen(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort(address)})
		if err != nil {
			t.Fatal(err)
		}
		rtp, rtcp := p.LocalAddr(), localAddr(p.RTCP)
		if rtp.Port()%2 != 0 || rtcp.Port() != rtp.Port()+1 || rtp.Addr() != rtcp.Addr() {
			t.Errorf("RTP on %v, RTCP on %v", rtp, rtcp)
		}
		if _, err := Listen(ListenConfig{Local: rtp}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("the same port again: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		again, err := Listen(ListenConfig{Local: rtp})
		if err != nil {
			t.Fatalf("after Close: %v", err)
		}
		again.Close()
	}
}

// The RTP socket is given back when there is none for RTCP.
func TestListenKeepsNothingOnFailure(t *testing.T) {
	p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.RTCP.Close()
	p.RTP.Close()
	rtp := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), localAddr(p.RTCP).Port()-1)
	for range 3 {
		if _, err := Listen(ListenConfig{Local: rtp}); !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("the port for RTCP is taken, but: %v", err)
		}
	}
	free, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(rtp))
	if err != nil {
		t.Fatalf("the port for RTP was kept: %v", err)
	}
	free.Close()
}

func TestListenErrors(t *testing.T) {
	for _, address := range []string{"127.0.0.1:65535", "192.0.2.1:0"} {
		if p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort(address)}); err == nil {
			p.Close()
			t.Errorf("%s: no error", address)
		}
	}
}

func TestReceiveEndsWithTheSocket(t *testing.T) {
	p, err := Listen(ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Receive(p.RTP, func(_ time.Time, from netip.AddrPort, b []byte) {
			got <- from.Addr().String() + " " + string(b)
		})
	}()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.LocalAddr().Port())
	if _, err := p.RTCP.WriteToUDPAddrPort([]byte("hello"), to); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "127.0.0.1 hello" {
		t.Errorf("received %q", s)
	}
	p.Close()
	<-done
}
