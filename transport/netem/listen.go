package netem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// listen opens a socket for each of one or two ports that follow each other.
// With port 0 the first is even, as RTP wants it (RFC 3550, section 11).
func listen(local netip.AddrPort, ports int) ([]*net.UDPConn, error) {
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	}
	if ports == 1 || local.Port() != 0 {
		return listenAt(local, ports)
	}
	last := errors.New("all were odd")
	for range 100 {
		probe, err := listenAt(local, 1)
		if err != nil {
			return nil, err
		}
		port := localAddr(probe[0]).Port()
		closeAll(probe) //nolint:errcheck // nothing was sent
		if port%2 != 0 {
			continue
		}
		all, err := listenAt(netip.AddrPortFrom(local.Addr(), port), ports)
		if err == nil {
			return all, nil
		}
		last = err
	}
	return nil, fmt.Errorf("netem: no free pair of ports on %v: %w", local.Addr(), last)
}

func listenAt(local netip.AddrPort, ports int) ([]*net.UDPConn, error) {
	network := "udp"
	if local.Addr().Unmap().Is4() {
		network = "udp4" // or 0.0.0.0 would be IPv6 too
	}
	var all []*net.UDPConn
	for range ports {
		c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
		if err != nil {
			closeAll(all) //nolint:errcheck // the error above says more
			return nil, err
		}
		all = append(all, c)
		local = netip.AddrPortFrom(local.Addr(), local.Port()+1)
	}
	return all, nil
}

func localAddr(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func closeAll(groups ...[]*net.UDPConn) error {
	var err error
	for _, group := range groups {
		for _, c := range group {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}
