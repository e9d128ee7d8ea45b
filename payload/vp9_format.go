package payload

import (
	"slices"

	"github.com/parley-media/parley/internal/bits"
)

// VP9 is the [VideoFormat] of VP9 (RFC 9628). A frame is a picture: the layer
// frames of all its spatial layers one after another, lowest first, and if there
// are several, with an index behind them, as a superframe (VP9 bitstream
// specification, annex B), of which a decoder shows the highest. A first packet is
// a [VideoPart.Start] if it is of spatial layer 0.
type VP9 struct{}

// ParsePacket implements [VideoFormat].
func (VP9) ParsePacket(payload []byte) (VideoPart, error) {
	d, data, err := ParseVP9Descriptor(payload)
	if err != nil {
		return VideoPart{}, err
	}
	part := VideoPart{Start: d.Begin && d.SID == 0, Picture: true, PictureID: d.PictureID, PictureIDBits: d.PictureIDBits}
	part.Continues = !part.Start
	if part.Start {
		h := parseVP9Header(data)
		part.Key = isVP9Key(&d, h)
		if !d.HasLayers {
			part.Width, part.Height = h.width, h.height
		}
	}
	const highest = 7
	if w, h := vp9LayerSize(d.Structure, highest); w > 0 {
		part.Width, part.Height = w, h
	}
	return part, nil
}

// AppendFrame implements [VideoFormat].
func (VP9) AppendFrame(dst []byte, payloads [][]byte) ([]byte, VideoInfo, error) {
	var info VideoInfo
	var structure []byte
	out := dst
	begun, layer, layers := false, -1, 0
	var sizes [8]int // of the layer frames
	for _, p := range payloads {
		d, data, err := ParseVP9Descriptor(p)
		switch {
		case err != nil:
			return dst, VideoInfo{}, err
		case d.Begin == begun:
			return dst, VideoInfo{}, malformed("VP9 layer frame without its beginning or its end")
		case d.Begin && int(d.SID) <= layer || begun && int(d.SID) != layer:
			return dst, VideoInfo{}, malformed("VP9 layer %d after layer %d", d.SID, layer)
		case d.Begin && layer < 0 && d.InterLayer:
			return dst, VideoInfo{}, malformed("VP9 picture without the layer below layer %d", d.SID)
		}
		if d.Begin {
			if layers++; layers == 1 {
				h := parseVP9Header(data)
				info.Key = d.SID == 0 && isVP9Key(&d, h)
				info.Width, info.Height = h.width, h.height
			}
		}
		sizes[layers-1] += len(data)
		layer, begun = int(d.SID), !d.End
		if d.Structure != nil {
			structure = d.Structure
		}
		out = append(out, data...)
	}
	if begun || layers == 0 {
		return dst, VideoInfo{}, malformed("VP9 layer frame without its end")
	}
	if w, h := vp9LayerSize(structure, layer); w > 0 || layers > 1 {
		info.Width, info.Height = w, h
	}
	if layers > 1 {
		out = appendVP9Index(out, sizes[:layers])
	}
	return out, info, nil
}

// appendVP9Index makes a superframe of the frames that dst ends with.
func appendVP9Index(dst []byte, sizes []int) []byte {
	width := 1
	for slices.Max(sizes)>>(8*width) > 0 {
		width++
	}
	marker := byte(0xc0 | (width-1)<<3 | (len(sizes) - 1))
	dst = append(dst, marker)
	for _, size := range sizes {
		for range width {
			dst = append(dst, byte(size))
			size >>= 8
		}
	}
	return append(dst, marker)
}

// Info implements [VideoFormat].
func (VP9) Info(frame []byte) VideoInfo {
	h := parseVP9Picture(frame)
	return VideoInfo{Key: h.key, Width: h.width, Height: h.height}
}

