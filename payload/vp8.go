package payload

import "encoding/binary"

// A VP8Descriptor is what is before the data in each payload of VP8 (RFC 7741,
// section 4.2).
type VP8Descriptor struct {
	NonReference bool  // N: no other frame needs this one
	Start        bool  // S: the data begins a partition
	Partition    uint8 // PID: the partition in which the data begins, 0..7; it may be 0 in all packets

	PictureIDBits uint8 // of the picture ID: 0 for none, 7 or 15
	PictureID     uint16

	HasTL0PICIDX bool // L
	TL0PICIDX    uint8

	HasTID    bool  // T
	TID       uint8 // temporal layer, 0..3
	LayerSync bool  // Y: needs nothing but frames of layer 0

	HasKeyIndex bool  // K
	KeyIndex    uint8 // KEYIDX, 0..31
}

const (
	vp8Extended     = 0x80
	vp8NonReference = 0x20
	vp8Start        = 0x10
	vp8Partition    = 0x07

	vp8PictureID = 0x80
	vp8TL0       = 0x40
	vp8TID       = 0x20
	vp8Key       = 0x10

	longPictureID = 0x80
)

// ParseVP8Descriptor reads the descriptor of a payload and returns the data
// after it, of which there is at least a byte. Reserved bits are ignored. The
// error wraps [codec.ErrPayload].
func ParseVP8Descriptor(payload []byte) (d VP8Descriptor, data []byte, err error) {
	r := octets{data: payload}
	first := r.next()
	d.NonReference = first&vp8NonReference != 0
	d.Start = first&vp8Start != 0
	d.Partition = first & vp8Partition
	if first&vp8Extended != 0 {
		have := r.next()
		if have&vp8PictureID != 0 {
			d.PictureIDBits, d.PictureID = r.pictureID()
		}
		if d.HasTL0PICIDX = have&vp8TL0 != 0; d.HasTL0PICIDX {
			d.TL0PICIDX = r.next()
		}
		d.HasTID, d.HasKeyIndex = have&vp8TID != 0, have&vp8Key != 0
		if d.HasTID || d.HasKeyIndex {
			b := r.next()
			if d.HasTID {
				d.TID, d.LayerSync = b>>6, b&0x20 != 0
			}
			if d.HasKeyIndex {
				d.KeyIndex = b & 0x1f
			}
		}
	}
	if r.short || len(r.data) == 0 {
		return VP8Descriptor{}, nil, malformed("VP8 payload of %d bytes is cut short", len(payload))
	}
	return d, r.data, nil
}

// AppendTo appends the descriptor to dst. Of each field the bits are used that
// there is room for.
func (d VP8Descriptor) AppendTo(dst []byte) []byte {
	first := d.Partition & vp8Partition
	set(&first, vp8NonReference, d.NonReference)
	set(&first, vp8Start, d.Start)
	var have byte
	set(&have, vp8PictureID, d.PictureIDBits != 0)
	set(&have, vp8TL0, d.HasTL0PICIDX)
	set(&have, vp8TID, d.HasTID)
	set(&have, vp8Key, d.HasKeyIndex)
	if have == 0 {
		return append(dst, first)
	}
	dst = append(dst, first|vp8Extended, have)
	dst = appendPictureID(dst, d.PictureIDBits, d.PictureID)
	if d.HasTL0PICIDX {
		dst = append(dst, d.TL0PICIDX)
	}
	if d.HasTID || d.HasKeyIndex {
		var b byte
		if d.HasTID {
			b = d.TID << 6
			set(&b, 0x20, d.LayerSync)
		}
		if d.HasKeyIndex {
			b |= d.KeyIndex & 0x1f
		}
		dst = append(dst, b)
	}
	return dst
}

// BeginsFrame reports whether the data is the beginning of a frame (RFC 7741,
// section 4.2: S with PID 0).
func (d VP8Descriptor) BeginsFrame() bool { return d.Start && d.Partition == 0 }

// parseVP8Header reads the beginning of a frame (RFC 6386, section 9.1). The
// size of a key frame is 0 if data ends before it.
func parseVP8Header(data []byte) (key bool, width, height int) {
	if len(data) == 0 || data[0]&1 != 0 {
		return false, 0, 0
	}
	if len(data) >= 10 && data[3] == 0x9d && data[4] == 0x01 && data[5] == 0x2a {
		const sizeMask = 1<<14 - 1 // the two bits above are the scale
		width = int(binary.LittleEndian.Uint16(data[6:]) & sizeMask)
		height = int(binary.LittleEndian.Uint16(data[8:]) & sizeMask)
	}
	return true, width, height
}

// octets reads a descriptor. Past the end it reads zeros, and short is set.
type octets struct {
	data  []byte
	short bool
}

func (r *octets) next() byte {
	if len(r.data) == 0 {
		r.short = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// pictureID reads an ID of 7 or, if the top bit is set, 15 bits, as VP8 and VP9
// have it.
func (r *octets) pictureID() (bits uint8, id uint16) {
	b := r.next()
	if b&longPictureID == 0 {
		return 7, uint16(b)
	}
	return 15, uint16(b&^longPictureID)<<8 | uint16(r.next())
}

func appendPictureID(dst []byte, bits uint8, id uint16) []byte {
	switch bits {
	case 0:
		return dst
	case 7:
		return append(dst, byte(id)&^longPictureID)
	}
	return append(dst, byte(id>>8)|longPictureID, byte(id))
}

// nextPictureID returns the one after id.
func nextPictureID(bits uint8, id uint16) uint16 {
	if bits == 7 {
		return (id + 1) & (1<<7 - 1)
	}
	return (id + 1) & (1<<15 - 1)
}

func set(b *byte, mask byte, on bool) {
	if on {
		*b |= mask
	}
}
