package file

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

const (
	// A fragment ends before a key frame of video if it is so long, and else
	// after maxFragment, or twice that if pictures are reordered, or
	// maxFragmentBytes.
	minFragment      = 500 * time.Millisecond
	maxFragment      = time.Second
	maxFragmentBytes = 8 << 20

	// videoRate is the clock of tracks with pictures.
	videoRate = 90000

	// Flags of samples (ISO/IEC 14496-12 section 8.8.3.1).
	sampleSync    = 0x02000000 // depends on no other
	sampleNonSync = 0x01010000
)

// An MP4Writer writes a fragmented MP4 file (ISO/IEC 14496-12 section 8.8) of
// tracks in H264, Opus and AAC. The output need not seek; if it is an [io.WriterAt] and
// an [io.Seeker] that can, as a file is, its duration comes into the header at the end.
// There is no index: a player that seeks may have to read what lies before.
//
// Each fragment of up to a second is written at once when it is complete, and
// needs none that come after it, so a recording whose process is killed lacks no
// more than that. Times have the clock of their track, which is 90 kHz for video.
//
// A track may begin at any time, and its times may jump forward. Where they go
// back behind what is written, a track goes on without a pause. What
// [WebMWriter] says of the first key frame is true here, too.
type MP4Writer struct {
	out      output
	open     opening
	fragment []mp4Track // what waits
	bytes    int
	start    time.Duration
	empty    bool
	sequence int
	reorders bool    // pictures are not shown in the order of decoding
	headed   bool    // the boxes before the first fragment are written
	length   int64   // where the duration is
	times    []int64 // scratch
}

// An mp4Track has the samples of the present fragment.
type mp4Track struct {
	samples []mp4Sample
	data    []byte
	delay   int64 // of presentation, so that decoding is never later
	top     int64 // the latest time of presentation; -1: none yet
	end     int64 // when what is presented then ends
	shift   int64 // added to times, since they went back
	next    int64 // the least decoding time of the next fragment
	step    int64 // the last duration of a sample
	offset  int   // where the place of the data is told, in the fragment
}

type mp4Sample struct {
	time     int64 // of presentation
	decoding int64
	duration int64 // 0: until the next one
	size     int
	key      bool
}

// NewMP4Writer returns a writer to w. The error wraps [ErrTrack] or
// [errors.ErrUnsupported], or is what w returned.
func NewMP4Writer(w io.Writer, tracks []Track) (*MP4Writer, error) {
	tracks, err := checkTracks(tracks, "mp4", H264, Opus, AAC)
	if err != nil {
		return nil, err
	}
	m := &MP4Writer{open: newOpening(tracks), fragment: make([]mp4Track, len(tracks)), empty: true}
	for i := range m.fragment {
		m.fragment[i].top = -1
	}
	if err := m.out.start(w, "mp4"); err != nil {
		return nil, err
	}
	m.open.over = m.open.ready()
	return m, nil
}

// rate is the clock of a track.
func (w *MP4Writer) rate(i int) int {
	if t := &w.open.tracks[i]; !t.Codec.Video() {
		return t.Rate
	}
	return videoRate
}

// WritePacket writes one packet. See [PacketWriter].
func (w *MP4Writer) WritePacket(p *Packet) error {
	if err := w.out.usable(); err != nil {
		return err
	}
	if err := w.check(p); err != nil {
		return fmt.Errorf("mp4: %w", err)
	}
	if !w.open.admit(p) {
		return nil
	}
	if !w.open.over {
		if !w.open.ready() && w.open.hold(p) {
			return nil
		}
		w.release()
	}
	return w.write(p)
}

// release goes on with what waited for the sizes and parameter sets.
func (w *MP4Writer) release() {
	w.open.over = true
	for i := range w.open.held {
		w.write(&w.open.held[i])
	}
	w.open.held = nil
}