// parseVP9Picture returns the header of the lowest layer of a picture, with the
// size of the highest one.
func parseVP9Picture(frame []byte) vp9Header {
	h := parseVP9Header(frame)
	if !h.key || h.width == 0 {
		return h
	}
	marker := frame[len(frame)-1]
	layers, width := int(marker&7)+1, int(marker>>3&3)+1
	index := len(frame) - 2 - layers*width
	if marker&0xe0 != 0xc0 || index < 0 || frame[index] != marker {
		return h
	}
	for rest, sizes := frame[:index], frame[index+1:]; len(sizes) > width; sizes = sizes[width:] {
		size := 0
		for i := range width {
			size |= int(sizes[i]) << (8 * i)
		}
		if size > len(rest) {
			break
		}
		r := bits.Reader{Data: rest[:size]}
		upper := readVP9Header(&r)
		if upper.predicted {
			upper.readNewSize(&r)
		}
		// One that does not tell has the size of the layer below: after a key frame
		// there is no other picture that it could have it from.
		if upper.width > 0 {
			h.width, h.height = upper.width, upper.height
		}
		rest = rest[size:]
	}
	return h
}

// isVP9Key reports whether the layer frame that begins here is a key frame. Not
// only those have P = 0, intra-only frames have it too; but the data may be
// encrypted, and its header then means nothing.
func isVP9Key(d *VP9Descriptor, h vp9Header) bool {
	return !d.Inter && (h.key || !h.valid)
}

// A vp9Header is what the uncompressed header of a frame tells (VP9 bitstream
// specification, 6.2).
type vp9Header struct {
	valid         bool // as far as it was read
	key           bool
	intra         bool // key or intra-only
	predicted     bool
	resilient     bool // error_resilient_mode of a predicted frame
	width, height int  // of a key frame, 0 if data ends before
}

// parseVP9Header reads the beginning of a frame, or of a superframe.
func parseVP9Header(data []byte) vp9Header {
	return readVP9Header(&bits.Reader{Data: data})
}

// readVP9Header leaves the reader of a predicted frame before reset_frame_context.
func readVP9Header(r *bits.Reader) vp9Header {
	const marker = 2
	if r.Read(2) != marker {
		return vp9Header{}
	}
	profile := r.Read(1) | r.Read(1)<<1
	if profile == 3 && r.Read(1) != 0 {
		return vp9Header{}
	}
	if r.Read(1) != 0 { // show_existing_frame
		return vp9Header{valid: !r.Short}
	}
	key := r.Read(1) == 0
	shown := r.Read(1) != 0
	resilient := r.Read(1) != 0
	if r.Short {
		return vp9Header{}
	}
	if !key {
		intra := !shown && r.Read(1) != 0
		return vp9Header{valid: true, intra: intra, predicted: !intra, resilient: resilient}
	}
	h := vp9Header{valid: true, key: true, intra: true}
	const sync = 0x498342
	if r.Read(24) != sync {
		if r.Short {
			return h
		}
		return vp9Header{}
	}
	if profile >= 2 {
		r.Read(1) // ten_or_twelve_bit
	}
	const sRGB = 7
	if r.Read(3) != sRGB {
		r.Read(1) // color_range
		if profile&1 != 0 {
			r.Read(3) // subsampling_x, subsampling_y, reserved_zero
		}
	} else if profile&1 != 0 {
		r.Read(1) // reserved_zero
	}
	h.readSize(r)
	return h
}

// readNewSize reads the size of a predicted frame, unless it has that of a frame
// it is predicted from.
func (h *vp9Header) readNewSize(r *bits.Reader) {
	if !h.resilient {
		r.Read(2) // reset_frame_context
	}
	r.Read(8)           // refresh_frame_flags
	r.Read(3 * (3 + 1)) // ref_frame_idx, ref_frame_sign_bias
	for range 3 {
		if r.Read(1) != 0 { // found_ref
			return
		}
	}
	h.readSize(r)
}

func (h *vp9Header) readSize(r *bits.Reader) {
	width, height := int(r.Read(16))+1, int(r.Read(16))+1
	if !r.Short {
		h.width, h.height = width, height
	}
}
