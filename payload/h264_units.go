package payload

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// H264Type is what a NAL unit is (ITU-T H.264, table 7-1), 1..23.
type H264Type uint8

// The types that matter to RTP.
const (
	H264Slice     H264Type = 1 // of a picture that is no IDR picture
	H264IDR       H264Type = 5 // a slice of an IDR picture
	H264SEI       H264Type = 6
	H264SPS       H264Type = 7
	H264PPS       H264Type = 8
	H264Delimiter H264Type = 9
)

// What takes the place of a type in a payload (RFC 6184, table 1).
const (
	h264LastType H264Type = 23
	h264StapA    H264Type = 24
	h264FuA      H264Type = 28
)

const (
	h264TypeMask   = 0x1f
	h264RefMask    = 0x60
	h264ForbidMask = 0x80
)

// H264TypeOf returns the type of a NAL unit, 0 for an empty one.
func H264TypeOf(unit []byte) H264Type {
	if len(unit) == 0 {
		return 0
	}
	return H264Type(unit[0] & h264TypeMask)
}

// startCode is put before each NAL unit. Four bytes are right everywhere; three
// are so only inside an access unit (ITU-T H.264, B.1.2).
var startCode = [4]byte{0, 0, 0, 1}

// AnnexB returns the NAL units of a byte stream (ITU-T H.264, annex B), without
// start codes and without the zeros that may follow a unit. Empty units are left
// out, and so is anything before the first start code. The units are slices of
// stream.
func AnnexB(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for unit, rest := nextUnit(stream); unit != nil; unit, rest = nextUnit(rest) {
			if !yield(unit) {
				return
			}
		}
	}
}

// AppendAnnexB appends a NAL unit to a byte stream.
func AppendAnnexB(dst, unit []byte) []byte {
	return append(append(dst, startCode[:]...), unit...)
}

// nextUnit returns the first unit of a stream that is not empty, nil if there is
// none, and what follows it.
func nextUnit(stream []byte) (unit, rest []byte) {
	_, begin := findStartCode(stream)
	for begin >= 0 {
		stream = stream[begin:]
		var end int
		end, begin = findStartCode(stream)
		if unit = stream[:end:end]; begin < 0 {
			unit = bytes.TrimRight(unit, "\x00")
		}
		if len(unit) > 0 {
			if begin < 0 {
				return unit, nil
			}
			return unit, stream[end:]
		}
	}
	return nil, nil
}

// findStartCode returns where the zeros of the first start code begin and where
// what follows it does: the length of stream and -1 without one. It reads each
// byte about once, zeros included.
func findStartCode(stream []byte) (zeros, after int) {
	for at := 0; ; {
		i := bytes.IndexByte(stream[at:], 0)
		if i < 0 {
			return len(stream), -1
		}
		zeros = at + i
		for at = zeros + 1; at < len(stream) && stream[at] == 0; at++ {
		}
		if at < len(stream) && at-zeros >= 2 && stream[at] == 1 {
			return zeros, at + 1
		}
	}
}

// AVCC returns the NAL units of an access unit as MP4 and Matroska have it: each
// one behind its length in size bytes, 1 to 4 (ISO/IEC 14496-15, 5.2.3). Empty
// units are left out, and it ends at a unit that is cut short. The units are
// slices of sample.
func AVCC(sample []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if size < 1 || size > 4 {
			return
		}
		for len(sample) > size {
			var n uint64
			for _, b := range sample[:size] {
				n = n<<8 | uint64(b)
			}
			if sample = sample[size:]; n > uint64(len(sample)) {
				return
			}
			unit := sample[:n:n]
			sample = sample[n:]
			if len(unit) > 0 && !yield(unit) {
				return
			}
		}
	}
}

// AppendAVCC appends a NAL unit behind its length in 4 bytes.
func AppendAVCC(dst, unit []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(unit))), unit...)
}
