//go:build unix

package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/parley-media/parley/internal/testport"
)

// span returns a range of n pairs that is given to no other test, and was free a moment ago.
func span(t *testing.T, n int) (first uint16) {
	t.Helper()
	return uint16(testport.Pairs(t, net.IPv4(127, 0, 0, 1), n))
}

func newPorts(t *testing.T, first, last uint16) *Ports {
	t.Helper()
	p, err := NewPorts(first, last)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPortsRange(t *testing.T) {
	for _, tt := range []struct {
		first, last uint16
		pairs       int
	}{
		{10, 11, 1},
		{10, 12, 1},
		{10, 13, 2},
		{11, 13, 1},
		{11, 12, 0},
		{10, 10, 0},
		{20, 10, 0},
		{0, 100, 0},
		{1, 3, 1},
		{65534, 65535, 1},
		{65535, 65535, 0},
		{1, 65535, 32767},
	} {
		p, err := NewPorts(tt.first, tt.last)
		switch {
		case (err == nil) != (tt.pairs > 0):
			t.Errorf("%d to %d: %v", tt.first, tt.last, err)
		case err == nil && p.Free() != tt.pairs:
			t.Errorf("%d to %d: %d pairs, want %d", tt.first, tt.last, p.Free(), tt.pairs)
		}
	}
}

// All ports are used before one is used again, oldest first.
func TestPortsOrder(t *testing.T) {
	first := span(t, 3)
	config := ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Ports: newPorts(t, first, first+5)}
	var got []uint16
	for range 7 {
		p, err := Listen(config)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, (p.LocalAddr().Port()-first)/2)
		if rtcp := localAddr(p.RTCP).Port(); rtcp != p.LocalAddr().Port()+1 {
			t.Errorf("RTCP on %d beside %v", rtcp, p.LocalAddr())
		}
		p.Close()
		p.Close()
		if n := config.Ports.Free(); n != 3 {
			t.Fatalf("%d pairs after Close", n)
		}
	}
	if s := fmt.Sprint(got); s != "[0 1 2 0 1 2 0]" {
		t.Errorf("pairs %s", s)
	}
}

func TestPortsExhausted(t *testing.T) {
	first := span(t, 4)
	config := ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Ports: newPorts(t, first, first+7)}
	// Another program holds the port for RTCP of the second pair.
	other, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, first+3)))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var pairs []*Pair
	for range 3 {
		p, err := Listen(config)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pairs = append(pairs, p)
	}
	if _, err := Listen(config); !errors.Is(err, ErrNoPorts) {
		t.Errorf("one too many: %v", err)
	}
	other.Close()
	last, err := Listen(config)
	if err != nil || last.LocalAddr().Port() != first+2 {
		t.Fatalf("the other program's port: %v, %v", last, err)
	}
	if _, err := Listen(config); !errors.Is(err, ErrNoPorts) {
		t.Errorf("with none left: %v", err)
	}
	last.Close()
	for _, p := range pairs {
		p.Close()
	}
	if n := config.Ports.Free(); n != 4 {
		t.Errorf("%d pairs in the end", n)
	}
	config.Local = netip.MustParseAddrPort("192.0.2.1:0")
	if _, err := Listen(config); err == nil || errors.Is(err, ErrNoPorts) {
		t.Errorf("somebody else's address: %v", err)
	}
	if n := config.Ports.Free(); n != 4 {
		t.Errorf("%d pairs after an error", n)
	}
}

func TestPortsConcurrently(t *testing.T) {
	first := span(t, 16)
	config := ListenConfig{Local: netip.AddrPortFrom(loopback, 0), Ports: newPorts(t, first, first+31)}
	var held sync.Map
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for range 50 {
				a, err := Listen(config)
				if err != nil {
					t.Error(err)
					return
				}
				port := a.LocalAddr().Port()
				if _, twice := held.LoadOrStore(port, true); twice {
					t.Errorf("port %d was handed out twice", port)
				}
				held.Delete(port)
				var closing sync.WaitGroup
				for range 2 {
					closing.Go(func() { a.Close() })
				}
				closing.Wait()
			}
		})
	}
	calls.Wait()
	if n := config.Ports.Free(); n != 16 {
		t.Errorf("%d of 16 pairs in the end", n)
	}
}

func TestListenMux(t *testing.T) {
	first := span(t, 2)
	for name, config := range map[string]ListenConfig{
		"any port": {Local: netip.AddrPortFrom(loopback, 0)},
		"odd port": {Local: netip.AddrPortFrom(loopback, first+1)},
		"of range": {Local: netip.AddrPortFrom(loopback, 0), Ports: newPorts(t, first, first+3)},
	} {
		t.Run(name, func(t *testing.T) {
			config.Mux = true
			p, err := Listen(config)
			if err != nil {
				t.Fatal(err)
			}
			if p.RTCP != nil || p.LocalAddr().Port() == 0 {
				t.Errorf("RTP on %v, RTCP on %v", p.LocalAddr(), p.RTCP)
			}
			if want := config.Local.Port(); want != 0 && p.LocalAddr().Port() != want {
				t.Errorf("on %v, want %v", p.LocalAddr(), config.Local)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if config.Ports != nil && config.Ports.Free() != 2 {
				t.Errorf("%d pairs after Close", config.Ports.Free())
			}
		})
	}
}

func ExamplePorts() {
	ports, err := NewPorts(30000, 30999)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := Listen(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Ports: ports})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.LocalAddr().Port() >= 30000, ports.Free())
	p.Close()
	fmt.Println(ports.Free())
	// Output:
	// true 499
	// 500
}
