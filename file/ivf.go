package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// IVF is a header of 32 bytes, and 12 before each frame; all numbers are
// little-endian.
const (
	ivfHeader = 32
	ivfFrame  = 12

	// ivfRate is the clock of files that are written: that of RTP video.
	ivfRate = 90000
)

func ivfCodec(fourCC string) (Codec, bool) {
	switch fourCC {
	case "VP80":
		return VP8, true
	case "VP90":
		return VP9, true
	case "AV01":
		return AV1, true
	}
	return "", false
}

// An IVFReader reads the frames of an IVF file: VP8, VP9 or AV1.
type IVFReader struct {
	src    source
	tracks [1]Track
	num    uint64 // a tick of the clock is num/den seconds
	den    uint64
}

// NewIVFReader reads the header of the file in r. The error wraps [ErrMalformed]
// or [io.ErrUnexpectedEOF], or [errors.ErrUnsupported] for other codecs, or is
// what r returned.
func NewIVFReader(r io.Reader) (*IVFReader, error) {
	i := &IVFReader{src: source{in: bufio.NewReaderSize(r, readBuffer), format: "ivf"}}
	var h [ivfHeader]byte
	if err := i.src.read(h[:]); err != nil {
		return nil, i.src.fail(err, "the header")
	}
	le := binary.LittleEndian
	if string(h[:4]) != "DKIF" {
		return nil, i.src.malformed("it starts with %q, not DKIF", h[:4])
	}
	size := le.Uint16(h[6:])
	if size < ivfHeader {
		return nil, i.src.malformed("a header of %d bytes, want %d", size, ivfHeader)
	}
	if err := i.src.skip(int64(size) - ivfHeader); err != nil {
		return nil, i.src.fail(err, "the header")
	}
	codec, ok := ivfCodec(string(h[8:12]))
	if !ok {
		return nil, fmt.Errorf("ivf: codec %q: %w", h[8:12], errors.ErrUnsupported)
	}
	i.den, i.num = uint64(le.Uint32(h[16:])), uint64(le.Uint32(h[20:]))
	if i.den == 0 || i.num == 0 {
		return nil, i.src.malformed("a time base of %d/%d s", i.num, i.den)
	}
	i.tracks[0] = Track{Codec: codec, Width: int(le.Uint16(h[12:])), Height: int(le.Uint16(h[14:]))}
	return i, nil
}

// Tracks returns the one track.
func (r *IVFReader) Tracks() []Track { return r.tracks[:] }

// ReadPacket fills p with the next frame. See [PacketReader].
func (r *IVFReader) ReadPacket(p *Packet) error {
	size, pts := uint32(0), uint64(0)
	for size == 0 { // an encoder that drops a frame writes an empty one
		h := r.src.small[:ivfFrame]
		if err := r.src.read(h); err == io.EOF {
			return io.EOF
		} else if err != nil {
			return r.src.fail(err, "the header of a frame")
		}
		size, pts = binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint64(h[4:])
	}
	if size > maxPacket {
		return r.src.malformed("a frame of %d bytes before byte %d", size, r.src.pos)
	}
	t, ok := scale(pts, r.num, r.den)
	if !ok {
		return r.src.malformed("a time of %d*%d/%d s before byte %d", pts, r.num, r.den, r.src.pos)
	}
	var err error
	if p.Data, err = r.src.appendN(p.Data[:0], int(size)); err != nil {
		return r.src.fail(err, "a frame")
	}
	p.Track, p.Time, p.Duration = 0, t, 0
	p.Key = r.tracks[0].Codec.look(p.Data).key
	return nil
}

// scale returns n*num/den seconds, to the nearest nanosecond, and false if that
// is more than maxTime.
func scale(n, num, den uint64) (time.Duration, bool) {
	hi, lo := bits.Mul64(n, num)
	if hi != 0 || lo/den > uint64(maxTime/time.Second) {
		return 0, false
	}
	seconds, rest := lo/den, lo%den // den has 32 bits at most: what follows fits
	hi, lo = bits.Mul64(rest, uint64(time.Second))
	lo, carry := bits.Add64(lo, den/2, 0)
	ns, _ := bits.Div64(hi+carry, lo, den)
	return time.Duration(seconds)*time.Second + time.Duration(ns), true
}

// An IVFWriter writes one track of VP8, VP9 or AV1 to an IVF file.
//
// Its clock runs at 90 kHz. Half a second of video at most waits in memory, and
// a file that ends anywhere is readable; how long it lasts comes into the header
// at the end, if the output can seek. That is in ticks of the clock, for which
// players take it, and not the number of frames that it was where these were one.
type IVFWriter struct {
	out    output
	tracks []Track
	last   int64 // time of the last frame, in ticks
	end    int64 // of the file
	begun  bool
}

// NewIVFWriter returns a writer to w, at its current position. The header is
// written with the first packet, which tells the size of the picture if the
// track does not; frames before the first key frame are left out.
func NewIVFWriter(w io.Writer, track Track) (*IVFWriter, error) {
	tracks, err := checkTracks([]Track{track}, "ivf", VP8, VP9, AV1)
	if err != nil {
		return nil, err
	}
	i := &IVFWriter{tracks: tracks}
	return i, i.out.start(w, "ivf")
}

func (w *IVFWriter) appendHeader(b []byte) []byte {
	t := &w.tracks[0]
	fourCC := map[Codec]string{VP8: "VP80", VP9: "VP90", AV1: "AV01"}[t.Codec]
	le := binary.LittleEndian
	b = append(b, "DKIF\x00\x00\x20\x00"...)
	b = append(b, fourCC...)
	b = le.AppendUint16(b, uint16(t.Width))
	b = le.AppendUint16(b, uint16(t.Height))
	b = le.AppendUint32(b, ivfRate)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, uint32(min(w.end, math.MaxUint32)))
	return le.AppendUint32(b, 0)
}

// begin writes the header.
func (w *IVFWriter) begin() {
	w.begun = true
	w.out.buf = w.appendHeader(w.out.buf)
}

// WritePacket writes one frame. See [PacketWriter].
func (w *IVFWriter) WritePacket(p *Packet) error {
	if err := w.out.usable(); err != nil {
		return err
	}
	if err := p.check(w.tracks); err != nil {
		return fmt.Errorf("ivf: %w", err)
	}
	if p.Time < 0 {
		return fmt.Errorf("ivf: %w", packetError("time %v", p.Time))
	}
	if !w.begun {
		if !p.Key {
			return nil
		}
		if t := &w.tracks[0]; t.Width == 0 || t.Height == 0 {
			pic := t.Codec.look(p.Data)
			t.Width, t.Height = pic.width, pic.height
		}
		w.begin()
	}
	at := timeToSamples(p.Time, ivfRate)
	w.out.buf = binary.LittleEndian.AppendUint32(w.out.buf, uint32(len(p.Data)))
	w.out.buf = binary.LittleEndian.AppendUint64(w.out.buf, uint64(at))
	w.out.buf = append(w.out.buf, p.Data...)
	d := timeToSamples(p.Duration, ivfRate)
	if d == 0 {
		d = max(at-w.last, 1) // as long as the one before
	}
	w.last, w.end = at, max(w.end, at+d)
	return w.out.settle(p.Time)
}

// Close completes the file. See [PacketWriter].
func (w *IVFWriter) Close() error {
	if w.out.closed {
		return w.out.err
	}
	if !w.begun {
		w.begin()
	}
	w.out.flush()
	if w.end > 0 {
		w.out.patch(w.appendHeader(nil), 0)
	}
	w.out.closed = true
	return w.out.err
}
