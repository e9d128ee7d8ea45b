package payload

import (
	"time"

	"github.com/parley-media/parley/internal/bits"
)

// An H264Sequence is what a sequence parameter set tells of its pictures
// (ITU-T H.264, 7.3.2.1.1).
type H264Sequence struct {
	Profile     uint8 // profile_idc: 66 is Baseline, 77 Main, 100 High
	Constraints uint8 // constraint_set0_flag in the top bit, and so on
	Level       uint8 // level_idc, ten times the level: 31 is level 3.1

	Width, Height int // of the picture that is shown, in pixels

	ChromaFormat           uint8 // chroma_format_idc: 1 is 4:2:0
	LumaDepth, ChromaDepth uint8 // bits of a sample, 8..14

	// FrameDuration is from one frame to the next, if there is timing information
	// (E.2.1), and 0 if not.
	FrameDuration time.Duration
}

// maxH264Size limits width and height. Level 6.2 allows 16 880.
const maxH264Size = 1 << 15

// ParseH264SPS reads a NAL unit that is a sequence parameter set. The error
// wraps [codec.ErrPayload].
func ParseH264SPS(unit []byte) (H264Sequence, error) {
	var s H264Sequence
	if H264TypeOf(unit) != H264SPS || len(unit) < 4 {
		return s, malformed("no H.264 sequence parameter set")
	}
	s.Profile, s.Constraints, s.Level = unit[1], unit[2], unit[3]
	r := rbspOf(unit[4:])
	r.Golomb() // seq_parameter_set_id
	chroma, planes := uint32(1), false
	s.LumaDepth, s.ChromaDepth = 8, 8
	if hasChromaFormat(s.Profile) {
		if chroma = r.Golomb(); chroma > 3 {
			return s, malformed("H.264 chroma format %d", chroma)
		}
		planes = chroma == 3 && r.flag()
		luma, chromatic := r.Golomb(), r.Golomb() // bit_depth_luma_minus8, bit_depth_chroma_minus8
		if luma > 6 || chromatic > 6 {
			return s, malformed("H.264 samples of %d and %d more bits than 8", luma, chromatic)
		}
		s.LumaDepth, s.ChromaDepth = uint8(8+luma), uint8(8+chromatic)
		r.flag() // qpprime_y_zero_transform_bypass_flag
		if r.flag() {
			r.skipScaling(chroma)
		}
	}
	r.Golomb() // log2_max_frame_num_minus4
	switch r.Golomb() {
	case 0:
		r.Golomb() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.flag()   // delta_pic_order_always_zero_flag
		r.Golomb() // offset_for_non_ref_pic, signed, as is the next
		r.Golomb() // offset_for_top_to_bottom_field
		n := r.Golomb()
		if n > 255 {
			return s, malformed("H.264 picture order cycle of %d", n)
		}
		for range n {
			r.Golomb()
		}
	}
	r.Golomb() // max_num_ref_frames
	r.flag()   // gaps_in_frame_num_value_allowed_flag
	columns, rows := r.size()+1, r.size()+1
	fields := 2
	if r.flag() {
		fields = 1
	} else {
		r.flag() // mb_adaptive_frame_field_flag
	}
	r.flag() // direct_8x8_inference_flag
	var left, right, top, bottom int
	if r.flag() {
		left, right, top, bottom = r.size(), r.size(), r.size(), r.size()
	}
	if r.Short {
		return s, malformed("H.264 sequence parameter set cut short")
	}
	const macroblock = 16
	if columns > maxH264Size/macroblock || rows > maxH264Size/macroblock/fields {
		return s, malformed("H.264 picture of %d by %d macroblocks", columns, rows)
	}
	// Cropping counts in samples of chroma, and of a field (7.4.2.1.1).
	unitX, unitY := 1, fields
	if !planes {
		if chroma == 1 || chroma == 2 {
			unitX = 2
		}
		if chroma == 1 {
			unitY *= 2
		}
	}
	width, height := columns*macroblock, rows*macroblock*fields
	if unitX*(left+right) >= width || unitY*(top+bottom) >= height {
		return s, malformed("H.264 picture cropped to nothing")
	}
	s.Width, s.Height = width-unitX*(left+right), height-unitY*(top+bottom)
	s.ChromaFormat = uint8(chroma)
	if r.flag() {
		s.FrameDuration = r.frameDuration()
	}
	return s, nil
}

// frameDuration reads the video usability information (E.1.1) as far as its
// timing. It is 0 if there is none, or none that makes sense.
func (r *rbsp) frameDuration() time.Duration {
	const extended = 255
	if r.flag() && r.Read(8) == extended { // aspect_ratio_info_present_flag
		r.Read(32)
	}
	if r.flag() { // overscan_info_present_flag
		r.flag()
	}
	if r.flag() { // video_signal_type_present_flag
		r.Read(4)
		if r.flag() {
			r.Read(24)
		}
	}
	if r.flag() { // chroma_loc_info_present_flag
		r.Golomb()
		r.Golomb()
	}
	if !r.flag() { // timing_info_present_flag
		return 0
	}
	ticks, scale := r.Read(32), r.Read(32)
	if r.Short || ticks == 0 || scale == 0 {
		return 0
	}
	// A tick is the time of a field.
	d := (2*time.Duration(ticks)*time.Second + time.Duration(scale/2)) / time.Duration(scale)
	if d < time.Millisecond || d > time.Minute {
		return 0
	}
	return d
}

// hasChromaFormat is the list of 7.3.2.1.1.
func hasChromaFormat(profile uint8) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	}
	return false
}

// skipScaling reads over the scaling lists (7.3.2.1.1.1).
func (r *rbsp) skipScaling(chroma uint32) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := 8, 8
		for range size {
			if next != 0 {
				next = (last + int(r.signed())) & 0xff
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// hasRecoveryPoint reports whether a SEI unit has a recovery point message
// (ITU-T H.264, D.1.8).
func hasRecoveryPoint(unit []byte) bool {
	const recoveryPoint = 6
	if len(unit) == 0 {
		return false
	}
	r := rbspOf(unit[1:])
	for !r.Short {
		kind, size := r.seiNumber(), r.seiNumber()
		if r.Short {
			return false
		}
		if kind == recoveryPoint {
			return true
		}
		for range size {
			r.Read(8)
			if r.Short {
				return false
			}
		}
	}
	return false
}

// seiNumber reads a type or a size: each byte 255 adds to it and another follows.
func (r *rbsp) seiNumber() (n int) {
	for {
		b := r.Read(8)
		n += int(b)
		if b != 0xff || r.Short {
			return n
		}
	}
}

// An rbsp reads a NAL unit (ITU-T H.264, 7.3.1).
type rbsp struct{ bits.Reader }

func rbspOf(data []byte) rbsp { return rbsp{bits.Reader{Data: data, Escaped: true}} }

func (r *rbsp) flag() bool { return r.Read(1) != 0 }

// size reads a code for a length, which it limits to far more than is allowed.
func (r *rbsp) size() int { return int(min(r.Golomb(), 4*maxH264Size)) }

// signed reads a signed Exp-Golomb code (9.1.1).
func (r *rbsp) signed() int32 {
	n := r.Golomb()
	if n&1 != 0 {
		return int32(n/2) + 1
	}
	return -int32(n / 2)
}
