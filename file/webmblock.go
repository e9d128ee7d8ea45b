package file

import (
	"encoding/binary"
	"time"
)

// simpleBlock takes a SimpleBlock (RFC 9559 section 10.2).
func (r *WebMReader) simpleBlock(b []byte) error {
	return r.openBlock(b, func(flags byte) bool { return flags&0x80 != 0 }, 0, 0, false)
}

// blockGroup takes a BlockGroup, whose block is a key frame if it refers to no
// other (section 5.1.3.5.5).
func (r *WebMReader) blockGroup(b []byte) error {
	var (
		block     []byte
		reference bool
		duration  uint64
		lasts     bool
		discard   int64
	)
	ok := walk(b, func(id uint32, data []byte) (ok bool) {
		switch ok = true; id {
		case idBlock:
			block = data
		case idReferenceBlock:
			reference = true
		case idBlockDuration:
			lasts = true
			duration, ok = parseUint(data)
		case idDiscardPadding:
			discard, ok = parseInt(data)
		}
		return ok
	})
	if !ok || duration > uint64(maxTime)/r.scale {
		return r.src.malformed("a broken BlockGroup before byte %d", r.src.pos)
	}
	if block == nil {
		return nil
	}
	trim := time.Duration(max(min(discard, int64(time.Minute)), 0))
	return r.openBlock(block, func(byte) bool { return !reference }, time.Duration(duration*r.scale), trim, lasts)
}

// openBlock makes the frames of a block those that are read next. lasts says that
// the block has a duration.
func (r *WebMReader) openBlock(b []byte, key func(byte) bool, duration, trim time.Duration, lasts bool) error {
	number, n := cutVint(b)
	if n == 0 || len(b) < n+3 {
		return r.src.malformed("a block of %d bytes before byte %d", len(b), r.src.pos)
	}
	var e *webmEntry
	for i := range r.entries {
		if r.entries[i].number == number {
			e = &r.entries[i]
		}
	}
	if e == nil {
		return nil
	}
	relative := int64(int16(binary.BigEndian.Uint16(b[n:])))
	flags := b[n+2]
	frames, count, ok := r.lace(b[n+3:], flags>>1&3)
	if !ok {
		return r.src.malformed("a broken lace before byte %d", r.src.pos)
	}
	r.entry, r.frames = e, frames
	r.time = time.Duration((int64(r.cluster)+relative)*int64(r.scale)) - e.delay
	r.each, r.trim = e.each, trim
	if lasts {
		r.each = duration / time.Duration(count)
	}
	r.next, r.count = 0, count
	r.key = key(flags) || !r.tracks[e.index].Codec.Video()
	return nil
}

// lace sets the sizes of the frames in a block, and returns the frames and how
// many there are (RFC 9559 section 10.3). Kinds are 0 none, 1 Xiph, 2 fixed, 3
// EBML.
func (r *WebMReader) lace(b []byte, kind byte) (frames []byte, count int, ok bool) {
	if kind == 0 {
		r.sizes[0] = len(b)
		return b, 1, true
	}
	if len(b) == 0 {
		return nil, 0, false
	}
	count = int(b[0]) + 1
	b = b[1:]
	if kind == 2 {
		for i := range count {
			r.sizes[i] = len(b) / count
		}
		return b, count, len(b)%count == 0
	}
	size, total := int64(0), int64(0)
	for i := range count - 1 {
		switch {
		case kind == 1:
			size = 0
			for more := true; more; {
				if len(b) == 0 {
					return nil, 0, false
				}
				more = b[0] == 255
				size, b = size+int64(b[0]), b[1:]
			}
		default:
			v, n := cutVint(b)
			if n == 0 {
				return nil, 0, false
			}
			b = b[n:]
			if i == 0 {
				size = int64(v)
			} else {
				size += int64(v) - (1<<(7*n-1) - 1) // the difference, with a bias
			}
		}
		if total += size; size < 0 || total > int64(len(b)) {
			return nil, 0, false
		}
		r.sizes[i] = int(size)
	}
	r.sizes[count-1] = len(b) - int(total)
	return b, count, total <= int64(len(b))
}
