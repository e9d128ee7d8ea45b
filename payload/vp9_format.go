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
	part := VideoPart{Start: d.Begin && d.SID == 0, PictureID: d.PictureID, PictureIDBits: d.PictureIDBits}
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
	h := parseVP9Header(frame)
	return VideoInfo{Key: h.key, Width: h.width, Height: h.height}
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
	width, height int  // of a key frame, 0 if data ends before
}

// parseVP9Header reads the beginning of a frame, or of a superframe.
func parseVP9Header(data []byte) vp9Header {
	r := bits.Reader{Data: data}
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
	r.Read(1) // error_resilient_mode
	if r.Short {
		return vp9Header{}
	}
	if !key {
		return vp9Header{valid: true, intra: !shown && r.Read(1) != 0}
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
	width, height := int(r.Read(16))+1, int(r.Read(16))+1
	if !r.Short {
		h.width, h.height = width, height
	}
	return h
}