func (w *MP4Writer) check(p *Packet) error {
	if err := p.check(w.open.tracks); err != nil {
		return err
	}
	t := &w.open.tracks[p.Track]
	if p.Time < -t.delay()-time.Millisecond {
		return packetError("time %v is before the beginning of the file", p.Time)
	}
	if t.Codec == H264 && startsWithoutCode(p.Data) {
		return packetError("it has no start code")
	}
	return nil
}

// write adds a sample to the fragment. The packet is right, and so is the header.
func (w *MP4Writer) write(p *Packet) error {
	t, f := &w.open.tracks[p.Track], &w.fragment[p.Track]
	at := w.time(p)
	now := samplesToTime(at, w.rate(p.Track))
	if w.due(p, at, now) {
		if err := w.end(p.Track, at); err != nil {
			return err
		}
	}
	before := len(f.data)
	if t.Codec == H264 {
		f.data = appendLengths(f.data, p.Data, &w.open.sets[p.Track])
	} else {
		f.data = append(f.data, p.Data...)
	}
	size := len(f.data) - before
	if size == 0 {
		return nil // nothing but parameter sets that are known
	}
	if w.empty {
		w.start, w.empty = now, false
	}
	w.bytes += size
	d := p.Duration
	if full := t.duration(p.Data); d == 0 || t.Codec == Opus && d > full {
		d = full
	}
	duration := timeToSamples(d, w.rate(p.Track))
	if at > f.top {
		f.end = at + duration
		if duration == 0 && f.top >= 0 {
			f.end += at - f.top // as long as the one before
		}
		f.top = at
	} else if len(f.samples) > 0 {
		w.reorders = true
	}
	f.samples = append(f.samples, mp4Sample{
		time:     at,
		duration: duration,
		size:     size,
		key:      p.Key || !t.Codec.Video(),
	})
	return nil
}

// time is that of presentation, on the clock of the track, which goes on without a
// pause where that of its packets goes back. A picture that is shown before others is
// none of these, unless it is a key frame or more than a second before.
func (w *MP4Writer) time(p *Packet) int64 {
	t, f := &w.open.tracks[p.Track], &w.fragment[p.Track]
	at := max(timeToSamples(p.Time, w.rate(p.Track))+int64(t.PreSkip), 0)
	back := f.top - (at + f.shift)
	switch {
	case at >= f.end:
		f.shift = 0
	case back > videoRate, back >= 0 && (p.Key || !t.Codec.Video()):
		f.shift = f.end - at
	}
	return at + f.shift
}

// due reports whether the fragment ends before p, which is at a time on the clock of
// its track, and of the file. Where pictures are reordered it should not be where some
// are missing that are shown before others it has, as nothing then tells at which times
// to decode.
func (w *MP4Writer) due(p *Packet, at int64, now time.Duration) bool {
	video := w.open.tracks[p.Track].Codec.Video()
	age := (now - w.start).Abs()
	switch {
	case w.empty:
		return false
	case age >= 2*maxFragment, w.bytes+len(p.Data) > maxFragmentBytes:
		return true
	case age >= maxFragment:
		return !w.reorders || video && at > w.fragment[p.Track].top
	}
	return video && p.Key && age >= minFragment
}

// end writes the fragment. The time of the packet that comes next, if any, tells how
// long the last sample of its track is.
func (w *MP4Writer) end(next int, at int64) error {
	for i := range w.fragment {
		f := &w.fragment[i]
		if len(f.samples) == 0 {
			continue
		}
		until := int64(-1)
		if next == i {
			until = at
		}
		w.decode(f, until)
	}
	w.head()
	w.sequence++
	b, moof := openBox(w.out.buf, "moof")
	b = box(b, "mfhd", be32(nil, 0, w.sequence))
	for i := range w.fragment {
		if f := &w.fragment[i]; len(f.samples) > 0 {
			b = f.appendTraf(b, i+1, w.open.tracks[i].Codec.Video())
		}
	}
	b = closeBox(b, moof)
	b, mdat := openBox(b, "mdat")
	for i := range w.fragment {
		f := &w.fragment[i]
		if len(f.samples) == 0 {
			continue
		}
		copy(b[f.offset:], be32(nil, len(b)-moof))
		b = append(b, f.data...)
		f.samples, f.data = f.samples[:0], f.data[:0]
	}
	w.out.buf = closeBox(b, mdat)
	w.empty, w.bytes = true, 0
	return w.out.flush()
}

