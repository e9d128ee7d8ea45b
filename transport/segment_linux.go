package transport

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// segmentation says that the system can send runs.
const segmentation = true

// writeRun sends b as datagrams of size bytes each, of which the last may be
// shorter (UDP_SEGMENT, udp(7)).
func (s *Sender) writeRun(b []byte, size int, to netip.AddrPort) error {
	control := s.control[:unix.CmsgSpace(2)]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(size))
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, control, to)
	return err
}

// refusal reports whether err is one by which a kernel says that it cannot send a
// run, now or ever: it is too old, a device or a socket has no checksums to leave
// to the hardware, the packets get headers or encryption of IP, or one of them is
// too long for the path.
func refusal(err error) bool {
	for _, e := range []syscall.Errno{unix.EIO, unix.EINVAL, unix.EMSGSIZE, unix.ENOPROTOOPT, unix.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
