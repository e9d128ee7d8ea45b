package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parley-media/parley/audio"
)

// Format tags of the fmt chunk (RFC 2361).
const (
	tagPCM        = 0x0001
	tagFloat      = 0x0003
	tagALaw       = 0x0006
	tagMuLaw      = 0x0007
	tagExtensible = 0xFFFE
)

// unknownSize is what streaming writers put where they cannot know a size, and
// what an RF64 file has where its ds64 chunk tells (EBU Tech 3306 section 3).
const unknownSize = math.MaxUint32

// extensibleGUID is the sub-format of WAVE_FORMAT_EXTENSIBLE from its third byte
// on; the first two are a format tag.
const extensibleGUID = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71"

// wavHeader is what the chunks up to the first sample say.
type wavHeader struct {
	format    audio.Format
	block     int                           // bytes of one sample of all channels
	decode    func([]int16, []byte) []int16 // appends the samples of whole blocks
	dataStart int64
	dataSize  int64 // -1: unknown, the samples go on to the end of the file
}

// wavParser walks the chunks of a RIFF file and knows where it is.
type wavParser struct {
	in  *bufio.Reader
	pos int64
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("wav: %w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// readFull reads len(b) bytes of what.
func (p *wavParser) readFull(b []byte, what string) error {
	n, err := io.ReadFull(p.in, b)
	p.pos += int64(n)
	return p.readError(err, what)
}

func (p *wavParser) skip(n int64, what string) error {
	for n > 0 {
		k, err := p.in.Discard(int(min(n, 1<<20)))
		p.pos += int64(k)
		n -= int64(k)
		if err != nil {
			return p.readError(err, what)
		}
	}
	return nil
}

func (p *wavParser) readError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return malformed("it ends at byte %d, in %s", p.pos, what)
	}
	return fmt.Errorf("wav: reading %s at byte %d: %w", what, p.pos, err)
}

// parse reads up to the first sample. fileSize is -1 if it is unknown.
func (p *wavParser) parse(fileSize int64) (*wavHeader, error) {
	var b [12]byte
	if err := p.readFull(b[:], "the RIFF header"); err != nil {
		return nil, err
	}
	riffSize := int64(binary.LittleEndian.Uint32(b[4:]))
	large := false
	switch id := string(b[:4]); id {
	case "RIFF":
	case "RF64", "BW64": // EBU Tech 3306, ITU-R BS.2088
		large = true
	case "RIFX":
		return nil, fmt.Errorf("wav: big-endian (RIFX): %w", errors.ErrUnsupported)
	default:
		return nil, malformed("it starts with %q, not RIFF or RF64", id)
	}
	if form := string(b[8:]); form != "WAVE" {
		return nil, malformed("it is RIFF of form %q, not WAVE", form)
	}

	var h *wavHeader
	dataSize64 := int64(-1)
	for {
		chunk := p.pos
		if err := p.readFull(b[:8], "the header of a chunk before any data chunk"); err != nil {
			return nil, err
		}
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:8]))
		padded := size + size&1
		switch {
		case id == "ds64" && large:
			var d [16]byte
			if size < 28 {
				return nil, malformed("the ds64 chunk at byte %d has %d bytes, want 28", chunk, size)
			}
			if err := p.readFull(d[:], "the ds64 chunk"); err != nil {
				return nil, err
			}
			padded -= int64(len(d))
			riffSize = int64(min(binary.LittleEndian.Uint64(d[0:]), math.MaxInt64-8))
			if n := binary.LittleEndian.Uint64(d[8:]); n <= math.MaxInt64 {
				dataSize64 = int64(n)
			}
		case id == "fmt ":
			if size < 16 {
				return nil, malformed("the fmt chunk at byte %d has %d bytes, want at least 16", chunk, size)
			}
			var d [40]byte
			n := int(min(size, int64(len(d))))
			if err := p.readFull(d[:n], "the fmt chunk"); err != nil {
				return nil, err
			}
			padded -= int64(n)
			var err error
			if h, err = parseFmt(d[:n], chunk); err != nil {
				return nil, err
			}
		case id == "data":
			if h == nil {
				return nil, malformed("no fmt chunk before data at byte %d", chunk)
			}
			h.dataStart = p.pos
			h.dataSize = size
			if size == unknownSize {
				h.dataSize = dataSize64
			}
			// A writer that was killed before it knew leaves 0. A size that the
			// rest of the file agrees with is meant.
			if end := riffSize + 8; h.dataSize == 0 && (end <= p.pos || end > fileSize) {
				h.dataSize = -1
			}
			return h, nil
		}
		if err := p.skip(padded, fmt.Sprintf("the %q chunk at byte %d", id, chunk)); err != nil {
			return nil, err
		}
	}
}

// parseFmt takes the fmt chunk that starts at byte chunk of the file.
func parseFmt(d []byte, chunk int64) (*wavHeader, error) {
	var (
		tag      = int(binary.LittleEndian.Uint16(d[0:]))
		channels = int(binary.LittleEndian.Uint16(d[2:]))
		rate     = binary.LittleEndian.Uint32(d[4:])
		block    = int(binary.LittleEndian.Uint16(d[12:]))
		bits     = int(binary.LittleEndian.Uint16(d[14:]))
	)
	if tag == tagExtensible {
		if len(d) < 40 {
			return nil, malformed("the extensible fmt chunk at byte %d has %d bytes, want 40", chunk, len(d))
		}
		// The valid bits are the upper ones of each sample's container, so that
		// reading whole containers is right for any number of them.
		if valid := int(binary.LittleEndian.Uint16(d[18:])); valid > bits {
			return nil, malformed("the fmt chunk at byte %d has %d valid bits of %d", chunk, valid, bits)
		}
		if guid := d[24:40]; string(guid[2:]) != extensibleGUID {
			return nil, fmt.Errorf("wav: sub-format %x: %w", guid, errors.ErrUnsupported)
		}
		tag = int(binary.LittleEndian.Uint16(d[24:]))
	}
	switch {
	case channels == 0:
		return nil, malformed("the fmt chunk at byte %d has no channels", chunk)
	case rate == 0:
		return nil, malformed("the fmt chunk at byte %d has a rate of 0 Hz", chunk)
	case rate > math.MaxInt32:
		return nil, malformed("the fmt chunk at byte %d has a rate of %d Hz", chunk, rate)
	}
	h := &wavHeader{format: audio.Format{Rate: int(rate), Channels: channels}}
	if err := h.format.Check(); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	width := (bits + 7) / 8
	switch tag {
	case tagALaw, tagMuLaw:
		width = 1 // whatever the file says: writers disagree
	case tagPCM, tagFloat:
		if block != width*channels {
			return nil, malformed("the fmt chunk at byte %d has blocks of %d bytes for %d channels of %d bits", chunk, block, channels, bits)
		}
	}
	h.block = width * channels
	if h.decode = sampleDecoder(tag, width); h.decode == nil {
		return nil, fmt.Errorf("wav: format tag %#04x with %d bits per sample: %w", tag, bits, errors.ErrUnsupported)
	}
	return h, nil
}
