package rtcpctl

import (
	"encoding/binary"
	"iter"
	"time"
)

// formatTransport is the format of transport-wide feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).
const formatTransport = 15

const (
	transportHead   = 16                     // the two sources, first number, count, reference time, number
	transportTick   = 250 * time.Microsecond // of deltas
	transportPeriod = 64 * time.Millisecond  // of reference times
)

// What became of a packet, by transport-wide feedback. 3 is reserved.
const (
	notArrived = iota
	smallDelta // of one byte
	largeDelta // of two bytes, signed
)

// An Arrival is what became of a packet of ours, by transport-wide feedback. Its
// time is on a clock of the far end whose zero nobody knows; it is 0 for a packet
// that has not arrived.
type Arrival struct {
	Seq     uint16 // transport-wide number
	Arrived bool
	At      time.Duration
}

// Arrivals yields what transport-wide feedback says of each packet, in order of
// numbers: at most 65535, of which those that arrived have a byte each. It yields
// nothing for other packets, and for malformed ones.
func (m Member) Arrivals() iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		chunks, deltas, _, ok := m.statuses()
		if !ok {
			return
		}
		a := Arrival{Seq: binary.BigEndian.Uint16(m.Body[8:])}
		left := int(binary.BigEndian.Uint16(m.Body[10:]))
		reference := int64(int32(binary.BigEndian.Uint32(m.Body[12:])) >> 8)
		at := time.Duration(reference) * transportPeriod
		for ; left > 0; chunks = chunks[2:] {
			c := chunk(binary.BigEndian.Uint16(chunks))
			n := min(c.count(), left)
			left -= n
			for i := range n {
				switch c.status(i) {
				case smallDelta:
					at += time.Duration(deltas[0]) * transportTick
					deltas = deltas[1:]
					a.Arrived, a.At = true, at
				case largeDelta:
					at += time.Duration(int16(binary.BigEndian.Uint16(deltas))) * transportTick
					deltas = deltas[2:]
					a.Arrived, a.At = true, at
				default:
					a.Arrived, a.At = false, 0
				}
				if !yield(a) {
					return
				}
				a.Seq++
			}
		}
	}
}

// statuses returns the chunks and deltas of transport-wide feedback, and how many
// packets have arrived. It reports false if the packet is none, or malformed. It
// takes a time that depends on the length of the packet only, not on how many
// packets it speaks of.
func (m Member) statuses() (chunks, deltas []byte, arrived int, ok bool) {
	if m.Type != TypeRTPFB || m.Count != formatTransport || len(m.Body) < transportHead {
		return nil, nil, 0, false
	}
	chunks = m.Body[transportHead:]
	rest, size := chunks, 0
	for left := int(binary.BigEndian.Uint16(m.Body[10:])); left > 0; rest = rest[2:] {
		if len(rest) < 2 {
			return nil, nil, 0, false
		}
		c := chunk(binary.BigEndian.Uint16(rest))
		n := min(c.count(), left)
		left -= n
		if c.run() {
			if c.status(0) > largeDelta {
				return nil, nil, 0, false
			}
			size += n * c.status(0)
			if c.status(0) != notArrived {
				arrived += n
			}
			continue
		}
		for i := range n {
			status := c.status(i)
			if status > largeDelta {
				return nil, nil, 0, false
			}
			size += status // as many bytes
			if status != notArrived {
				arrived++
			}
		}
	}
	if size > len(rest) {
		return nil, nil, 0, false
	}
	return chunks[:len(chunks)-len(rest)], rest, arrived, true
}

// A chunk has the statuses of some packets: of a run of equal ones, of 14 in a bit
// each, or of 7 in two bits each.
type chunk uint16

func (c chunk) run() bool { return c>>15 == 0 }

func (c chunk) count() int {
	switch {
	case c.run():
		return int(c & 0x1fff)
	case c>>14&1 == 0:
		return 14
	}
	return 7
}

// status returns the status of the ith packet of a chunk that has so many.
func (c chunk) status(i int) int {
	switch {
	case c.run():
		return int(c >> 13 & 3)
	case c>>14&1 == 0:
		return int(c >> (13 - i) & 1)
	}
	return int(c >> (12 - 2*i) & 3)
}
