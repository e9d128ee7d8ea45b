package payload

import "encoding/binary"

// A VP9Packetizer is the [VideoPacketizer] of VP9 (RFC 9628) for a stream with
// one spatial layer. The zero value is ready: non-flexible mode, without picture
// IDs.
type VP9Packetizer struct {
	// MaxPayload is the largest payload in bytes, 32..65535. 0 is
	// [DefaultMaxPayload].
	MaxPayload int

	// Descriptor is what the packets of the next frame carry. The caller may
	// change it before each Begin. Begin sets Begin and End, sets Inter unless
	// the frame is encrypted, counts PictureID up after each frame, and does
	// this where nothing is given:
	//   - Structure: the first packet of a key frame has one with the size of
	//     the picture and, in non-flexible mode, the group of one picture that
	//     needs the one before it.
	//   - References, with Flexible: a picture that is predicted refers to the
	//     one before it. Flexible mode needs picture IDs; Begin adds 15 bits.
	//
	// Browsers work better with 15 bits of picture ID.
	Descriptor VP9Descriptor

	max        int
	descriptor VP9Descriptor // of the next packet
	rest       []byte
	structure  [8]byte
}

const minVP9Payload = 32

// Begin implements [VideoPacketizer]. The frame is one frame of VP9 or a
// superframe. An empty one is refused, as is a Structure that leaves no room for
// data.
func (p *VP9Packetizer) Begin(frame []byte) error {
	p.rest = nil
	p.max = maxPayload(p.MaxPayload)
	if p.Descriptor.Flexible && p.Descriptor.PictureIDBits == 0 {
		p.Descriptor.PictureIDBits = 15
	}
	p.descriptor = p.Descriptor
	d := &p.descriptor
	const others = 1 + 2 + 2 + MaxVP9References // bytes, at most
	switch {
	case p.max < minVP9Payload:
		return unsendable("VP9 in payloads of %d bytes", p.max)
	case len(d.Structure) > p.max-others-1:
		return unsendable("VP9 structure of %d bytes in payloads of %d", len(d.Structure), p.max)
	case len(frame) == 0:
		return unsendable("VP9 frame without content")
	}
	h := parseVP9Picture(frame)
	d.Begin, d.End = true, false
	if h.valid {
		d.Inter = !h.intra
	}
	if d.Flexible && d.References == 0 {
		d.References, d.Diffs[0] = 1, 1
	}
	if len(d.Structure) == 0 && h.width > 0 && max(h.width, h.height) < 1<<16 {
		d.Structure = p.appendStructure(p.structure[:0], h.width, h.height)
	}
	p.rest = frame
	p.Descriptor.PictureID = nextPictureID(d.PictureIDBits, d.PictureID)
	return nil
}

func (p *VP9Packetizer) appendStructure(dst []byte, width, height int) []byte {
	first := byte(vp9Sizes)
	set(&first, vp9Group, !p.Descriptor.Flexible)
	dst = append(dst, first)
	dst = binary.BigEndian.AppendUint16(dst, uint16(width))
	dst = binary.BigEndian.AppendUint16(dst, uint16(height))
	if !p.Descriptor.Flexible {
		dst = append(dst, 1, 1<<2, 1) // a picture of layer 0 with one reference
	}
	return dst
}

// AppendPayload implements [VideoPacketizer].
func (p *VP9Packetizer) AppendPayload(dst []byte) (payload []byte, more bool) {
	if len(p.rest) == 0 {
		return dst, false
	}
	at, d := len(dst), &p.descriptor
	dst = d.AppendTo(dst)
	n := min(p.max-(len(dst)-at), len(p.rest))
	if n == len(p.rest) {
		dst[at] |= vp9End
	}
	dst = append(dst, p.rest[:n]...)
	p.rest = p.rest[n:]
	d.Begin, d.Structure = false, nil
	return dst, len(p.rest) > 0
}
