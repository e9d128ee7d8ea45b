// Package jitter puts received packets back in order and decides when they are
// played.
//
// A [Buffer] holds the packets of one source between their arrival and their
// playout. An [Estimator] learns from their arrival how far playout has to be
// behind the network, and [Decide] says what to do to get there. None of them
// knows a clock, a codec or a sample: what to do about a packet that is missing,
// and how to make audio longer or shorter, is for the caller.
package jitter

import "time"

// A Packet is a received packet with its place on the stream's timeline. The
// numbers are extended by the caller, so they never wrap.
type Packet struct {
	Seq       int64         // extended sequence number
	Time      time.Duration // media time of the first sample
	Arrival   time.Time     // when it was received
	Timestamp uint32        // RTP timestamp as received
	Type      uint8         // RTP payload type
	Marker    bool
	Restart   bool // the sender began anew here: decoder state of before does not apply
	Copy      bool // came as redundancy of another packet
	Payload   []byte
}

// A Verdict says what became of a packet that was pushed.
type Verdict uint8

const (
	Stored    Verdict = iota
	Duplicate         // a packet with this number is in the buffer
	Late              // a packet with this or a later number has been popped
	Oversize          // the payload alone is larger than the buffer may be
)

// Limits bound a [Buffer]. A zero field means the default.
type Limits struct {
	Packets int // and numbers from the first to the last, missing ones included; default 512
	Bytes   int // of payload, default 256 KiB
}

// A Buffer orders packets by sequence number. The zero value is an empty buffer
// with default limits. When a packet does not fit, the oldest ones make room
// for it and are counted in Evicted. A Buffer is not safe for concurrent use.
type Buffer struct {
	Limits  Limits
	Evicted int64 // packets that were thrown away unread to make room

	ring  []entry // a power of two long; the packet with number s is at s mod len
	free  [][]byte
	out   []byte // payload of the packet popped last
	low   int64  // number of the first packet, if count > 0
	high  int64  // number of the last packet, if count > 0
	floor int64  // packets below this are late
	begun bool   // floor is valid
	count int
	bytes int

	start [startSlots]entry // the ring at first
}

type entry struct {
	used bool
	Packet
}

const startSlots = 4

// Len returns the number of packets in the buffer.
func (b *Buffer) Len() int { return b.count }

// Bytes returns the number of payload bytes in the buffer.
func (b *Buffer) Bytes() int { return b.bytes }

// Push stores a copy of p and its payload.
func (b *Buffer) Push(p *Packet) Verdict {
	maxPackets, maxBytes := b.limits()
	switch {
	case len(p.Payload) > maxBytes:
		return Oversize
	case b.begun && p.Seq < b.floor:
		return Late
	}
	if b.count > 0 {
		if p.Seq >= b.low && p.Seq <= b.high && b.ring[b.index(p.Seq)].used {
			return Duplicate
		}
		// Numbers that span more than the ring can ever hold: give up the
		// packets at the low end, which may be this one.
		for b.count > 0 && p.Seq-b.low >= int64(maxPackets) {
			b.evict()
		}
		if b.count > 0 && b.high-p.Seq >= int64(maxPackets) {
			return Late
		}
	}
	for b.count > 0 && (b.count >= maxPackets || b.bytes+len(p.Payload) > maxBytes) {
		if p.Seq < b.low {
			return Late
		}
		b.evict()
	}
	if b.count == 0 {
		b.low, b.high = p.Seq, p.Seq
	}
	low, high := min(b.low, p.Seq), max(b.high, p.Seq)
	b.fit(high - low + 1)
	b.low, b.high = low, high

	e := &b.ring[b.index(p.Seq)]
	payload := append(b.buffer(), p.Payload...)
	e.used, e.Packet = true, *p
	e.Payload = payload
	b.count++
	b.bytes += len(payload)
	return Stored
}

// First returns the packet with the lowest number, or nil if there is none. It
// stays in the buffer, and is valid until the next call of another method.
func (b *Buffer) First() *Packet {
	if b.count == 0 {
		return nil
	}
	return &b.ring[b.index(b.low)].Packet
}

// At returns the packet with the given number, or nil if it is not in the
// buffer. It stays there, and is valid until the next Push or Pop.
func (b *Buffer) At(seq int64) *Packet {
	if b.count == 0 || seq < b.low || seq > b.high {
		return nil
	}
	if e := &b.ring[b.index(seq)]; e.used {
		return &e.Packet
	}
	return nil
}

// Last returns the highest number in the buffer, which is not empty.
func (b *Buffer) Last() int64 { return b.high }

// Pop removes the packet with the lowest number and returns it, or nil if there is
// none. From then on packets up to that number are late. The packet and its payload
// are valid until the next Pop or Push.
func (b *Buffer) Pop() *Packet {
	if b.count == 0 {
		return nil
	}
	e := &b.ring[b.index(b.low)]
	e.used = false
	p := &e.Packet
	b.recycle(b.out)
	b.out = p.Payload
	b.count--
	b.bytes -= len(p.Payload)
	b.floor, b.begun = p.Seq+1, true
	for b.low++; b.count > 0 && !b.ring[b.index(b.low)].used; {
		b.low++
	}
	return p
}

// Reset empties the buffer and forgets which numbers are late.
func (b *Buffer) Reset() {
	for b.count > 0 {
		b.Pop()
	}
	b.begun = false
}

func (b *Buffer) evict() {
	b.Pop()
	b.Evicted++
}

func (b *Buffer) limits() (packets, bytes int) {
	packets, bytes = b.Limits.Packets, b.Limits.Bytes
	if packets <= 0 {
		packets = 512
	}
	if bytes <= 0 {
		bytes = 256 << 10
	}
	return packets, bytes
}

func (b *Buffer) index(seq int64) int { return int(seq & int64(len(b.ring)-1)) }

// fit grows the ring until it holds a span of n numbers.
func (b *Buffer) fit(n int64) {
	size := max(len(b.ring), startSlots)
	for int64(size) < n {
		size *= 2
	}
	if size == len(b.ring) {
		return
	}
	old := b.ring
	if b.ring = b.start[:]; size > startSlots {
		b.ring = make([]entry, size)
	}
	for i := range old {
		if old[i].used {
			b.ring[b.index(old[i].Seq)] = old[i]
		}
	}
}

// buffer returns an empty slice to copy a payload into. There are only ever as
// many as there were packets in the buffer at one time.
func (b *Buffer) buffer() []byte {
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf
	}
	return nil
}

func (b *Buffer) recycle(buf []byte) {
	if buf != nil {
		b.free = append(b.free, buf[:0])
	}
}
