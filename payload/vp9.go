package payload

// MaxVP9References is how many references a picture may have: the most that a
// descriptor or a picture group states (RFC 9628, section 4.2).
const MaxVP9References = 3

// A VP9Descriptor is what is before the data in each payload of VP9 (RFC 9628,
// section 4.2). Its letters are those of the RFC; a layer frame is what a
// picture has of one spatial layer.
type VP9Descriptor struct {
	PictureIDBits uint8 // of the picture ID: 0 for none, 7 or 15
	PictureID     uint16

	Inter       bool // P: predicted from other pictures
	Flexible    bool // F: each packet tells the references, instead of a picture group
	Begin       bool // B: the data begins a layer frame
	End         bool // E: the data ends a layer frame
	NotForUpper bool // Z: the layers above this one do not need it

	HasLayers  bool  // L
	TID        uint8 // temporal layer, 0..7
	SwitchUp   bool  // U: temporal layers above need nothing from before this picture
	SID        uint8 // spatial layer, 0..7
	InterLayer bool  // D: predicted from the layer below
	TL0PICIDX  uint8 // with layers, unless Flexible

	// Diffs are by how much the IDs of the pictures that this one refers to are
	// less than its own, 1..127, in the first References elements. Only a
	// packet with Flexible and Inter has them, and then at least one.
	References uint8
	Diffs      [MaxVP9References]uint8

	// Structure is the scalability structure (V) as it is in the payload, see
	// [ParseVP9Structure]; nil if there is none.
	Structure []byte
}

const (
	vp9PictureID = 0x80
	vp9Inter     = 0x40
	vp9Layers    = 0x20
	vp9Flexible  = 0x10
	vp9Begin     = 0x08
	vp9End       = 0x04
	vp9Structure = 0x02
	vp9NotUpper  = 0x01

	vp9SwitchUp   = 0x10
	vp9InterLayer = 0x01

	vp9MoreDiffs = 0x01
)

// ParseVP9Descriptor reads the descriptor of a payload and returns the data
// after it, of which there is at least a byte. Structure is a slice of payload.
// The error wraps [codec.ErrPayload]; besides cut ones it is for those with more
// than [MaxVP9References] references.
func ParseVP9Descriptor(payload []byte) (d VP9Descriptor, data []byte, err error) {
	r := octets{data: payload}
	first := r.next()
	d.Inter = first&vp9Inter != 0
	d.HasLayers = first&vp9Layers != 0
	d.Flexible = first&vp9Flexible != 0
	d.Begin = first&vp9Begin != 0
	d.End = first&vp9End != 0
	d.NotForUpper = first&vp9NotUpper != 0
	if first&vp9PictureID != 0 {
		d.PictureIDBits, d.PictureID = r.pictureID()
	}
	if d.HasLayers {
		b := r.next()
		d.TID, d.SwitchUp = b>>5, b&vp9SwitchUp != 0
		d.SID, d.InterLayer = b>>1&7, b&vp9InterLayer != 0
		if !d.Flexible {
			d.TL0PICIDX = r.next()
		}
	}
	if d.Flexible && d.Inter {
		for more := true; more && !r.short; {
			if d.References == MaxVP9References {
				return VP9Descriptor{}, nil, malformed("VP9 with more than %d references", MaxVP9References)
			}
			b := r.next()
			d.Diffs[d.References] = b >> 1
			d.References++
			more = b&vp9MoreDiffs != 0
		}
	}
	if first&vp9Structure != 0 {
		n, _ := r.skipStructure()
		d.Structure = payload[len(payload)-len(r.data)-n : len(payload)-len(r.data)]
	}
	if r.short || len(r.data) == 0 {
		return VP9Descriptor{}, nil, malformed("VP9 payload of %d bytes is cut short", len(payload))
	}
	return d, r.data, nil
}

// AppendTo appends the descriptor to dst. Of each field the bits are used that
// there is room for, and Structure is taken as it is.
func (d VP9Descriptor) AppendTo(dst []byte) []byte {
	var first byte
	set(&first, vp9PictureID, d.PictureIDBits != 0)
	set(&first, vp9Inter, d.Inter)
	set(&first, vp9Layers, d.HasLayers)
	set(&first, vp9Flexible, d.Flexible)
	set(&first, vp9Begin, d.Begin)
	set(&first, vp9End, d.End)
	set(&first, vp9Structure, len(d.Structure) > 0)
	set(&first, vp9NotUpper, d.NotForUpper)
	dst = append(dst, first)
	dst = appendPictureID(dst, d.PictureIDBits, d.PictureID)
	if d.HasLayers {
		b := d.TID<<5 | d.SID&7<<1
		set(&b, vp9SwitchUp, d.SwitchUp)
		set(&b, vp9InterLayer, d.InterLayer)
		if dst = append(dst, b); !d.Flexible {
			dst = append(dst, d.TL0PICIDX)
		}
	}
	if d.Flexible && d.Inter {
		n := min(max(d.References, 1), MaxVP9References)
		for i, diff := range d.Diffs[:n] {
			b := diff << 1
			set(&b, vp9MoreDiffs, i < int(n)-1)
			dst = append(dst, b)
		}
	}
	return append(dst, d.Structure...)
}
