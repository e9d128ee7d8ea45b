package vpx

import (
	"fmt"

	"github.com/parley-media/parley/internal/bits"
	"github.com/parley-media/parley/video"
)

// libvpx allocates what a frame's header asks for, so that the header is read
// before.

// maxSide bounds width and height, since libvpx has a border around each
// picture, which would be most of the memory of one that is long and thin.
const maxSide = 1 << 14

func checkSize(w, h, maxPixels int) error {
	if w < 1 || h < 1 || w > maxSide || h > maxSide || w*h > maxPixels {
		return fmt.Errorf("%w: %dx%d, want up to %d pixels", video.ErrFrame, w, h, maxPixels)
	}
	return nil
}

// checkVP8 reads the header of a frame (RFC 6386, section 9.1).
func checkVP8(data []byte, maxPixels int) (key bool, err error) {
	if len(data) < 3 {
		return false, fmt.Errorf("%w: VP8 of %d bytes", video.ErrFrame, len(data))
	}
	if data[0]&1 != 0 {
		return false, nil
	}
	if len(data) < 10 || data[3] != 0x9D || data[4] != 0x01 || data[5] != 0x2A {
		return false, fmt.Errorf("%w: VP8 key frame without its header", video.ErrFrame)
	}
	return true, checkSize(int(data[6])|int(data[7]&0x3F)<<8, int(data[8])|int(data[9]&0x3F)<<8, maxPixels)
}

// checkVP9 reads the headers of all frames of a superframe (VP9 bitstream
// specification, annex B). Without an index, data is one frame, and indexed is
// false. It is a key frame if the first is one.
func checkVP9(data []byte, maxPixels int) (key, indexed bool, err error) {
	if len(data) == 0 {
		return false, false, fmt.Errorf("%w: VP9 of 0 bytes", video.ErrFrame)
	}
	last := data[len(data)-1]
	frames, width := int(last&7)+1, int(last>>3&3)+1
	index := 2 + frames*width
	if last&0xE0 != 0xC0 || len(data) < index || data[len(data)-index] != last {
		key, err = checkVP9Frame(data, maxPixels)
		return key, false, err
	}
	sizes, rest := data[len(data)-index+1:], data[:len(data)-index]
	for i := range frames {
		size := 0
		for j := range width {
			size |= int(sizes[j]) << (8 * j)
		}
		sizes = sizes[width:]
		if size < 1 || size > len(rest) {
			return false, true, fmt.Errorf("%w: VP9 superframe with a frame of %d bytes in %d", video.ErrFrame, size, len(rest))
		}
		k, err := checkVP9Frame(rest[:size], maxPixels)
		if err != nil {
			return false, true, err
		}
		key = key || k && i == 0
		rest = rest[size:]
	}
	return key, true, nil
}

// checkVP9Frame reads as much of the uncompressed header as tells the size (VP9
// bitstream specification, section 6.2).
func checkVP9Frame(data []byte, maxPixels int) (key bool, err error) {
	r := bits.Reader{Data: data}
	if r.Read(2) != 2 {
		return false, fmt.Errorf("%w: no VP9", video.ErrFrame)
	}
	if profile := r.Read(1) | r.Read(1)<<1; profile != 0 {
		return false, fmt.Errorf("%w: VP9 of profile %d, want 0", video.ErrFrame, profile)
	}
	if r.Read(1) != 0 { // show_existing_frame
		return false, nil
	}
	key = r.Read(1) == 0
	shown, resilient := r.Read(1) != 0, r.Read(1) != 0
	intraOnly := false
	if !key {
		intraOnly = !shown && r.Read(1) != 0
		if !resilient {
			r.Read(2) // reset_frame_context
		}
	}
	if key || intraOnly {
		if r.Read(24) != 0x498342 {
			return false, fmt.Errorf("%w: VP9 without its sync code", video.ErrFrame)
		}
		if key {
			r.Read(4) // color_space, color_range
		} else {
			r.Read(8) // refresh_frame_flags
		}
	} else {
		r.Read(8 + 3*4) // refresh_frame_flags; three references with their signs
		for range 3 {
			if r.Read(1) != 0 { // found_ref: the size of a frame that was let in
				return false, nil
			}
		}
	}
	w, h := r.Read(16)+1, r.Read(16)+1
	if r.Short {
		return false, fmt.Errorf("%w: VP9 header cut short", video.ErrFrame)
	}
	return key, checkSize(int(w), int(h), maxPixels)
}

// appendIndex makes a superframe of a frame. libvpx takes what it finds behind
// a frame without an index for another frame, whose header nobody has read.
func appendIndex(data []byte) []byte {
	const marker = 0xC0 | 3<<3 // one frame, four bytes of size
	n := len(data)
	return append(data, marker, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), marker)
}
