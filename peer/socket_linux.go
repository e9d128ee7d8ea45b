package peer

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"golang.org/x/sys/unix"
)

// unblocking says that the sockets of an endpoint never block: what the kernel has
// no room for is lost, as it could be anywhere on its way.
const unblocking = true

// sockets is the network of the machine, with sockets of our own.
type sockets struct{ *stdnet.Net }

func newSockets() (transport.Net, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return sockets{n}, nil
}

// ListenUDP is called by pion for each address of an endpoint.
func (n sockets) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	return &socket{UDPConn: conn, raw: raw, version4: at.Unmap().Is4()}, nil
}

// A socket is one whose writes never wait for room. All calls of an endpoint share
// it, so that waiting for one would be waiting for all.
type socket struct {
	*net.UDPConn
	raw      syscall.RawConn
	version4 bool
}

// ReadFromAddrPort is for pion, which does not know that this is a UDPConn.
func (s *socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return s.ReadFromUDPAddrPort(b)
}

// WriteToAddrPort sends a datagram or returns an error, [unix.EAGAIN] if there is no
// room for it.
func (s *socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	d := datagrams.Get().(*datagram)
	defer datagrams.Put(d)
	ip := to.Addr().Unmap()
	switch {
	case ip.Is4() && s.version4:
		d.to4.Port, d.to4.Addr = int(to.Port()), ip.As4()
		d.to = &d.to4
	case ip.Is6() && ip.Zone() == "" && !s.version4:
		d.to6.Port, d.to6.Addr = int(to.Port()), ip.As16()
		d.to = &d.to6
	default: // the address of a link
		return s.WriteToUDPAddrPort(b, to)
	}
	d.b = b
	err := s.raw.Write(d.try)
	if err == nil {
		err = d.err
	}
	d.b, d.err = nil, nil
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// A datagram is one that is being sent.
type datagram struct {
	b   []byte
	to  unix.Sockaddr // one of these
	to4 unix.SockaddrInet4
	to6 unix.SockaddrInet6
	err error
	try func(fd uintptr) (done bool) // send
}

var datagrams = sync.Pool{New: func() any {
	d := &datagram{}
	d.try = d.send
	return d
}}

func (d *datagram) send(fd uintptr) bool {
	for {
		if d.err = unix.Sendto(int(fd), d.b, unix.MSG_DONTWAIT, d.to); d.err != unix.EINTR {
			return true
		}
	}
}
