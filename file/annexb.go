package file

import (
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/internal/bits"
)

const (
	// defaultPicture is how long a picture lasts if nothing tells.
	defaultPicture = 40 * time.Millisecond

	// sliceStart is how many bytes of a NAL unit tell whether a slice begins a
	// picture: header, first_mb_in_slice, slice_type, pic_parameter_set_id.
	sliceStart = 16
)

// An AnnexBReader reads the access units of an H.264 byte stream (Annex B).
//
// The format has no times: pictures are FrameDuration apart, in the order in
// which they are decoded, which is not that in which they are shown if the
// stream has B pictures. The two fields of an interlaced frame count as two.
type AnnexBReader struct {
	// FrameDuration is from one picture to the next. Zero means what the
	// stream tells, or 40 ms. It may be changed between reads.
	FrameDuration time.Duration

	src    source
	tracks [1]Track
	told   time.Duration // a frame, by the parameter set
	time   time.Duration
	room   []byte // what was read, of which buf is the end
	buf    []byte // from the beginning of an access unit on
	scan   int    // up to here there is no start code that was not looked at
	slice  sliceHeader
	vcl    bool // the access unit has a slice
	any    bool // the access unit has a NAL unit
	eof    bool
	err    error
}

// A sliceHeader has those syntax elements by which slices of different pictures
// differ, and that can be read without parameter sets (H.264 section 7.4.1.2.4).
type sliceHeader struct {
	idr, reference bool
	pps            uint32
}

// NewAnnexBReader reads up to the first access unit of the stream in r, for the
// size of its pictures. The error wraps [ErrMalformed] if there is no start code
// in the first megabyte, [io.ErrUnexpectedEOF] if there is no NAL unit at all, or
// is what r returned.
func NewAnnexBReader(r io.Reader) (*AnnexBReader, error) {
	a := &AnnexBReader{src: source{in: r, format: "annexb"}}
	a.tracks[0].Codec = H264
	end, err := a.next()
	if err == io.EOF {
		return nil, a.src.fail(err, "the first NAL unit")
	} else if err != nil {
		return nil, err
	}
	var sets parameterSets
	sets.add(a.buf[:end])
	if len(sets.sps) > 0 {
		info, _ := parseSPS(sets.sps[0])
		a.tracks[0].Width, a.tracks[0].Height = info.Width, info.Height
		a.told = info.FrameDuration
	}
	if sets.complete() {
		a.tracks[0].Config = sets.appendAnnexB(nil)
	}
	a.scan, a.vcl, a.any = 0, false, false // it will be found again
	return a, nil
}

// Tracks returns the one track.
func (r *AnnexBReader) Tracks() []Track { return r.tracks[:] }

// ReadPacket fills p with the next access unit, its start codes included. One
// that was cut off cannot be told from a whole one. See [PacketReader].
func (r *AnnexBReader) ReadPacket(p *Packet) error {
	end, err := r.next()
	if err != nil {
		return err
	}
	d := r.FrameDuration
	if d <= 0 {
		d = r.told
	}
	if d <= 0 {
		d = defaultPicture
	}
	p.set(0, r.time, d, lookH264(r.buf[:end]).key, r.buf[:end])
	r.time += d
	r.buf, r.scan = r.buf[end:], 0
	r.vcl, r.any = false, false
	return nil
}

// next returns where the access unit at the beginning of buf ends.
func (r *AnnexBReader) next() (int, error) {
	for {
		i := startCode(r.buf[r.scan:])
		if i >= 0 && !r.eof && len(r.buf) < r.scan+i+3+sliceStart {
			i = -1 // not enough to look at
		} else if i < 0 {
			r.scan = max(len(r.buf)-2, r.scan)
		}
		if i < 0 {
			if r.eof {
				return r.last()
			}
			if err := r.fill(); err != nil {
				return 0, err
			}
			continue
		}
		at := r.scan + i
		if !r.any && (at > 1 || at == 1 && r.buf[0] != 0) {
			// Leading zeros, or the end of what the stream was cut from.
			r.buf, r.scan = r.buf[at-1:], 0
			if r.buf[0] != 0 {
				r.buf = r.buf[1:]
			}
			continue
		}
		r.scan = at + 3
		if at+3 < len(r.buf) && r.begins(r.buf[at+3:min(at+3+sliceStart, len(r.buf))]) {
			if at > 0 && r.buf[at-1] == 0 {
				at-- // a start code of four bytes
			}
			return at, nil
		}
	}
}

