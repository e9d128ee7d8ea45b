//go:build !portable

package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/parley-media/parley/internal/loop"
	"github.com/parley-media/parley/internal/prefetch"
)

// A Polled socket is one that no goroutine waits for: whoever owns it reads what has
// come in when there is time for it, without blocking, and knows from the kernel when
// each datagram came. That costs a third less than a goroutine that is woken for each
// of them. Writing is safe from any goroutine, reading is for one at a time.
type Polled struct {
	system system
	inet6  bool
	ready  atomic.Bool // something may have come since the last Read
	prompt atomic.Bool // what comes does not wait for Read

	// Whoever reads holds the first, whoever writes the other, and Close both.
	reading, writing sync.Mutex

	fd    int         // -1 when closed
	watch *loop.Watch // nil: not begun
	zone  zone
	to    unix.RawSockaddrInet6 // large enough for one of IPv4; guarded by writing

	// For the one who reads.
	watched bool
	steady  bool          // the last Read found one datagram
	since   time.Time     // before which nothing came that has not been read
	later   time.Duration // from since to the last Read; more than 0 if that may have left something
}

// An inbox is where the kernel puts what it says of datagrams.
type inbox struct {
	header  unix.Msghdr
	vector  unix.Iovec
	from    unix.RawSockaddrInet6
	control [64]byte
}

// inboxes are for sockets that are being read: one of a few that are in the caches
// costs less than one of a thousand sockets each that are not.
var inboxes = sync.Pool{New: func() any { return new(inbox) }}

// Poll makes polled sockets of the pair's, which are closed and become nil, while their
// ports go on being those of the pair. rtcp is nil with Mux. Where the system cannot,
// the error is [errors.ErrUnsupported] and the pair is as before.
func (p *Pair) Poll() (rtp, rtcp *Polled, err error) {
	if rtp, err = newPolled(p.RTP); err != nil {
		return nil, nil, err
	}
	if p.RTCP != nil {
		if rtcp, err = newPolled(p.RTCP); err != nil {
			rtp.Close()
			return nil, nil, err
		}
	}
	p.closeSockets() //nolint:errcheck // nothing was written
	p.RTP, p.RTCP = nil, nil
	return rtp, rtcp, nil
}

// newPolled takes a descriptor of its own for the socket, since the runtime of Go
// looks at those of its connections for each datagram, whether or not anybody reads.
func newPolled(c *net.UDPConn) (*Polled, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &Polled{system: kernel{}, fd: -1, inet6: true}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if p.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); failed != nil {
			return
		}
		if family, err := unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil {
			p.inet6 = family == unix.AF_INET6
		}
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) //nolint:errcheck // times are those of reading, then
	})
	if err == nil && failed != nil {
		err = os.NewSyscallError("fcntl", failed)
	}
	return p, err
}

// Prefetch asks the processor for the memory that Read needs.
func (p *Polled) Prefetch() { prefetch.Value(p) }

// Watch begins to call ready when something may have come in. It is called from
// another goroutine and must not block.
func (p *Polled) Watch(ready func()) error {
	p.reading.Lock()
	defer p.reading.Unlock()
	if p.fd < 0 {
		return net.ErrClosed
	}
	var err error
	p.watch, err = loop.NewWatch(p.fd, loop.Patient, nil, func([]byte) {
		p.ready.Store(true)
		ready()
	})
	p.watched, p.since = err == nil, time.Now()
	return err
}

// Immediate has fn called for each datagram from now on, as soon as it comes, in place
// of [Polled.Read], which finds nothing any more. fn runs on a goroutine that many
// sockets share, so it must not block. It is for packets that are sent on at once. It
// is called after Watch, by who reads. Before datagrams are read, ahead is called: it
// may ask the processor for the memory that they need.
func (p *Polled) Immediate(ahead func(), fn func(arrival time.Time, from netip.AddrPort, b []byte)) error {
	p.reading.Lock()
	defer p.reading.Unlock()
	switch {
	case p.fd < 0 || p.watch == nil:
		return net.ErrClosed
	case p.prompt.Swap(true):
		return nil
	}
	p.watch.Close()
	var err error
	p.watch, err = loop.NewWatch(p.fd, loop.Prompt, ahead, func(scratch []byte) {
		p.since = time.Now().Add(-maxPrompt)
		p.readAll(scratch[:maxDatagram], 1, false, fn)
	})
	return err
}

const (
	maxPrompt = time.Second // for which a datagram that is read at once may have waited
	maxRead   = 128         // datagrams in one Read
	maxErrors = 8           // that do not end it
)

// Read calls fn for each datagram that has come in, in the memory of buf, which cuts
// off what is longer; it must not be empty. clocked says that Read will be called
// again soon in any case, so that nobody need be told of what comes until then, and so
// that a Read after one that found one datagram is content with one that has come since:
// to ask for more costs as much as the datagram, and is in vain but for once in a while.
// Read reports whether there may be more. Errors that the network reports for earlier
// packets are passed over.
func (p *Polled) Read(clocked bool, buf []byte, fn func(arrival time.Time, from netip.AddrPort, b []byte)) bool {
	if p.prompt.Load() {
		return false
	}
	if clocked == p.watched {
		p.setWatched(!clocked)
	}
	if !p.ready.Swap(false) && !clocked {
		return false
	}
	more := p.readAll(buf, maxRead, clocked && p.steady, fn)
	if more {
		p.ready.Store(true)
	}
	return more
}

