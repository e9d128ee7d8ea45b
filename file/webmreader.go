package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

const (
	// maxMeta bounds an element of the header that is read as a whole.
	maxMeta = 1 << 20

	// maxLaced is the most frames of one block (RFC 9559 section 10.3).
	maxLaced = 256
)

// A WebMReader reads the packets of a WebM or Matroska file (RFC 9559): those of
// tracks in VP8, VP9, H264, Opus, AAC and PCM of 16 bits. Other tracks, and what is
// not a packet, are passed over. The file need not be finished, nor have known
// sizes.
//
// H264 comes as a byte stream, with start codes of four bytes, and with the
// parameter sets before each key frame that has none.
type WebMReader struct {
	src      source
	tracks   []Track
	sound    []Track     // of the file, the zero Track for one that is not known
	unknown  []string    // codecs of tracks that are not known
	entries  []webmEntry // in the order of tracks
	scale    uint64      // nanoseconds of a tick
	duration time.Duration
	cluster  uint64 // the time of the present one, in ticks
	began    bool   // a cluster has

	block  []byte        // the present one, or its group
	frames []byte        // what is left of it
	sizes  [maxLaced]int // of its frames
	next   int           // the first of those that are left
	count  int           // of frames
	entry  *webmEntry
	time   time.Duration
	each   time.Duration // how long each frame lasts, 0: unknown
	trim   time.Duration
	key    bool
}

// webmEntry is what the reader knows of a track.
type webmEntry struct {
	index      int
	number     uint64
	delay      time.Duration
	each       time.Duration
	strip      []byte // goes before each frame (ContentCompAlgo 3)
	lengthSize int    // of NAL units, 0: they come as a byte stream
	sets       parameterSets
}

// NewWebMReader reads the file in r up to its first cluster. The error wraps
// [ErrMalformed] or [io.ErrUnexpectedEOF], or [errors.ErrUnsupported] if there is
// no track that it knows, or is what r returned.
func NewWebMReader(r io.Reader) (*WebMReader, error) {
	w := newWebMReader(r)
	if err := w.begin(); err != nil {
		return nil, err
	}
	return w, nil
}

func newWebMReader(r io.Reader) *WebMReader {
	return &WebMReader{src: source{in: bufio.NewReaderSize(r, readBuffer), format: "webm"}, scale: uint64(time.Millisecond)}
}

// begin reads up to the first cluster.
func (r *WebMReader) begin() error {
	id, size, err := r.element()
	if err == io.EOF {
		return r.src.fail(err, "the header")
	} else if err != nil {
		return err
	}
	if id != idEBML {
		return r.src.malformed("it starts with element %X, not %X", id, idEBML)
	}
	if err := r.header(size); err != nil {
		return err
	}
	for !r.began {
		if err := r.step(); err == io.EOF && len(r.tracks) > 0 {
			break // nothing was recorded
		} else if err == io.EOF {
			return r.src.fail(err, "what comes before the first cluster")
		} else if err != nil {
			return err
		}
	}
	if len(r.tracks) == 0 {
		return fmt.Errorf("webm: no track of a known codec: %w", errors.ErrUnsupported)
	}
	return nil
}

// Tracks returns the tracks that can be read. They have the index of packets,
// which need not be that of the file.
func (r *WebMReader) Tracks() []Track { return r.tracks }

// Duration returns how long the file lasts, and false if it does not say so.
func (r *WebMReader) Duration() (time.Duration, bool) { return r.duration, r.duration > 0 }

func (r *WebMReader) header(size int64) error {
	meta, err := r.meta(size, "the header")
	if err != nil {
		return err
	}
	for len(meta) > 0 {
		id, data, rest, ok := cutElement(meta)
		if !ok {
			return r.src.malformed("a broken header before byte %d", r.src.pos)
		}
		meta = rest
		v, _ := parseUint(data)
		text := string(bytes.TrimRight(data, "\x00")) // RFC 8794 section 7.4 lets strings end so
		switch {
		case id == idDocType && text != "webm" && text != "matroska":
			return fmt.Errorf("webm: document type %q: %w", text, errors.ErrUnsupported)
		case id == idEBMLRead && v > 1, id == idMaxIDLength && v > 4, id == idMaxSize && v > 8, id == idDocRead && v > 4:
			return fmt.Errorf("webm: element %X is %d: %w", id, v, errors.ErrUnsupported)
		}
	}
	return nil
}

// element reads an ID and a size. The error is plain io.EOF if there is none.
func (r *WebMReader) element() (id uint32, size int64, err error) {
	v, _, err := r.vint(4, true)
	if err != nil {
		return 0, 0, err
	}
	id = uint32(v)
	v, n, err := r.vint(8, false)
	if err != nil {
		return 0, 0, err
	}
	if v == 1<<(7*n)-1 {
		return id, ebmlUnknown, nil
	}
	return id, int64(v), nil
}

