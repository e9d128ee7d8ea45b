package file

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parley-media/parley/payload"
)

// Types of NAL units (H.264 table 7-1).
const (
	nalSlice      = 1
	nalPartitionA = 2
	nalIDR        = 5
	nalSEI        = 6
	nalSPS        = 7
	nalPPS        = 8
	nalAUD        = 9
)

// startCode returns where the next start code is, or -1.
func startCode(b []byte) int { return bytes.Index(b, []byte{0, 0, 1}) }

// parameterSets are those of one stream.
type parameterSets struct {
	sps, pps [][]byte
	left     bool // the stream has had others since, so that it has to name its own
}

// maxParameterSets of each kind are kept. Encoders have one or two.
const maxParameterSets = 16

// add takes the sets of an access unit that are new.
func (s *parameterSets) add(annexB []byte) {
	for nal := range payload.AnnexB(annexB) {
		list := &s.sps
		switch nal[0] & 31 {
		case nalSPS:
			if _, ok := parseSPS(nal); !ok {
				continue
			}
		case nalPPS:
			list = &s.pps
		default:
			continue
		}
		if len(nal) <= math.MaxUint16 && len(*list) < maxParameterSets && !s.has(nal) {
			*list = append(*list, bytes.Clone(nal))
		}
	}
}

func (s *parameterSets) has(nal []byte) bool {
	list := s.sps
	if nal[0]&31 == nalPPS {
		list = s.pps
	}
	for _, have := range list {
		if bytes.Equal(have, nal) {
			return true
		}
	}
	return false
}

func (s *parameterSets) complete() bool { return len(s.sps) > 0 && len(s.pps) > 0 }

// appendAnnexB appends the sets as a byte stream.
func (s *parameterSets) appendAnnexB(b []byte) []byte {
	for _, list := range [][][]byte{s.sps, s.pps} {
		for _, nal := range list {
			b = payload.AppendAnnexB(b, nal)
		}
	}
	return b
}

// appendAVCC appends an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section
// 5.3.3.1) for lengths of four bytes. Without sets it is one for a stream that
// brings its own.
func (s *parameterSets) appendAVCC(b []byte) []byte {
	profile := [3]byte{66, 0, 30}
	var info payload.H264Sequence
	if len(s.sps) > 0 {
		copy(profile[:], s.sps[0][1:4])
		info, _ = parseSPS(s.sps[0])
	}
	b = append(b, 1, profile[0], profile[1], profile[2], 0xFF, 0xE0|byte(len(s.sps)))
	for _, nal := range s.sps {
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
		b = append(b, nal...)
	}
	b = append(b, byte(len(s.pps)))
	for _, nal := range s.pps {
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
		b = append(b, nal...)
	}
	switch profile[0] {
	case 100, 110, 122, 144:
		b = append(b, 0xFC|info.ChromaFormat, 0xF8|(info.LumaDepth-8), 0xF8|(info.ChromaDepth-8), 0)
	}
	return b
}

// parseAVCC takes the sets of an AVCDecoderConfigurationRecord, and returns how
// many bytes the lengths of NAL units have.
func (s *parameterSets) parseAVCC(b []byte) (lengthSize int, ok bool) {
	if len(b) < 6 || b[0] != 1 {
		return 0, false
	}
	lengthSize = int(b[4]&3) + 1
	n := int(b[5] & 31)
	b = b[6:]
	for kind := range 2 {
		for range n {
			if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
				return 0, false
			}
			end := 2 + int(binary.BigEndian.Uint16(b))
			if nal := b[2:end]; len(nal) > 0 && kind == 0 {
				s.sps = append(s.sps, bytes.Clone(nal))
			} else if len(nal) > 0 {
				s.pps = append(s.pps, bytes.Clone(nal))
			}
			b = b[end:]
		}
		if kind == 1 {
			break
		}
		if len(b) == 0 {
			return 0, false
		}
		n, b = int(b[0]), b[1:]
	}
	return lengthSize, lengthSize != 3
}

// appendLengths appends a byte stream as NAL units that each have their length
// in four bytes before them. Delimiters go, and parameter sets that known has,
// until others come: a set takes the place of one with its number, and may make a
// decoder forget those that refer to it (H.264 section 7.4.1.2.1).
func appendLengths(b, annexB []byte, known *parameterSets) []byte {
	for nal := range payload.AnnexB(annexB) {
		if isParameterSet(nal) && !known.has(nal) {
			known.left = true
		}
	}
	for nal := range payload.AnnexB(annexB) {
		if nal[0]&31 == nalAUD || isParameterSet(nal) && !known.left {
			continue
		}
		b = payload.AppendAVCC(b, nal)
	}
	return b
}

func isParameterSet(nal []byte) bool { return nal[0]&31 == nalSPS || nal[0]&31 == nalPPS }

// appendStartCodes appends NAL units that have lengths of size bytes as a byte
// stream. A key frame gets the parameter sets if it has none.
func appendStartCodes(b, data []byte, size int, key bool, sets *parameterSets) ([]byte, bool) {
	if key {
		b = sets.appendAnnexB(b)
	}
	prefix := len(b)
	own := false
	for len(data) > 0 {
		if len(data) < size {
			return b, false
		}
		n := 0
		for _, c := range data[:size] {
			n = n<<8 | int(c)
		}
		data = data[size:]
		if n > len(data) {
			return b, false
		}
		if nal := data[:n]; n > 0 {
			own = own || nal[0]&31 == nalSPS
			b = payload.AppendAnnexB(b, nal)
		}
		data = data[n:]
	}
	if own && key {
		n := copy(b[prefix-sets.size():], b[prefix:])
		b = b[:prefix-sets.size()+n]
	}
	return b, true
}

// size is the length of what appendAnnexB appends.
func (s *parameterSets) size() int {
	n := 0
	for _, nal := range s.sps {
		n += 4 + len(nal)
	}
	for _, nal := range s.pps {
		n += 4 + len(nal)
	}
	return n
}

// parseSPS reads a sequence parameter set of a picture that a file can have.
func parseSPS(nal []byte) (payload.H264Sequence, bool) {
	s, err := payload.ParseH264SPS(nal)
	return s, err == nil
}
