package file

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Elements of EBML (RFC 8794 section 11) and Matroska (RFC 9559 section 5).
const (
	idEBML        = 0x1A45DFA3
	idEBMLVersion = 0x4286
	idEBMLRead    = 0x42F7
	idMaxIDLength = 0x42F2
	idMaxSize     = 0x42F3
	idDocType     = 0x4282
	idDocVersion  = 0x4287
	idDocRead     = 0x4285
	idVoid        = 0xEC

	idSegment      = 0x18538067
	idSeekHead     = 0x114D9B74
	idSeek         = 0x4DBB
	idSeekID       = 0x53AB
	idSeekPosition = 0x53AC

	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idDuration       = 0x4489
	idMuxingApp      = 0x4D80
	idWritingApp     = 0x5741

	idTracks            = 0x1654AE6B
	idTrackEntry        = 0xAE
	idTrackNumber       = 0xD7
	idTrackUID          = 0x73C5
	idTrackType         = 0x83
	idFlagLacing        = 0x9C
	idDefaultDuration   = 0x23E383
	idCodecID           = 0x86
	idCodecPrivate      = 0x63A2
	idCodecDelay        = 0x56AA
	idSeekPreRoll       = 0x56BB
	idVideo             = 0xE0
	idPixelWidth        = 0xB0
	idPixelHeight       = 0xBA
	idAudio             = 0xE1
	idSamplingFrequency = 0xB5
	idChannels          = 0x9F
	idBitDepth          = 0x6264
	idContentEncodings  = 0x6D80
	idContentEncoding   = 0x6240
	idContentCompress   = 0x5034
	idContentAlgo       = 0x4254
	idContentSettings   = 0x4255
	idContentEncryption = 0x5035

	idCluster        = 0x1F43B675
	idTimestamp      = 0xE7
	idSimpleBlock    = 0xA3
	idBlockGroup     = 0xA0
	idBlock          = 0xA1
	idBlockDuration  = 0x9B
	idReferenceBlock = 0xFB
	idDiscardPadding = 0x75A2

	idCues               = 0x1C53BB6B
	idCuePoint           = 0xBB
	idCueTime            = 0xB3
	idCueTrackPositions  = 0xB7
	idCueTrack           = 0xF7
	idCueClusterPosition = 0xF1
)

const (
	// ebmlUnknown is the size of an element that ends where another begins that
	// cannot be in it.
	ebmlUnknown = -1

	// ebmlUnknownSize is that size in eight bytes.
	ebmlUnknownSize = 1<<56 - 1
)

func appendID(b []byte, id uint32) []byte {
	n := (bits.Len32(id) + 7) / 8
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(id>>(8*i)))
	}
	return b
}

// appendSize appends a size in as few bytes as it fits (RFC 8794 section 6). All
// ones are kept for the unknown one.
func appendSize(b []byte, size int) []byte {
	return appendSizeN(b, uint64(size), sizeLength(size))
}

// sizeLength is how many bytes appendSize appends.
func sizeLength(size int) int {
	n := 1
	for uint64(size) >= 1<<(7*n)-1 {
		n++
	}
	return n
}

// appendSizeN uses n bytes.
func appendSizeN(b []byte, size uint64, n int) []byte {
	size |= 1 << (7 * n)
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(size>>(8*i)))
	}
	return b
}

func appendElement(b []byte, id uint32, data []byte) []byte {
	return append(appendSize(appendID(b, id), len(data)), data...)
}

func appendString(b []byte, id uint32, s string) []byte { return appendElement(b, id, []byte(s)) }

// appendUint uses as few bytes as it can, but one.
func appendUint(b []byte, id uint32, v uint64) []byte {
	n := max((bits.Len64(v)+7)/8, 1)
	b = appendSize(appendID(b, id), n)
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// appendUint8 uses eight bytes, so that the value can be replaced.
func appendUint8(b []byte, id uint32, v uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSize(appendID(b, id), 8), v)
}

func appendFloat(b []byte, id uint32, v float64) []byte {
	return appendUint8(b, id, math.Float64bits(v))
}

// appendVoid appends n bytes that mean nothing. n is from 2 to 128.
func appendVoid(b []byte, n int) []byte {
	return appendElement(b, idVoid, make([]byte, n-2))
}

// cutVint takes a number of variable length from b, without its marker, and
// returns how many bytes it had, or 0 if it isn't there.
func cutVint(b []byte) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if len(b) < n {
		return 0, 0
	}
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return v &^ (1 << (7 * n)), n
}

// cutElement takes the first element from b, whose size must be known.
func cutElement(b []byte) (id uint32, data, rest []byte, ok bool) {
	_, n := cutVint(b)
	if n == 0 || n > 4 {
		return 0, nil, nil, false
	}
	for _, c := range b[:n] {
		id = id<<8 | uint32(c)
	}
	size, k := cutVint(b[n:])
	b = b[n+k:]
	if k == 0 || size > uint64(len(b)) {
		return 0, nil, nil, false
	}
	return id, b[:size], b[size:], true
}

// parseUint takes the value of an element of up to eight bytes.
func parseUint(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, len(b) <= 8
}

func parseInt(b []byte) (int64, bool) {
	v, ok := parseUint(b)
	unused := 64 - 8*min(len(b), 8)
	if len(b) == 0 {
		return 0, true
	}
	return int64(v<<unused) >> unused, ok
}

func parseFloat(b []byte) (float64, bool) {
	switch len(b) {
	case 0:
		return 0, true
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), true
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), true
	}
	return 0, false
}
