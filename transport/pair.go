package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// A Pair is two UDP sockets, for RTP on an even port and for RTCP on the next
// one (RFC 3550, section 11).
type Pair struct {
	RTP, RTCP *net.UDPConn
}

// receiveBuffer is what is asked of the kernel for each RTP socket: some 100 ms
// of the video of one call.
const receiveBuffer = 256 << 10

// ListenPair opens a pair of sockets. With port 0 the system chooses an even
// port whose successor is free; any other port is used for RTP as it is, and
// the next one for RTCP. A zero address means all addresses of this machine, of
// IPv4 and IPv6; 0.0.0.0 those of IPv4.
func ListenPair(local netip.AddrPort) (*Pair, error) {
	network := "udp"
	switch {
	case !local.Addr().IsValid():
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	case local.Addr().Unmap().Is4():
		network = "udp4" // or 0.0.0.0 would be IPv6 too
	}
	if local.Port() == 65535 {
		return nil, errors.New("transport: no port for RTCP above 65535")
	}
	if local.Port() != 0 {
		return listenPair(network, local)
	}
	var err error
	for range 100 {
		var probe *net.UDPConn
		probe, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
		if err != nil {
			return nil, err
		}
		port := probe.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		probe.Close()
		if port%2 != 0 || port == 0 {
			continue
		}
		var p *Pair
		if p, err = listenPair(network, netip.AddrPortFrom(local.Addr(), port)); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("transport: no free pair of ports on %v: %w", local.Addr(), err)
}

func listenPair(network string, local netip.AddrPort) (*Pair, error) {
	rtp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	next := netip.AddrPortFrom(local.Addr(), local.Port()+1)
	rtcp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(next))
	if err != nil {
		rtp.Close()
		return nil, err
	}
	rtp.SetReadBuffer(receiveBuffer) //nolint:errcheck // a wish; the kernel has its own limit
	return &Pair{RTP: rtp, RTCP: rtcp}, nil
}

// LocalAddr returns the address of the RTP socket.
func (p *Pair) LocalAddr() netip.AddrPort { return localAddr(p.RTP) }

func localAddr(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close closes both sockets, which ends [Receive] on them.
func (p *Pair) Close() error { return errors.Join(p.RTP.Close(), p.RTCP.Close()) }

// Receive reads datagrams from c and calls fn for each, until c is closed. The
// datagram is borrowed until fn returns. Errors that the network reports for
// earlier packets, as when the far end's port is closed, are passed over.
func Receive(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			continue
		}
		fn(time.Now(), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n])
	}
}
