package transport

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// maxDatagram is where what is longer than any packet of ours is cut, in bytes.
const maxDatagram = 2048

// Receive reads datagrams from c and calls fn for each, until c is closed. The
// datagram is borrowed until fn returns. Errors that the network reports for
// earlier packets, as when the far end's port is closed, are passed over.
func Receive(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			continue
		}
		fn(time.Now(), unmap(from), buf[:n])
	}
}

// ReceiveRuns is [Receive] for sockets on which packets come in runs, as those of
// a frame of video. Where the system can, it takes a run at once, as the network
// card has gathered it or the sender made it; fn is called for each datagram all
// the same. It takes 64 KiB of memory, and nobody else may read from c any more.
func ReceiveRuns(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	if !coalesce(c) {
		Receive(c, fn)
		return
	}
	r := &runReader{conn: c}
	for {
		run, size, from, err := r.read()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			continue
		}
		arrival, from := time.Now(), unmap(from)
		for {
			n := min(size, len(run))
			heard := min(n, maxDatagram)
			fn(arrival, from, run[:heard:heard]) // what follows is another datagram
			if run = run[n:]; len(run) == 0 {
				break
			}
		}
	}
}
