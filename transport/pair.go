package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// A ListenConfig says where [Listen] opens sockets.
type ListenConfig struct {
	// Local is the address to listen on. A zero address means all addresses of
	// this machine, of IPv4 and IPv6; 0.0.0.0 those of IPv4. With port 0, a free
	// one is chosen.
	Local netip.AddrPort

	// Ports is where ports are taken from if that of Local is 0; nil leaves the
	// choice to the system.
	Ports *Ports

	// Mux asks for one socket for RTP and RTCP (RFC 5761), on any port.
	Mux bool
}

// A Pair is two UDP sockets, for RTP on an even port and for RTCP on the next
// one (RFC 3550, section 11), or one socket for both.
type Pair struct {
	RTP  *net.UDPConn
	RTCP *net.UDPConn // nil with Mux; both are after Poll

	local netip.AddrPort // of RTP
	give  func()         // gives the ports back; nil: they are nobody's
	once  sync.Once
	err   error // of closing
}

// receiveBuffer is what is asked of the kernel for each RTP socket: some 100 ms
// of the video of one call.
const receiveBuffer = 256 << 10

// Listen opens a pair of sockets. A port that Local names is used for RTP as it
// is, and the next one for RTCP. The error wraps [ErrNoPorts] if all of Ports
// are taken, here or by other programs.
func Listen(config ListenConfig) (*Pair, error) {
	network, local := "udp", config.Local
	switch {
	case !local.Addr().IsValid():
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	case local.Addr().Unmap().Is4():
		network = "udp4" // or 0.0.0.0 would be IPv6 too
	}
	switch {
	case local.Port() == 65535 && !config.Mux:
		return nil, errors.New("transport: no port for RTCP above 65535")
	case local.Port() != 0 || config.Mux && config.Ports == nil:
		return listen(network, local, config.Mux)
	case config.Ports != nil:
		return listenIn(config.Ports, network, local.Addr(), config.Mux)
	}
	return listenAnywhere(network, local)
}

// listenAnywhere lets the system choose, until it finds an even port whose
// successor is free.
func listenAnywhere(network string, local netip.AddrPort) (*Pair, error) {
	last := errors.New("all were odd")
	for range 100 {
		port, err := probe(network, local.Addr())
		if err != nil {
			return nil, err
		}
		if port%2 != 0 || port == 0 {
			continue
		}
		p, err := listen(network, netip.AddrPortFrom(local.Addr(), port), false)
		if err == nil {
			return p, nil
		}
		last = err
	}
	return nil, fmt.Errorf("transport: no free pair of ports on %v: %w", local.Addr(), last)
}

// listenIn tries each of the free ports once.
func listenIn(ports *Ports, network string, local netip.Addr, mux bool) (*Pair, error) {
	var last error
	for range ports.Free() {
		port, ok := ports.take()
		if !ok {
			break
		}
		p, err := listen(network, netip.AddrPortFrom(local, port), mux)
		if err != nil {
			ports.give(port)
			last = err
			continue
		}
		p.give = func() { ports.give(port) }
		return p, nil
	}
	if last == nil {
		return nil, ErrNoPorts
	}
	// An address that is not of this machine has no ports at all.
	if _, err := probe(network, local); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrNoPorts, last)
}

// probe returns a port that was free a moment ago.
func probe(network string, local netip.Addr) (uint16, error) {
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return localAddr(c).Port(), nil
}

func listen(network string, local netip.AddrPort, mux bool) (*Pair, error) {
	rtp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	p := &Pair{RTP: rtp, local: localAddr(rtp)}
	if !mux {
		next := netip.AddrPortFrom(local.Addr(), local.Port()+1)
		if p.RTCP, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(next)); err != nil {
			rtp.Close()
			return nil, err
		}
	}
	rtp.SetReadBuffer(receiveBuffer) //nolint:errcheck // a wish; the kernel has its own limit
	return p, nil
}

// LocalAddr returns the address of the RTP socket.
func (p *Pair) LocalAddr() netip.AddrPort { return p.local }

func localAddr(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close closes the sockets, which ends [Receive] on them, and gives their ports
// back. Another call does nothing and returns the same.
func (p *Pair) Close() error {
	p.once.Do(func() {
		p.err = p.closeSockets()
		if p.give != nil {
			p.give()
		}
	})
	return p.err
}

func (p *Pair) closeSockets() error {
	var errs []error
	for _, c := range []*net.UDPConn{p.RTP, p.RTCP} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
