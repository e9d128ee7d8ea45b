package peer

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// listenOn opens a socket of an endpoint.
func listenOn(t *testing.T, ip string) *socket {
	t.Helper()
	n, err := newSockets()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := n.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*socket)
}

func TestSocket(t *testing.T) {
	ips := []string{"127.0.0.1"}
	if probe, err := net.ListenPacket("udp", "[::1]:0"); err == nil { // not every container has it
		probe.Close()
		ips = append(ips, "::1")
	}
	for _, ip := range ips {
		from, to := listenOn(t, ip), listenOn(t, ip)
		at := to.LocalAddr().(*net.UDPAddr).AddrPort()
		addresses := []netip.AddrPort{at}
		if at.Addr().Is4() {
			addresses = append(addresses, netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), at.Port())) // as ICE may have it
		}
		for _, at := range addresses {
			if n, err := from.WriteToAddrPort([]byte("hello"), at); n != 5 || err != nil {
				t.Fatal(n, err)
			}
			to.SetReadDeadline(time.Now().Add(10 * time.Second))
			b := make([]byte, 100)
			n, source, err := to.ReadFromAddrPort(b)
			if err != nil || string(b[:n]) != "hello" || source.Port() != from.LocalAddr().(*net.UDPAddr).AddrPort().Port() {
				t.Errorf("%q from %v, %v", b[:n], source, err)
			}
		}
		b := make([]byte, 172)
		if n := testing.AllocsPerRun(100, func() { from.WriteToAddrPort(b, at) }); n != 0 {
			t.Errorf("%v allocations a packet", n)
		}
		if _, err := from.WriteToAddrPort(make([]byte, 70000), at); err == nil {
			t.Error("a packet larger than any was sent")
		}
		from.Close()
		if _, err := from.WriteToAddrPort(b, at); err == nil {
			t.Error("a closed socket sends")
		}
	}
}
