package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// An OggReader reads the Opus packets of an Ogg file (RFC 7845): those of the
// first stream of Opus in it, to its end. Other streams beside it are passed
// over.
//
// Packets before zero are for the decoder to converge. What an encoder added at
// the end is taken off the Duration of the last packets.
type OggReader struct {
	src     source
	tracks  [1]Track
	serial  uint32
	known   bool // serial is
	flags   byte
	granule int64
	table   []byte // of the present page
	page    [oggHeader + oggSegments]byte
	data    []byte
	part    []byte // of a packet that the next page goes on with
	inPart  bool
	skip    bool // the next page goes on with a packet whose beginning is missing
	next    int  // the segment and the byte that come next
	at      int
	time    int64 // of the next packet, in samples, with the pre-skip
	timed   bool
	ended   bool
}

// NewOggReader reads the headers of the file in r. The error wraps
// [ErrMalformed] or [io.ErrUnexpectedEOF], or [errors.ErrUnsupported] if there
// is no Opus in it, or is what r returned.
func NewOggReader(r io.Reader) (*OggReader, error) {
	o := &OggReader{src: source{in: bufio.NewReaderSize(r, readBuffer), format: "ogg"}}
	for !o.known {
		if err := o.readPage(); err == io.EOF {
			return nil, o.src.fail(err, "the first pages")
		} else if err != nil {
			return nil, err
		}
		if o.flags&oggFirst == 0 {
			return nil, fmt.Errorf("ogg: no stream of Opus: %w", errors.ErrUnsupported)
		}
		if len(o.data) >= 8 && string(o.data[:8]) == "OpusHead" {
			h, err := parseOpusHead(o.data)
			if err != nil {
				return nil, fmt.Errorf("ogg: %w", err)
			}
			o.tracks[0] = Track{
				Codec: Opus, Rate: opusRate, Channels: h.Channels, PreSkip: h.PreSkip,
				Config: append([]byte(nil), o.data...),
			}
			o.known, o.serial = true, binary.LittleEndian.Uint32(o.page[14:])
			o.next = len(o.table)
		}
	}
	tags, err := o.packet(nil)
	if err == io.EOF {
		return nil, o.src.fail(err, "the comment header")
	} else if err != nil {
		return nil, err
	}
	if len(tags) < 8 || string(tags[:8]) != "OpusTags" {
		return nil, o.src.malformed("no comment header before byte %d", o.src.pos)
	}
	if o.next < len(o.table) {
		return nil, o.src.malformed("a packet after the comment header, on its page, before byte %d", o.src.pos)
	}
	o.time, o.timed = 0, false // the pages of the headers have none
	return o, nil
}

// Tracks returns the one track.
func (r *OggReader) Tracks() []Track { return r.tracks[:] }

// readPage reads the next page, of the stream if that is known. The error is
// plain io.EOF between pages.
func (r *OggReader) readPage() error {
	for {
		if r.ended {
			return io.EOF
		}
		if err := r.src.read(r.page[:oggHeader]); err == io.EOF {
			return io.EOF
		} else if err != nil {
			return r.src.fail(err, "the header of a page")
		}
		if string(r.page[:5]) != "OggS\x00" {
			return r.src.malformed("no page before byte %d", r.src.pos)
		}
		table := r.page[oggHeader : oggHeader+int(r.page[26])]
		if err := r.src.read(table); err != nil {
			return r.src.fail(err, "a segment table")
		}
		size := 0
		for _, n := range table {
			size += int(n)
		}
		var err error
		if r.data, err = r.src.appendN(r.data[:0], size); err != nil {
			return r.src.fail(err, "a page")
		}
		le := binary.LittleEndian
		sum := le.Uint32(r.page[22:])
		le.PutUint32(r.page[22:], 0)
		if crc := oggCRC(oggCRC(0, r.page[:oggHeader+len(table)]), r.data); crc != sum {
			return r.src.malformed("the page before byte %d has checksum %08x, want %08x", r.src.pos, sum, crc)
		}
		if r.known && le.Uint32(r.page[14:]) != r.serial {
			continue
		}
		r.table, r.next, r.at = table, 0, 0
		r.flags, r.granule = r.page[5], int64(le.Uint64(r.page[6:]))
		r.ended = r.known && r.flags&oggLast != 0
		return nil
	}
}

// packet appends the next packet to b.
func (r *OggReader) packet(b []byte) ([]byte, error) {
	for {
		for r.next == len(r.table) {
			if err := r.readPage(); err != nil {
				if err == io.EOF && r.inPart && !r.ended {
					err = r.src.fail(err, "a packet")
				}
				return b, err
			}
			continued := r.flags&oggContinued != 0
			if !continued {
				r.part = r.part[:0] // what it had is lost
			}
			r.skip = continued && !r.inPart
			r.inPart = false
			r.clock()
		}
		size, whole := 0, false
		for r.next < len(r.table) && !whole {
			n := int(r.table[r.next])
			r.next++
			size += n
			whole = n < 255
		}
		piece := r.data[r.at : r.at+size]
		r.at += size
		switch {
		case r.skip:
			r.skip = !whole
		case !whole:
			if len(r.part)+size > oggMaxRead {
				return b, r.src.malformed("a packet of more than %d bytes before byte %d", oggMaxRead, r.src.pos)
			}
			r.part, r.inPart = append(r.part, piece...), true
		default:
			b = append(append(b, r.part...), piece...)
			r.part = r.part[:0]
			return b, nil
		}
	}
}

// oggMaxRead bounds a packet, and the comment header with its cover art.
const oggMaxRead = 8 << 20

// clock sets the time of the first packet that ends on a new page: the granule
// position is where the last one ends (RFC 7845 section 4).
func (r *OggReader) clock() {
	if r.granule == oggNoPacket || r.flags&oggLast != 0 && r.timed {
		return // the last page may end before its packets do
	}
	start := r.granule
	at, begin := 0, 0
	skip := r.skip
	for _, n := range r.table {
		at += int(n)
		if n == 255 {
			continue
		}
		switch head := r.data[begin:at]; {
		case skip:
		case begin == 0 && len(r.part) > 0:
			start -= int64(opusSamples(r.part))
		default:
			start -= int64(opusSamples(head))
		}
		skip, begin = false, at
	}
	if !r.timed && r.flags&oggLast != 0 {
		start = max(start, 0) // the only page: it is trimmed, rather than late
	}
	r.time, r.timed = start, true
}

// ReadPacket fills p with the next packet. See [PacketReader].
func (r *OggReader) ReadPacket(p *Packet) error {
	for {
		data, err := r.packet(p.Data[:0])
		p.Data = data
		if err != nil {
			return err
		}
		n := int64(opusSamples(data))
		if n == 0 {
			continue // not a packet of Opus, which a player passes over
		}
		at := r.time
		r.time += n
		if r.flags&oggLast != 0 && r.granule != oggNoPacket && r.time > r.granule {
			n = max(r.granule, at) - at
		}
		if at > int64(maxTime/time.Second)*opusRate || at < -int64(maxTime/time.Second)*opusRate {
			return r.src.malformed("granule position %d before byte %d", r.granule, r.src.pos)
		}
		p.Track, p.Key = 0, true
		p.Time = samplesToTime(at-int64(r.tracks[0].PreSkip), opusRate)
		p.Duration = samplesToTime(n, opusRate)
		return nil
	}
}