// last is the access unit that the stream ends with.
func (r *AnnexBReader) last() (int, error) {
	if r.any {
		return len(r.buf), nil
	}
	if r.err == nil || r.err == io.EOF {
		return 0, io.EOF
	}
	return 0, r.src.fail(r.err, "a NAL unit")
}

func (r *AnnexBReader) fill() error {
	if len(r.buf) > maxPacket {
		return r.src.malformed("an access unit of more than %d bytes before byte %d", maxPacket, r.src.pos)
	}
	have := len(r.buf)
	if have > 0 && &r.buf[0] != &r.room[0] {
		copy(r.room, r.buf)
	}
	if len(r.room) < have+readBuffer {
		r.room = append(r.room[:have], make([]byte, max(readBuffer, have))...)
		r.room = r.room[:cap(r.room)]
	}
	n, err := r.src.in.Read(r.room[have:min(len(r.room), have+max(readBuffer, have))])
	r.buf = r.room[:have+n]
	r.src.pos += int64(n)
	if err != nil {
		r.eof, r.err = true, err
	}
	if !r.any && len(r.buf) > 1<<20 {
		return r.src.malformed("no start code in %d bytes", len(r.buf))
	}
	return nil
}

// begins takes the first bytes of a NAL unit and reports whether it is the first
// of another access unit (H.264 section 7.4.1.2.3).
func (r *AnnexBReader) begins(nal []byte) bool {
	kind := nal[0] & 31
	switch {
	case kind == nalSlice, kind == nalPartitionA, kind == nalIDR:
		b := bits.Reader{Data: nal[1:]} // without regard to emulation prevention
		first := b.Golomb()
		b.Golomb()
		h := sliceHeader{idr: kind == nalIDR, reference: nal[0]&0x60 != 0, pps: b.Golomb()}
		if r.vcl && (first == 0 || h != r.slice) {
			return true
		}
		r.vcl, r.slice = true, h
	case kind == nalAUD:
		if r.any {
			return true
		}
	case kind >= nalSEI && kind <= nalPPS, kind >= 14 && kind <= 18:
		if r.vcl {
			return true
		}
	}
	r.any = true
	return false
}

// An AnnexBWriter writes one track of H.264 as a byte stream (Annex B): the data
// of its packets, one after the other. It knows nothing of times.
type AnnexBWriter struct {
	out  output
	open opening
}

// NewAnnexBWriter returns a writer to w. The parameter sets in the track's
// Config, if any, go before the first packet if that has none of its own. Packets
// before the first key frame are left out.
func NewAnnexBWriter(w io.Writer, track Track) (*AnnexBWriter, error) {
	tracks, err := checkTracks([]Track{track}, "annexb", H264)
	if err != nil {
		return nil, err
	}
	a := &AnnexBWriter{open: newOpening(tracks)}
	a.out.w, a.out.format = w, "annexb"
	return a, nil
}

// WritePacket writes one access unit. See [PacketWriter].
func (w *AnnexBWriter) WritePacket(p *Packet) error {
	if err := w.out.usable(); err != nil {
		return err
	}
	if err := p.check(w.open.tracks); err != nil {
		return fmt.Errorf("annexb: %w", err)
	}
	if startsWithoutCode(p.Data) {
		return fmt.Errorf("annexb: %w", packetError("it has no start code"))
	}
	first := !w.open.begun[0]
	if !w.open.admit(p) {
		return nil
	}
	if first {
		var own parameterSets
		if own.add(p.Data); !own.complete() {
			w.out.buf = w.open.sets[0].appendAnnexB(w.out.buf)
		}
	}
	w.out.buf = append(w.out.buf, p.Data...)
	return w.out.settle(p.Time)
}

// startsWithoutCode reports whether data is not a byte stream.
func startsWithoutCode(data []byte) bool {
	i := startCode(data)
	return i != 0 && (i != 1 || data[0] != 0)
}

// Close writes what waits in memory. See [PacketWriter].
func (w *AnnexBWriter) Close() error {
	if !w.out.closed {
		w.out.flush()
		w.out.closed = true
	}
	return w.out.err
}
