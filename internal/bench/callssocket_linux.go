package bench

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A bareSocket is a UDP socket on loopback that the runtime knows nothing of.
type bareSocket struct {
	fd   int
	addr netip.AddrPort
	got  reception // unless there is a watch
	seen *watch    // not nil: of senders that are told apart by their SSRC
}

// openBare opens a socket that asks for a buffer of the given size. With a watch the
// kernel says when packets came.
func openBare(buffer int, w *watch) (*bareSocket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s := &bareSocket{fd: fd, seen: w}
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err == nil && w != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.addr = netip.AddrPortFrom(loopback, uint16(name.(*unix.SockaddrInet4).Port))
	return s, nil
}

func (s *bareSocket) close() { unix.Close(s.fd) }

// rawAddr returns an address of IPv4 as the kernel takes it.
func rawAddr(a netip.AddrPort) (raw unix.RawSockaddrInet4) {
	raw.Family, raw.Addr = unix.AF_INET, a.Addr().As4()
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], a.Port())
	return raw
}

// send sends a packet. One that the kernel does not take is lost, and shows as that at
// the other end.
func (s *bareSocket) send(b []byte, to *unix.RawSockaddrInet4) {
	syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(to)), unix.SizeofSockaddrInet4)
}

// A drain takes packets out of sockets. Its memory belongs to one goroutine.
type drain struct {
	packet  [2048]byte
	from    unix.RawSockaddrInet4
	control [64]byte
	vector  unix.Iovec
	message unix.Msghdr
}

func newDrain() *drain {
	d := &drain{}
	d.vector.Base = &d.packet[0]
	d.vector.SetLen(len(d.packet))
	d.message.Name = (*byte)(unsafe.Pointer(&d.from))
	d.message.Iov = &d.vector
	d.message.SetIovlen(1)
	d.message.Control = &d.control[0]
	return d
}

// empty takes all that has arrived. A plain socket asks for the packet and the
// address, as calls have to.
func (d *drain) empty(s *bareSocket) {
	for s.seen == nil {
		length := uint32(unix.SizeofSockaddrInet4)
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&d.packet[0])), uintptr(len(d.packet)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&d.from)), uintptr(unsafe.Pointer(&length)))
		if e != 0 {
			return
		}
		s.got.packet(d.packet[:n])
	}
	for {
		d.message.Namelen = unix.SizeofSockaddrInet4
		d.message.SetControllen(len(d.control))
		n, _, e := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&d.message)), unix.MSG_DONTWAIT)
		if e != 0 {
			return
		}
		s.seen.packet(d.arrival(), d.packet[:n])
	}
}

// arrival returns when the kernel says that the packet came, by the clock of the wall.
func (d *drain) arrival() time.Duration {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&d.control[0]))
	if int(d.message.Controllen) < unix.CmsgLen(int(unsafe.Sizeof(unix.Timespec{}))) ||
		h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration((*unix.Timespec)(unsafe.Pointer(&d.control[unix.CmsgLen(0)])).Nano())
}

// A reception counts the packets of one sender.
type reception struct {
	ssrc    uint32
	count   atomic.Int64
	begun   bool
	first   int64 // sequence numbers, without wrapping
	highest int64
}

// packet takes a packet. Those of others do not count, since ports of this machine are
// used again, and neither does RTCP.
func (r *reception) packet(b []byte) {
	if len(b) < 12 || b[1] >= 192 && b[1] <= 223 || binary.BigEndian.Uint32(b[8:]) != r.ssrc {
		return
	}
	seq := binary.BigEndian.Uint16(b[2:])
	if !r.begun {
		r.begun, r.first, r.highest = true, int64(seq), int64(seq)
	}
	r.highest = max(r.highest, r.highest+int64(int16(seq-uint16(r.highest))))
	r.count.Add(1)
}

// lost returns how many packets between the first and the last are missing. Nobody
// may be receiving.
func (r *reception) lost() int64 {
	if !r.begun {
		return 0
	}
	return r.highest - r.first + 1 - r.count.Load()
}

// A watch notes when the packets of senders come whose SSRCs are 1, 2 and so on. The
// packets of one of them are given by one goroutine.
type watch struct {
	measuring atomic.Bool
	senders   []watched
}

type watched struct {
	reception
	clocked bool
	from    time.Duration // arrival of the first packet that is measured
	begin   uint32        // its timestamp
	late    []time.Duration
}

func newWatch(n int, measured time.Duration) *watch {
	w := &watch{senders: make([]watched, n)}
	for i := range w.senders {
		w.senders[i].ssrc = uint32(i + 1)
		w.senders[i].late = touched(int(measured/callPeriod)*5/4 + 50) // some to spare for a machine that stalls
	}
	return w
}

func (w *watch) packet(arrival time.Duration, b []byte) {
	if len(b) < 12 {
		return
	}
	i := binary.BigEndian.Uint32(b[8:]) - 1
	if uint64(i) >= uint64(len(w.senders)) || b[1] >= 192 && b[1] <= 223 {
		return
	}
	s := &w.senders[i]
	s.reception.packet(b)
	if !w.measuring.Load() || len(s.late) == cap(s.late) {
		return
	}
	timestamp := binary.BigEndian.Uint32(b[4:])
	if !s.clocked {
		s.clocked, s.from, s.begin = true, arrival, timestamp
	}
	media := time.Duration(int32(timestamp-s.begin)) * time.Second / 8000
	s.late = append(s.late, arrival-s.from-media)
}

// received returns how many packets have come.
func (w *watch) received() (n int64) {
	for i := range w.senders {
		n += w.senders[i].count.Load()
	}
	return n
}

// result says what became of the packets. Nobody may be receiving.
func (w *watch) result() (r farReport) {
	clocks := make([][]time.Duration, len(w.senders))
	for i := range w.senders {
		s := &w.senders[i]
		r.Lost += s.lost()
		clocks[i] = s.late
		if len(s.late) == 0 {
			r.Silent++
		}
	}
	r.Late = newLateness(clocks...)
	return r
}