// vint reads a number of up to most bytes, with or without its marker.
func (r *WebMReader) vint(most int, marker bool) (v uint64, n int, err error) {
	b := r.src.small[:8]
	if err := r.src.read(b[:1]); err == io.EOF && marker {
		return 0, 0, io.EOF
	} else if err != nil {
		return 0, 0, r.src.fail(err, "an element")
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > most {
		return 0, 0, r.src.malformed("byte %#02x at %d begins no element", b[0], r.src.pos-1)
	}
	if err := r.src.read(b[1:n]); err != nil {
		return 0, 0, r.src.fail(err, "an element")
	}
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	if !marker {
		v &^= 1 << (7 * n)
	}
	return v, n, nil
}

// meta reads an element of the header.
func (r *WebMReader) meta(size int64, what string) ([]byte, error) {
	if size < 0 || size > maxMeta {
		return nil, r.src.malformed("%d bytes of %s before byte %d", size, what, r.src.pos)
	}
	var err error
	if r.block, err = r.src.appendN(r.block[:0], int(size)); err != nil {
		return nil, r.src.fail(err, what)
	}
	return r.block, nil
}

// step reads one element of the segment or of a cluster in it. Where a cluster
// ends need not be known, as nothing can be in both.
func (r *WebMReader) step() error {
	id, size, err := r.element()
	if err != nil {
		return err
	}
	switch id {
	case idSegment:
		return nil
	case idCluster:
		r.began = true
		return nil
	case idInfo:
		if r.began {
			break
		}
		return r.readInfo(size)
	case idTracks:
		if r.began || len(r.tracks) > 0 {
			break
		}
		return r.readTracks(size)
	case idTimestamp:
		b, err := r.meta(size, "a cluster's time")
		if err != nil {
			return err
		}
		v, ok := parseUint(b)
		if !ok || v > uint64(maxTime)/r.scale {
			return r.src.malformed("a cluster at %d ticks before byte %d", v, r.src.pos)
		}
		r.cluster = v
		return nil
	case idSimpleBlock, idBlockGroup:
		if !r.began {
			break
		}
		if size < 0 || size > maxPacket+maxMeta {
			return r.src.malformed("a block of %d bytes before byte %d", size, r.src.pos)
		}
		if r.block, err = r.src.appendN(r.block[:0], int(size)); err != nil {
			return r.src.fail(err, "a block")
		}
		if id == idSimpleBlock {
			return r.simpleBlock(r.block)
		}
		return r.blockGroup(r.block)
	}
	if size < 0 {
		return r.src.malformed("element %X of unknown size before byte %d", id, r.src.pos)
	}
	if err := r.src.skip(size); err != nil {
		return r.src.fail(err, fmt.Sprintf("element %X", id))
	}
	return nil
}

func (r *WebMReader) readInfo(size int64) error {
	b, err := r.meta(size, "Info")
	if err != nil {
		return err
	}
	ticks := 0.0
	for len(b) > 0 {
		id, data, rest, ok := cutElement(b)
		if !ok {
			return r.src.malformed("a broken Info before byte %d", r.src.pos)
		}
		b = rest
		switch id {
		case idTimestampScale:
			v, ok := parseUint(data)
			if !ok || v == 0 || v > uint64(time.Minute) {
				return r.src.malformed("ticks of %d ns before byte %d", v, r.src.pos)
			}
			r.scale = v
		case idDuration:
			ticks, _ = parseFloat(data)
		}
	}
	if d := ticks * float64(r.scale); d > 0 && d <= float64(maxTime) {
		r.duration = time.Duration(d)
	}
	return nil
}

// ReadPacket fills p with the next packet. See [PacketReader].
func (r *WebMReader) ReadPacket(p *Packet) error {
	for r.next == r.count || r.sizes[r.next] == 0 {
		if r.next < r.count {
			r.next++ // an empty frame
			continue
		}
		if err := r.step(); err != nil {
			return err
		}
	}
	e, t := r.entry, &r.tracks[r.entry.index]
	frame := r.frames[:r.sizes[r.next]]
	r.frames, r.next = r.frames[len(frame):], r.next+1
	p.Track, p.Time, p.Key = e.index, r.time, r.key
	p.Data = append(p.Data[:0], e.strip...)
	if e.lengthSize == 0 {
		p.Data = append(p.Data, frame...)
	} else {
		var ok bool
		if p.Data, ok = appendStartCodes(p.Data, frame, e.lengthSize, r.key, &e.sets); !ok {
			return r.src.malformed("a frame of broken NAL units before byte %d", r.src.pos)
		}
	}
	p.Duration = r.each
	if d := t.duration(p.Data); d > 0 {
		p.Duration = d
	}
	r.time += p.Duration
	if r.next == r.count {
		p.Duration = max(p.Duration-r.trim, 0)
	}
	return nil
}