// readAll reads what has come in, at most so many datagrams, or one that has come since
// the last Read.
func (p *Polled) readAll(buf []byte, most int, one bool, fn func(arrival time.Time, from netip.AddrPort, b []byte)) (more bool) {
	in := inboxes.Get().(*inbox)
	in.vector.Base = &buf[0]
	in.vector.SetLen(len(buf))
	defer func() {
		in.vector.Base = nil
		inboxes.Put(in)
	}()
	var now time.Time // after which a datagram comes in that is not found
	count, errors := 0, 0
	for range most {
		n, errno := p.receive(in)
		switch {
		case errno == 0:
		case errno == unix.EAGAIN || errno == unix.EBADF || errors == maxErrors:
			if !now.IsZero() {
				p.since, p.later = now, 0
			}
			p.steady = count == 1
			return false
		default:
			errors++
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		count++
		arrival := in.arrival(now, p.since)
		if from, ok := in.sender(&p.zone); ok {
			fn(arrival, from, buf[:n])
		}
		if one && count == 1 && arrival.Sub(p.since) > p.later {
			p.since, p.later = arrival, now.Sub(arrival)
			return false
		}
	}
	p.steady = false
	return true
}

func (p *Polled) setWatched(on bool) {
	p.reading.Lock()
	defer p.reading.Unlock()
	if p.watch == nil || p.fd < 0 {
		return
	}
	change := p.watch.Pause
	if on {
		change = p.watch.Resume
		p.ready.Store(true)
	}
	if change() == nil {
		p.watched = on
	}
}

// receive takes one datagram.
func (p *Polled) receive(in *inbox) (n int, errno syscall.Errno) {
	p.reading.Lock()
	defer p.reading.Unlock()
	if p.fd < 0 {
		return 0, unix.EBADF
	}
	h := &in.header
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&in.from)), unix.SizeofSockaddrInet6
	h.Iov = &in.vector
	h.SetIovlen(1)
	h.Control = &in.control[0]
	h.SetControllen(len(in.control))
	return p.system.receive(p.fd, h)
}

// sender returns who sent the datagram that was received last.
func (in *inbox) sender(z *zone) (netip.AddrPort, bool) {
	a := &in.from
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:])
	switch a.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(a)).Addr), port), true
	case unix.AF_INET6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.Scope_id != 0 {
			ip = ip.WithZone(z.name(a.Scope_id))
		}
		return netip.AddrPortFrom(ip, port), true
	}
	return netip.AddrPort{}, false
}

// arrival returns when the datagram that was received last came in, which is not
// before since.
func (in *inbox) arrival(now, since time.Time) time.Time {
	const timestamp = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&in.control))
	if int(in.header.Controllen) < timestamp || h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS {
		return now
	}
	t := (*unix.Timespec)(unsafe.Pointer(&in.control[unix.CmsgLen(0)]))
	return arrivalTime(now, now.UnixNano(), t.Nano(), since)
}

// WriteTo sends a datagram.
func (p *Polled) WriteTo(b []byte, to netip.AddrPort) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.fd < 0 {
		return net.ErrClosed
	}
	length := p.destination(to)
	for {
		switch errno := p.system.send(p.fd, b, &p.to, length); errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// A system makes the system calls of packets. They do not wait, and are over in less
// time than it would take to announce them to the scheduler.
type system interface {
	receive(fd int, h *unix.Msghdr) (n int, errno syscall.Errno)
	send(fd int, b []byte, to *unix.RawSockaddrInet6, length uintptr) syscall.Errno
}

type kernel struct{}

func (kernel) receive(fd int, h *unix.Msghdr) (n int, errno syscall.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
	return int(r), errno
}

func (kernel) send(fd int, b []byte, to *unix.RawSockaddrInet6, length uintptr) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(to)), length)
	return errno
}

// destination writes down an address as the family of the socket has it.
func (p *Polled) destination(to netip.AddrPort) (length uintptr) {
	name, ip := &p.to, to.Addr()
	*name = unix.RawSockaddrInet6{}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	if ip.Unmap().Is4() && !p.inet6 {
		name.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr = ip.Unmap().As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family = unix.AF_INET6 // which a socket of IPv4 refuses
	name.Addr = ip.As16()
	if z := ip.Zone(); z != "" {
		name.Scope_id = p.zone.index(z)
	}
	return unix.SizeofSockaddrInet6
}

// Close closes the socket. Another call does nothing.
func (p *Polled) Close() error {
	p.reading.Lock()
	defer p.reading.Unlock()
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.fd < 0 {
		return nil
	}
	if p.watch != nil {
		p.watch.Close()
	}
	err := unix.Close(p.fd)
	p.fd = -1
	return os.NewSyscallError("close", err)
}

// A zone remembers the last network interface that was named in an address.
type zone struct {
	mu     sync.Mutex
	number uint32
	text   string
}

func (z *zone) name(number uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.number != number {
		z.number, z.text = number, strconv.FormatUint(uint64(number), 10)
		if i, err := net.InterfaceByIndex(int(number)); err == nil {
			z.text = i.Name
		}
	}
	return z.text
}

func (z *zone) index(text string) uint32 {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.text != text {
		var number uint64
		if i, err := net.InterfaceByName(text); err == nil {
			number = uint64(i.Index)
		} else {
			number, _ = strconv.ParseUint(text, 10, 32)
		}
		z.number, z.text = uint32(number), text
	}
	return z.number
}
