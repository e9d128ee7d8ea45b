package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

// A Capture writes the datagrams of a call as a pcap file, which packet
// analysers read. Its IPv4, IPv6 and UDP headers are made up from the addresses:
// it sees what the program saw, not the network. SRTP is written as it is given.
//
// Write is safe for concurrent use and never waits for the file; a goroutine
// writes it until Close. What does not fit into 1 MiB in between is dropped.
type Capture struct {
	mu      sync.Mutex
	pending []byte
	closed  bool
	dropped int64

	wake  chan struct{} // holds one token while there is something to do
	close func() error
}

// captureLimit bounds what waits for the file: some 50 s of a call in G.711.
const captureLimit = 1 << 20

// NewCapture begins a file, in the classic format with microseconds and link
// type 101 (raw IP).
func NewCapture(w io.Writer) *Capture {
	c := &Capture{wake: make(chan struct{}, 1)}
	c.pending = binary.LittleEndian.AppendUint32(c.pending, 0xa1b2c3d4)
	c.pending = append(c.pending, 2, 0, 4, 0) // version
	c.pending = append(c.pending, make([]byte, 8)...)
	c.pending = binary.LittleEndian.AppendUint32(c.pending, 65535+40)
	c.pending = binary.LittleEndian.AppendUint32(c.pending, 101)
	done := make(chan error, 1)
	go func() { done <- c.write(w) }()
	c.notify()
	c.close = sync.OnceValue(func() error {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.notify()
		return <-done
	})
	return c
}

// Write adds a datagram, which it copies. An address that is not known is written
// as the unspecified one.
func (c *Capture) Write(at time.Time, from, to netip.AddrPort, datagram []byte) {
	c.mu.Lock()
	fits := !c.closed && len(datagram) <= 65507 && len(c.pending)+16+48+len(datagram) <= captureLimit
	if fits {
		c.pending = appendRecord(c.pending, at, from, to, datagram)
	} else {
		c.dropped++
	}
	c.mu.Unlock()
	if fits {
		c.notify()
	}
}

// Dropped returns how many datagrams are not in the file because it was too slow
// or had failed, because they were longer than UDP over IPv4 allows, or because
// they came after Close.
func (c *Capture) Dropped() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Close writes what is left and returns the first error of the writer, which it
// does not close. It waits for the writer. Another call returns the same.
func (c *Capture) Close() error { return c.close() }

func (c *Capture) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write gives what is pending to w until Close, or until w fails; then nothing
// is taken any more.
func (c *Capture) write(w io.Writer) error {
	var spare []byte
	for range c.wake {
		c.mu.Lock()
		full, last := c.pending, c.closed
		c.pending = spare[:0]
		c.mu.Unlock()
		n, err := w.Write(full)
		if err == nil && n < len(full) {
			err = io.ErrShortWrite
		}
		if err != nil {
			c.mu.Lock()
			c.closed = true
			c.pending = nil
			c.mu.Unlock()
			return fmt.Errorf("transport: capture: %w", err)
		}
		if last {
			break
		}
		spare = full
	}
	return nil
}

// appendRecord appends a packet with its headers, and the header of the file
// format before it.
func appendRecord(b []byte, at time.Time, from, to netip.AddrPort, datagram []byte) []byte {
	src, dst := sameFamily(from.Addr().Unmap(), to.Addr().Unmap())
	udp := uint16(8 + len(datagram))
	header := 20
	if src.Is6() {
		header = 40
	}
	us := at.UnixMicro()
	b = binary.LittleEndian.AppendUint32(b, uint32(us/1e6))
	b = binary.LittleEndian.AppendUint32(b, uint32(us%1e6))
	for range 2 { // kept, and on the wire
		b = binary.LittleEndian.AppendUint32(b, uint32(header)+uint32(udp))
	}
	begin := len(b)
	if src.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(header)+udp)
		b = append(b, 0, 0, 0x40, 0, 64, 17, 0, 0) // not to be fragmented; UDP
		s, d := src.As4(), dst.As4()
		b = append(append(b, s[:]...), d[:]...)
		binary.BigEndian.PutUint16(b[begin+10:], ^checksum(0, b[begin:]))
	} else {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, udp)
		b = append(b, 17, 64)
		s, d := src.As16(), dst.As16()
		b = append(append(b, s[:]...), d[:]...)
	}
	// The pseudo-header of RFC 768 and of RFC 8200, section 8.1, is summed up in
	// parts: the addresses end either header.
	sum := uint32(17) + uint32(udp)
	addresses := begin + header - 2*src.BitLen()/8
	begin += header
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, udp)
	b = append(b, 0, 0)
	b = append(b, datagram...)
	check := ^checksum(sum, b[addresses:])
	if check == 0 {
		check = 0xffff // 0 would mean that there is none
	}
	binary.BigEndian.PutUint16(b[begin+6:], check)
	return b
}

// checksum is the sum of RFC 1071 over b, before it is inverted.
func checksum(sum uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// sameFamily returns addresses that fit into one header. A socket that listens
// on all addresses has no family of its own; otherwise IPv4 is mapped into IPv6.
func sameFamily(a, b netip.Addr) (netip.Addr, netip.Addr) {
	a, b = known(a, b), known(b, a)
	if a.Is4() != b.Is4() {
		return netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16())
	}
	return a, b
}

func known(a, other netip.Addr) netip.Addr {
	switch {
	case a.IsValid() && !a.IsUnspecified():
		return a
	case other.Is6():
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
