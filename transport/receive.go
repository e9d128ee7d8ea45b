package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// maxDatagram is where what is longer than any packet of ours is cut, in bytes.
const maxDatagram = 2048

// Receive is [Reader.Receive] for who does not count errors.
func Receive(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	new(Reader).Receive(c, fn)
}

// ReceiveRuns is [Reader.ReceiveRuns] for who does not count errors.
func ReceiveRuns(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	new(Reader).ReceiveRuns(c, fn)
}

// A Reader reads datagrams, and counts the errors that it met. The zero value is
// ready for use, also for several sockets at once.
type Reader struct{ errors atomic.Int64 }

// Errors returns how many reads have failed. It may be called at any time.
func (r *Reader) Errors() int64 { return r.errors.Load() }

// Receive reads datagrams from c and calls fn for each, until c is closed. The
// datagram is borrowed until fn returns. Errors that the network reports for
// earlier packets, as when the far end's port is closed, are passed over. Where
// they come at once again and again, as those of an interface that is gone, it
// waits between two of them, up to 100 ms. The read deadline of c is not for others
// to use meanwhile.
func (r *Reader) Receive(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	buf := make([]byte, maxDatagram)
	r.each(restOn(c), func() error {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err == nil {
			fn(time.Now(), unmap(from), buf[:n])
		}
		return err
	})
}

// ReceiveRuns is Receive for sockets on which packets come in runs, as those of
// a frame of video. Where the system can, it takes a run at once, as the network
// card has gathered it or the sender made it; fn is called for each datagram all
// the same. It takes 64 KiB of memory, and nobody else may read from c any more.
func (r *Reader) ReceiveRuns(c *net.UDPConn, fn func(arrival time.Time, from netip.AddrPort, b []byte)) {
	if !coalesce(c) {
		r.Receive(c, fn)
		return
	}
	runs := &runReader{conn: c}
	r.each(restOn(c), func() error {
		run, size, from, err := runs.read()
		if err != nil {
			return err
		}
		arrival, from := time.Now(), unmap(from)
		for {
			n := min(size, len(run))
			heard := min(n, maxDatagram)
			fn(arrival, from, run[:heard:heard]) // what follows is another datagram
			if run = run[n:]; len(run) == 0 {
				return nil
			}
		}
	})
}

// each calls read until the socket is closed. Between errors in a row it rests.
func (r *Reader) each(rest func(time.Duration) error, read func() error) {
	failed := 0
	for {
		err := read()
		switch {
		case err == nil:
			failed = 0
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		r.errors.Add(1)
		failed++
		if d := restAfter(failed); d > 0 && errors.Is(rest(d), net.ErrClosed) {
			return
		}
	}
}

const (
	freeErrors = 8 // in a row, without a rest: one comes for each packet that a far end refuses
	maxRest    = 100 * time.Millisecond
)

// restAfter returns how long to wait after so many errors in a row.
func restAfter(failed int) time.Duration {
	if failed <= freeErrors {
		return 0
	}
	return min(time.Millisecond<<min(failed-freeErrors-1, 10), maxRest)
}

// restOn returns a function that waits for a time, until something new happens on c,
// or until c is closed, which is its error then.
func restOn(c *net.UDPConn) func(time.Duration) error {
	return func(d time.Duration) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return net.ErrClosed
		}
		if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
			return err
		}
		defer c.SetReadDeadline(time.Time{}) //nolint:errcheck // it is closed then
		// Nothing is read: whoever wants more than there is waits for more.
		asked := false
		err = raw.Read(func(uintptr) bool {
			more := asked
			asked = true
			return more
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		return err
	}
}
