package payload

import (
	"errors"
	"fmt"
	"iter"

	"github.com/parley-media/parley/codec"
)

const (
	// MaxREDBlocks is how many blocks a redundancy payload may have here, the
	// primary one included.
	MaxREDBlocks = 8

	// MaxREDOffset is the largest offset of a redundant block, in timestamp
	// units (14 bits).
	MaxREDOffset = 1<<14 - 1

	// MaxREDLength is the largest length of a redundant block, in bytes (10
	// bits). The primary block has no limit.
	MaxREDLength = 1<<10 - 1

	redHeader     = 4 // of a redundant block
	primaryHeader = 1
)

// ErrRED is wrapped by the error for blocks that a redundancy payload cannot
// hold.
var ErrRED = errors.New("payload: does not fit into a redundancy payload")

// A REDBlock is one block of a redundancy payload (RFC 2198, section 3).
type REDBlock struct {
	PayloadType uint8  // 0..127
	Offset      uint16 // by which its timestamp is before that of the packet, 0..MaxREDOffset; 0 for the primary block
	Payload     []byte
}

// AppendRED appends to dst a payload of 1 to [MaxREDBlocks] blocks (RFC 2198,
// section 3). They are in order of age, oldest first; the last one is the
// primary block, with the offset 0. The error wraps [ErrRED] for an offset or a
// length that its field has no room for, and dst is then returned unchanged.
func AppendRED(dst []byte, blocks ...REDBlock) ([]byte, error) {
	if len(blocks) == 0 || len(blocks) > MaxREDBlocks {
		return dst, fmt.Errorf("%w: %d blocks, want 1 to %d", ErrRED, len(blocks), MaxREDBlocks)
	}
	last := len(blocks) - 1
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.PayloadType > 127:
			return dst, fmt.Errorf("%w: payload type %d", ErrRED, b.PayloadType)
		case i == last && b.Offset != 0:
			return dst, fmt.Errorf("%w: the primary block has the offset %d", ErrRED, b.Offset)
		case i < last && b.Offset > MaxREDOffset:
			return dst, fmt.Errorf("%w: offset %d, at most %d", ErrRED, b.Offset, MaxREDOffset)
		case i < last && len(b.Payload) > MaxREDLength:
			return dst, fmt.Errorf("%w: %d bytes, at most %d", ErrRED, len(b.Payload), MaxREDLength)
		}
	}
	for i := range last {
		b := &blocks[i]
		word := uint32(b.Offset)<<10 | uint32(len(b.Payload))
		dst = append(dst, 0x80|b.PayloadType, byte(word>>16), byte(word>>8), byte(word))
	}
	dst = append(dst, blocks[last].PayloadType)
	for i := range blocks {
		dst = append(dst, blocks[i].Payload...)
	}
	return dst, nil
}

// REDSize returns the length of the payload that [AppendRED] makes of blocks.
func REDSize(blocks ...REDBlock) int {
	n := primaryHeader + max(len(blocks)-1, 0)*redHeader
	for i := range blocks {
		n += len(blocks[i].Payload)
	}
	return n
}

// A RED is a redundancy payload that was parsed. It refers to the bytes that it
// was parsed from.
type RED struct {
	payload []byte
	data    int // where the blocks begin
	blocks  int
}

// ParseRED reads a redundancy payload. The error wraps [codec.ErrPayload] if it
// is cut short or has more than [MaxREDBlocks] blocks. A block without content
// is allowed.
func ParseRED(payload []byte) (RED, error) {
	r := RED{payload: payload, blocks: 1}
	var length int
	for {
		if r.data >= len(payload) {
			return RED{}, fmt.Errorf("%w: redundancy without a primary block", codec.ErrPayload)
		}
		if payload[r.data]&0x80 == 0 {
			r.data += primaryHeader
			break
		}
		if len(payload)-r.data < redHeader {
			return RED{}, fmt.Errorf("%w: header of a redundant block is cut short", codec.ErrPayload)
		}
		_, n := redFields(payload[r.data:])
		length += n
		r.data += redHeader
		if r.blocks++; r.blocks > MaxREDBlocks {
			return RED{}, fmt.Errorf("%w: more than %d blocks of redundancy", codec.ErrPayload, MaxREDBlocks)
		}
	}
	if length > len(payload)-r.data {
		return RED{}, fmt.Errorf("%w: redundant blocks of %d bytes, %d are there", codec.ErrPayload, length, len(payload)-r.data)
	}
	return r, nil
}

func redFields(header []byte) (offset uint16, length int) {
	word := uint32(header[1])<<16 | uint32(header[2])<<8 | uint32(header[3])
	return uint16(word >> 10), int(word & MaxREDLength)
}

// Len returns the number of blocks, the primary one included. It is 0 for the
// zero value.
func (r RED) Len() int { return r.blocks }

// All returns the blocks in their order, which is from the oldest to the
// primary one.
func (r RED) All() iter.Seq[REDBlock] {
	return func(yield func(REDBlock) bool) {
		data := r.payload[r.data:]
		for i := range r.blocks {
			header := r.payload[i*redHeader:]
			b := REDBlock{PayloadType: header[0] & 0x7f, Payload: data}
			if i < r.blocks-1 {
				var n int
				b.Offset, n = redFields(header)
				b.Payload, data = data[:n:n], data[n:]
			}
			if !yield(b) {
				return
			}
		}
	}
}

// Primary returns the last block, the one that the timestamp of the packet is
// that of. It is the zero block for the zero value.
func (r RED) Primary() (primary REDBlock) {
	for b := range r.All() {
		primary = b
	}
	return primary
}
