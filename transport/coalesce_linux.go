package transport

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// coalesce asks the kernel for runs of datagrams (UDP_GRO, udp(7)), and reports
// whether they have to be expected.
func coalesce(c *net.UDPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1)
	})
	return err == nil && refused == nil
}

// A runReader reads runs of datagrams.
type runReader struct {
	conn    *net.UDPConn
	bytes   [1 << 16]byte
	control [64]byte
}

// read returns the next run, and how long the datagrams in it are, of which the
// last may be shorter. The size is that of the whole if there is but one.
func (r *runReader) read() (run []byte, size int, from netip.AddrPort, err error) {
	n, controls, _, from, err := r.conn.ReadMsgUDPAddrPort(r.bytes[:], r.control[:])
	if err != nil {
		return nil, 0, from, err
	}
	size = n
	for rest := r.control[:controls]; len(rest) >= unix.CmsgSpace(0); {
		h, data, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			break
		}
		if h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			if s := int(int32(binary.NativeEndian.Uint32(data))); s > 0 {
				size = s
			}
		}
		rest = next
	}
	return r.bytes[:n], size, from, nil
}
