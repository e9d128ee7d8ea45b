package transport

import (
	"errors"
	"net"
	"net/netip"
)

const (
	// maxSegments is how many packets any kernel that can takes at once: Linux
	// has allowed 64 since 4.18.
	maxSegments = 64

	// maxRun is what fits into a datagram of IPv4, and so of any, in bytes.
	maxRun = 65535 - 20 - 8
)

// A Sender sends packets from a socket, and those of equal length at once where
// the system can: with segmentation offload of Linux, the kernel takes a run of
// them as one datagram and cuts it up as late as it can, which costs half as much
// for each from eight on. The far end sees no difference.
//
// Where the kernel or the path refuses a run, its packets are sent one by one, and
// so is all that follows to this address: nothing is lost by the attempt.
//
// A Sender is for one goroutine at a time, beside others that use the socket.
type Sender struct {
	conn    *net.UDPConn
	most    int // packets in a run
	refused bool
	by      netip.AddrPort // where runs cannot be sent to, if refused
	run     func(b []byte, size int, to netip.AddrPort) error
	control [32]byte // for the run under way
	runs    int64
}

// NewSender returns a sender for conn, which stays the caller's to close.
func NewSender(conn *net.UDPConn) *Sender {
	s := &Sender{conn: conn, most: maxSegments}
	if !segmentation {
		s.most = 1
	}
	s.run = s.writeRun
	return s
}

// Write sends packets that lie in b one behind the other, each as long as sizes
// says, in this order. The zero address stands for that of a connected socket. All
// packets are tried; Write returns how many of them the system took, and the first
// error if not all. It allocates nothing.
func (s *Sender) Write(b []byte, sizes []int, to netip.AddrPort) (sent int, err error) {
	for len(sizes) > 0 {
		n, length := 1, sizes[0]
		if !s.refused || s.by != to {
			n, length = leadingRun(sizes, s.most)
		}
		ok, e := s.write(b[:length], sizes[:n], to)
		if sent += ok; err == nil {
			err = e
		}
		b, sizes = b[length:], sizes[n:]
	}
	return sent, err
}

// write sends a run, or a single packet.
func (s *Sender) write(b []byte, sizes []int, to netip.AddrPort) (sent int, err error) {
	if len(sizes) > 1 {
		err := s.run(b, sizes[0], to)
		switch {
		case err == nil:
			s.runs++
			return len(sizes), nil
		case errors.Is(err, net.ErrClosed):
			return 0, err
		case refusal(err):
			s.refused, s.by = true, to
		}
	}
	// After any other error too, as of the far end for earlier packets, which
	// would cost one of them and not all.
	for _, n := range sizes {
		var e error
		if to.IsValid() {
			_, e = s.conn.WriteToUDPAddrPort(b[:n], to)
		} else {
			_, e = s.conn.Write(b[:n])
		}
		switch {
		case e == nil:
			sent++
		case err == nil:
			err = e
		}
		b = b[n:]
	}
	return sent, err
}

// leadingRun returns how many packets from the first one on can be sent at once,
// and their length together: they are equally long, but the last may be shorter.
func leadingRun(sizes []int, most int) (n, length int) {
	n, length = 1, sizes[0]
	for n < min(len(sizes), most) {
		size := sizes[n]
		if size == 0 || size > sizes[0] || length+size > maxRun {
			break
		}
		n++
		length += size
		if size < sizes[0] {
			break
		}
	}
	return n, length
}