// head writes the boxes before the first fragment. They come no sooner than that,
// as they tell by how much pictures are reordered.
func (w *MP4Writer) head() {
	if w.headed {
		return
	}
	w.headed = true
	for i := range w.fragment {
		f := &w.fragment[i]
		for _, s := range f.samples {
			f.delay = max(f.delay, s.decoding-s.time)
		}
	}
	w.out.buf = w.appendMoov(w.out.buf)
}

// decode sets the decoding times and durations of the samples: the times of
// presentation in ascending order, as a decoder that shows each picture at its
// time needs no other.
func (w *MP4Writer) decode(f *mp4Track, until int64) {
	w.times = w.times[:0]
	for i := range f.samples {
		w.times = append(w.times, f.samples[i].time)
	}
	slices.Sort(w.times)
	// Pictures may be reordered by more than the header tells. They are decoded
	// earlier then, as players take a picture that is shown before it is decoded for
	// a delay of all others.
	if w.headed {
		latest := int64(math.MaxInt64)
		for i, s := range slices.Backward(f.samples) {
			latest = min(latest-1, s.time+f.delay)
			w.times[i] = min(w.times[i], latest)
		}
	}
	for i := range f.samples {
		f.samples[i].decoding = max(w.times[i], f.next)
		f.next = f.samples[i].decoding + 1
	}
	last := len(f.samples) - 1
	for i := range last {
		f.step = f.samples[i+1].decoding - f.samples[i].decoding
		f.samples[i].duration = f.step
	}
	s := &f.samples[last]
	if until > s.decoding {
		s.duration = until - s.decoding
	} else if s.duration == 0 {
		s.duration = max(f.step, 1)
	}
}

// appendTraf appends the boxes of a track in a fragment (ISO/IEC 14496-12 section
// 8.8.6 to 8.8.12).
func (f *mp4Track) appendTraf(b []byte, id int, video bool) []byte {
	b, traf := openBox(b, "traf")
	b = box(b, "tfhd", be32(nil, 0x020000, id)) // offsets are from the moof
	b = box(b, "tfdt", be32(nil, 1<<24), be64(nil, f.samples[0].decoding))
	flags := 0x000701 // offset of the data; duration, size and flags of each
	if video {
		flags |= 0x800 // time of presentation
	}
	b, trun := openBox(b, "trun")
	b = be32(b, 1<<24|flags, len(f.samples), 0)
	f.offset = len(b) - 4
	for i := range f.samples {
		s := &f.samples[i]
		kind := sampleNonSync
		if s.key {
			kind = sampleSync
		}
		b = be32(b, int(min(s.duration, math.MaxUint32)), s.size, kind)
		if video {
			b = be32(b, int(max(min(s.time+f.delay-s.decoding, math.MaxInt32), math.MinInt32)))
		}
	}
	b = closeBox(b, trun)
	return closeBox(b, traf)
}

// Close writes the last fragment. See [PacketWriter].
func (w *MP4Writer) Close() error {
	if w.out.closed {
		return w.out.err
	}
	if w.out.err == nil {
		if !w.open.over {
			w.release()
		}
		if !w.empty {
			w.end(-1, 0)
		}
		w.head() // of no fragments
		if w.sequence > 0 && w.out.at != nil {
			w.out.patch(w.appendLength(nil), w.length)
		}
	}
	w.out.flush()
	w.out.closed = true
	return w.out.err
}
