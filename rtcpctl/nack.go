package rtcpctl

import (
	"encoding/binary"
	"iter"
)

// formatNACK is the format of a generic NACK (RFC 4585, section 6.2.1).
const formatNACK = 1

const feedbackHead = headerSize + 8 // with the two sources

// AppendNACK appends a generic NACK to dst: the request of source ssrc that the
// source media send the packets with the given sequence numbers again. Numbers
// that ascend (modulo 2^16) pack best: an entry of four bytes takes one and any
// of the 16 that follow it. What does not fit into a packet of limit bytes is
// left out; taken says how many of lost were written. If that is none, nothing
// is appended.
func AppendNACK(dst []byte, ssrc, media uint32, lost []uint16, limit int) (b []byte, taken int) {
	room := min((limit-feedbackHead)/4, 1<<16-1-2)
	if room <= 0 || len(lost) == 0 {
		return dst, 0
	}
	start := len(dst)
	dst = appendHeader(dst, TypeRTPFB, formatNACK, 8)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = binary.BigEndian.AppendUint32(dst, media)
	entries := 0
	for taken < len(lost) && entries < room {
		first, bits := lost[taken], uint16(0)
		for taken++; taken < len(lost); taken++ {
			step := lost[taken] - first
			if step > 16 {
				break
			}
			if step > 0 {
				bits |= 1 << (step - 1)
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, first)
		dst = binary.BigEndian.AppendUint16(dst, bits)
		entries++
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(2+entries))
	return dst, taken
}

// Lost yields the sequence numbers that a generic NACK asks for, in its order:
// at most 17 per four bytes. It yields nothing for other packets.
func (m Member) Lost() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if m.Type != TypeRTPFB || m.Count != formatNACK || len(m.Body) < 8 {
			return
		}
		for b := m.Body[8:]; len(b) >= 4; b = b[4:] {
			seq, bits := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			if !yield(seq) {
				return
			}
			for ; bits != 0; bits >>= 1 {
				seq++
				if bits&1 != 0 && !yield(seq) {
					return
				}
			}
		}
	}
}
