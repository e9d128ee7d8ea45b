package file

import (
	"encoding/binary"
	"fmt"
	"math"
)

// An opusHead is what matters of the header packet (RFC 7845 section 5.1).
type opusHead struct {
	Channels, PreSkip int
	Streams           int // in each packet (RFC 7845 section 5.1.1)
}

func appendOpusHead(b []byte, t *Track) []byte {
	b = append(b, "OpusHead\x01"...)
	b = append(b, byte(t.Channels))
	b = binary.LittleEndian.AppendUint16(b, uint16(t.PreSkip))
	b = binary.LittleEndian.AppendUint32(b, opusRate)
	return append(b, 0, 0, 0) // no gain, mapping family 0
}

func parseOpusHead(b []byte) (opusHead, error) {
	if len(b) < 19 || string(b[:8]) != "OpusHead" {
		return opusHead{}, fmt.Errorf("%w: no OpusHead in %d bytes", ErrMalformed, len(b))
	}
	if b[8]>>4 != 0 {
		return opusHead{}, fmt.Errorf("%w: OpusHead of version %d", ErrMalformed, b[8])
	}
	h := opusHead{Channels: int(b[9]), PreSkip: int(binary.LittleEndian.Uint16(b[10:])), Streams: 1}
	family := b[18]
	switch {
	case h.Channels == 0 || h.Channels > 8:
		return opusHead{}, fmt.Errorf("%w: OpusHead with %d channels", ErrMalformed, h.Channels)
	case family == 0 && h.Channels > 2:
		return opusHead{}, fmt.Errorf("%w: OpusHead with %d channels in mapping family 0", ErrMalformed, h.Channels)
	case family != 0 && len(b) < 21+h.Channels:
		return opusHead{}, fmt.Errorf("%w: OpusHead of %d bytes with mapping family %d", ErrMalformed, len(b), family)
	case family != 0:
		h.Streams = int(b[19])
	}
	return h, nil
}

// Gain returns what the samples of a track of Opus are to be multiplied by when they are
// decoded (RFC 7845 section 5.1), which is 1 for most. Packets do not tell of it.
func (t *Track) Gain() float64 {
	if t.Codec != Opus || len(t.Config) < 18 {
		return 1
	}
	return math.Pow(10, float64(int16(binary.LittleEndian.Uint16(t.Config[16:])))/(20*256))
}

// opusSamples returns the number of samples at 48 kHz in a packet (RFC 6716
// section 3.1), or 0 if it cannot be one.
func opusSamples(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	n := opusFrame(b[0])
	switch b[0] & 3 {
	case 1, 2:
		n *= 2
	case 3:
		if len(b) < 2 {
			return 0
		}
		n *= int(b[1] & 63)
	}
	if n > 5760 { // 120 ms
		return 0
	}
	return n
}

// opusFrame returns the samples at 48 kHz of one frame of a packet that begins
// with toc (RFC 6716 table 2).
func opusFrame(toc byte) int {
	config := int(toc >> 3)
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return 480 << (config & 1)
	}
	return 120 << (config & 3) // CELT: 2.5 to 20 ms
}
