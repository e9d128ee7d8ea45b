package file

import (
	"encoding/binary"

	"github.com/parley-media/parley/payload"
)

// A picture is what the first bytes of a coded frame say.
type picture struct {
	key           bool
	width, height int // 0: unknown
}

// look reads the beginning of a packet of video.
func (c Codec) look(data []byte) picture {
	switch c {
	case VP8:
		return lookAs(payload.VP8{}, data)
	case VP9:
		return lookAs(payload.VP9{}, data)
	case AV1:
		return picture{key: av1Key(data)}
	case H264:
		return lookH264(data)
	}
	return picture{}
}

// lookAs takes for key frames only those with their size, as they all have it.
func lookAs(f payload.VideoFormat, data []byte) picture {
	info := f.Info(data)
	return picture{info.Key && info.Width > 0, info.Width, info.Height}
}

// av1Key reports whether there is a sequence header, with which each coded video
// sequence, and so each key frame that one can start at, begins (AV1 section 7.5).
func av1Key(b []byte) bool {
	for len(b) > 0 {
		header := b[0]
		if header>>3&15 == 1 {
			return true
		}
		b = b[1:]
		if header&4 != 0 {
			b = b[min(1, len(b)):]
		}
		if header&2 == 0 {
			return false // the last one
		}
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return false
		}
		b = b[n+int(size):]
	}
	return false
}

// lookH264 reads an access unit as far as its first slice.
func lookH264(b []byte) picture {
	var p picture
	for nal := range payload.AnnexB(b) {
		switch nal[0] & 31 {
		case nalIDR:
			p.key = true
			return p
		case nalSlice, nalPartitionA:
			return p
		case nalSPS:
			if info, ok := parseSPS(nal); ok {
				p.width, p.height = info.Width, info.Height
			}
		}
	}
	return p
}
