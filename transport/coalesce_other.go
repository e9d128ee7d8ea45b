//go:build !linux

package transport

import (
	"errors"
	"net"
	"net/netip"
)

func coalesce(*net.UDPConn) bool { return false }

type runReader struct{ conn *net.UDPConn }

func (*runReader) read() ([]byte, int, netip.AddrPort, error) {
	return nil, 0, netip.AddrPort{}, errors.ErrUnsupported
}
