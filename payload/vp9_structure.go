package payload

import "encoding/binary"

// A VP9Structure is the scalability structure of a stream (RFC 9628, section
// 4.2.1), which comes with key pictures and where it changes.
type VP9Structure struct {
	Layers int       // spatial layers, 1..8 (N_S + 1)
	Sizes  []VP9Size // of the layers, lowest first; empty if it does not tell (Y = 0)

	// Group are the pictures of a group, which repeats; nil if it does not tell
	// (G = 0). At most 255.
	Group []VP9Picture
}

// A VP9Size is the size of a layer in pixels.
type VP9Size struct{ Width, Height uint16 }

// A VP9Picture is a picture of a group.
type VP9Picture struct {
	TID        uint8 // temporal layer, 0..7
	SwitchUp   bool  // U
	References uint8 // how many of Diffs, 0..MaxVP9References
	Diffs      [MaxVP9References]uint8
}

const (
	vp9Sizes = 0x10
	vp9Group = 0x08
)

// skipStructure reads over a structure and returns its length and the number of
// spatial layers. If it is cut short, what is left of the payload is read.
func (r *octets) skipStructure() (length, layers int) {
	before := len(r.data)
	first := r.next()
	layers = int(first>>5) + 1
	if first&vp9Sizes != 0 {
		r.skip(4 * layers)
	}
	if first&vp9Group != 0 {
		for n := r.next(); n > 0 && !r.short; n-- {
			r.skip(int(r.next() >> 2 & 3))
		}
	}
	return before - len(r.data), layers
}

func (r *octets) skip(n int) {
	if n > len(r.data) {
		n, r.short = len(r.data), true
	}
	r.data = r.data[n:]
}

// ParseVP9Structure reads [VP9Descriptor.Structure]. The error wraps
// [codec.ErrPayload] if it is cut short; what follows it is ignored. It
// allocates.
func ParseVP9Structure(structure []byte) (VP9Structure, error) {
	r := octets{data: structure}
	_, layers := r.skipStructure()
	if r.short {
		return VP9Structure{}, malformed("VP9 scalability structure of %d bytes is cut short", len(structure))
	}
	s := VP9Structure{Layers: layers}
	r.data = structure
	first := r.next()
	if first&vp9Sizes != 0 {
		s.Sizes = make([]VP9Size, layers)
		for i := range s.Sizes {
			s.Sizes[i] = VP9Size{binary.BigEndian.Uint16(r.data), binary.BigEndian.Uint16(r.data[2:])}
			r.skip(4)
		}
	}
	if first&vp9Group != 0 {
		s.Group = make([]VP9Picture, r.next())
		for i := range s.Group {
			b := r.next()
			p := &s.Group[i]
			p.TID, p.SwitchUp, p.References = b>>5, b&vp9SwitchUp != 0, b>>2&3
			for j := range p.References {
				p.Diffs[j] = r.next()
			}
		}
	}
	return s, nil
}

// AppendTo appends the structure to dst. It wants as many Sizes as Layers, or
// none, and otherwise uses of each field what there is room for.
func (s VP9Structure) AppendTo(dst []byte) ([]byte, error) {
	switch {
	case s.Layers < 1 || s.Layers > 8:
		return dst, unsendable("VP9 structure of %d layers", s.Layers)
	case len(s.Sizes) != 0 && len(s.Sizes) != s.Layers:
		return dst, unsendable("VP9 structure of %d sizes for %d layers", len(s.Sizes), s.Layers)
	case len(s.Group) > 255:
		return dst, unsendable("VP9 structure with a group of %d pictures", len(s.Group))
	}
	first := byte(s.Layers-1) << 5
	set(&first, vp9Sizes, len(s.Sizes) > 0)
	set(&first, vp9Group, s.Group != nil)
	dst = append(dst, first)
	for _, size := range s.Sizes {
		dst = binary.BigEndian.AppendUint16(dst, size.Width)
		dst = binary.BigEndian.AppendUint16(dst, size.Height)
	}
	if s.Group != nil {
		dst = append(dst, byte(len(s.Group)))
	}
	for i := range s.Group {
		p := &s.Group[i]
		n := min(p.References, MaxVP9References)
		b := p.TID<<5 | n<<2
		set(&b, vp9SwitchUp, p.SwitchUp)
		dst = append(append(dst, b), p.Diffs[:n]...)
	}
	return dst, nil
}

// vp9LayerSize returns the size of a layer, or of the highest one below it, by a
// structure that was checked. It is 0 if that does not tell.
func vp9LayerSize(structure []byte, layer int) (width, height int) {
	if len(structure) == 0 || structure[0]&vp9Sizes == 0 {
		return 0, 0
	}
	b := structure[1+4*min(layer, int(structure[0]>>5)):]
	return int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
}
