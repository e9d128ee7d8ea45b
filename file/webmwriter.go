package file

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	// webmTick is the unit of times in the file, which WebM asks for.
	webmTick = time.Millisecond

	// A cluster begins at each key frame of video that is so long after the
	// last beginning, and anyway after maxCluster or maxClusterBytes.
	minCluster      = 500 * time.Millisecond
	maxCluster      = 5 * time.Second
	maxClusterBytes = 4 << 20

	// maxCues bounds the index. When it is full every other entry goes.
	maxCues = 8192

	// webmPreRoll is how much earlier a player must begin to decode Opus (RFC
	// 7845 section 4.6).
	webmPreRoll = 80 * time.Millisecond
)

// A WebMWriter writes a WebM file, or a Matroska file (RFC 9559) if a track is
// not of VP8, VP9 or Opus. The others are H264 and PCM.
//
// The file can be played at any moment: half a second at most waits in memory,
// and a cluster has no size until it is finished. Its duration, an index and the
// sizes come at the end, if the output is an [io.WriterAt] and an [io.Seeker]
// that can seek, as a file is.
//
// Times have a resolution of 1 ms. A track may begin at any time, and its times
// may jump. A track of video begins with its first key frame: what comes before
// it is left out. The header waits up to 3 s for the first key frame of each
// track whose size or parameter sets are not known, and then goes without.
type WebMWriter struct {
	out     output
	open    opening
	segment int64 // where the data of the segment begins
	seek    int64 // where the SeekHead is
	info    int64
	tracks  int64
	length  int64 // where the duration is

	cluster int64 // where the present one is, 0: nowhere
	start   int64 // its time, in ticks
	last    []webmLast
	end     time.Duration // of the file
	longest time.Duration // that a picture is taken to last; 0: no limit
	scratch []byte
	size    [8]byte // of a cluster, when it is finished

	cueTrack int
	cues     []webmCue
	every    int // how many key frames one cue is for
	keys     int
}

type webmCue struct{ time, cluster int64 }

// webmLast is what a track had last.
type webmLast struct {
	time  time.Duration
	steps [2]time.Duration // from packet to packet, the last one first
	any   bool
}

// step returns how long a packet lasts that does not say: as long as the last or
// the one before, since one of the two may have been before a gap.
func (l *webmLast) step() time.Duration {
	if l.steps[1] == 0 {
		return l.steps[0]
	}
	return min(l.steps[0], l.steps[1])
}

// NewWebMWriter returns a writer to w, at its current position. The error wraps
// [ErrTrack] or [errors.ErrUnsupported], or is what w returned.
func NewWebMWriter(w io.Writer, tracks []Track) (*WebMWriter, error) {
	tracks, err := checkTracks(tracks, "webm", VP8, VP9, H264, Opus, PCM)
	if err != nil {
		return nil, err
	}
	m := &WebMWriter{open: newOpening(tracks), last: make([]webmLast, len(tracks)), every: 1}
	for i := len(tracks) - 1; i >= 0; i-- {
		if tracks[i].Codec.Video() || !tracks[m.cueTrack].Codec.Video() {
			m.cueTrack = i
		}
	}
	if err := m.out.start(w, "webm"); err != nil {
		return nil, err
	}
	if m.open.ready() {
		m.begin()
	}
	return m, m.out.flush()
}

// begin writes the header.
func (w *WebMWriter) begin() {
	w.open.over = true
	docType := "webm"
	for i := range w.open.tracks {
		if c := w.open.tracks[i].Codec; c == H264 || c == PCM {
			docType = "matroska"
		}
	}
	b := w.out.buf
	var e []byte
	e = appendUint(e, idEBMLVersion, 1)
	e = appendUint(e, idEBMLRead, 1)
	e = appendUint(e, idMaxIDLength, 4)
	e = appendUint(e, idMaxSize, 8)
	e = appendString(e, idDocType, docType)
	e = appendUint(e, idDocVersion, 4)
	e = appendUint(e, idDocRead, 2)
	b = appendElement(b, idEBML, e)
	b = appendSizeN(appendID(b, idSegment), ebmlUnknownSize, 8)
	w.segment = w.out.written + int64(len(b))
	w.seek = w.segment
	if w.out.at != nil {
		b = w.appendSeekHead(b, 0) // for its room
	}

	w.info = w.out.written + int64(len(b))
	e = appendUint(e[:0], idTimestampScale, uint64(webmTick))
	e = appendString(e, idMuxingApp, muxer)
	e = appendString(e, idWritingApp, muxer)
	if w.out.at != nil {
		e = appendVoid(e, webmDuration)
	}
	b = appendElement(b, idInfo, e)
	w.length = w.out.written + int64(len(b)) - webmDuration

	w.tracks = w.out.written + int64(len(b))
	e = e[:0]
	for i := range w.open.tracks {
		e = appendElement(e, idTrackEntry, w.appendTrack(nil, i))
	}
	b = appendElement(b, idTracks, e)
	if w.out.at != nil {
		n := len(w.appendSeekHead(nil, 0))
		copy(b[w.seek-w.out.written:][:n], w.appendSeekHead(nil, 0))
	}
	w.out.buf = b
}

// webmDuration is the size of a Duration element.
const webmDuration = 2 + 1 + 8

// appendSeekHead appends an index of the elements beside it, whose size is the
// same with and without cues.
func (w *WebMWriter) appendSeekHead(b []byte, cues int64) []byte {
	var e []byte
	for _, s := range []struct {
		id  uint32
		pos int64
	}{{idInfo, w.info}, {idTracks, w.tracks}, {idCues, cues}} {
		if s.pos == 0 && s.id == idCues {
			e = appendVoid(e, 3+4+3+11)
			continue
		}
		var seek []byte
		seek = appendElement(seek, idSeekID, appendID(nil, s.id))
		seek = appendUint8(seek, idSeekPosition, uint64(s.pos-w.segment))
		e = appendElement(e, idSeek, seek)
	}
	return appendElement(b, idSeekHead, e)
}

func (w *WebMWriter) appendTrack(b []byte, i int) []byte {
	t := &w.open.tracks[i]
	b = appendUint(b, idTrackNumber, uint64(i+1))
	b = appendUint(b, idTrackUID, uint64(i+1))
	b = appendUint(b, idFlagLacing, 0)
	id, private := "", t.Config
	switch t.Codec {
	case VP8:
		id, private = "V_VP8", nil
	case VP9:
		id = "V_VP9"
	case H264:
		id, private = "V_MPEG4/ISO/AVC", w.open.sets[i].appendAVCC(nil)
	case Opus:
		id = "A_OPUS"
		b = appendUint(b, idCodecDelay, uint64(t.delay()))
		b = appendUint(b, idSeekPreRoll, uint64(webmPreRoll))
	case PCM:
		id, private = "A_PCM/INT/LIT", nil
	}
	b = appendString(b, idCodecID, id)
	if len(private) > 0 {
		b = appendElement(b, idCodecPrivate, private)
	}
	var e []byte
	if t.Codec.Video() {
		b = appendUint(b, idTrackType, 1)
		width, height := t.Width, t.Height
		if width == 0 || height == 0 {
			width, height = 640, 480 // 0 is not allowed, and the stream knows
		}
		e = appendUint(e, idPixelWidth, uint64(width))
		e = appendUint(e, idPixelHeight, uint64(height))
		return appendElement(b, idVideo, e)
	}
	b = appendUint(b, idTrackType, 2)
	e = appendFloat(e, idSamplingFrequency, float64(t.Rate))
	e = appendUint(e, idChannels, uint64(t.Channels))
	if t.Codec == PCM {
		e = appendUint(e, idBitDepth, 16)
	}
	return appendElement(b, idAudio, e)
}

// WritePacket writes one packet. See [PacketWriter].
func (w *WebMWriter) WritePacket(p *Packet) error {
	if err := w.out.usable(); err != nil {
		return err
	}
	if err := w.check(p); err != nil {
		return fmt.Errorf("webm: %w", err)
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

// release writes the header and what waited for it.
func (w *WebMWriter) release() {
	w.begin()
	for i := range w.open.held {
		w.write(&w.open.held[i])
	}
	w.open.held = nil
}

func (w *WebMWriter) check(p *Packet) error {
	if err := p.check(w.open.tracks); err != nil {
		return err
	}
	t := &w.open.tracks[p.Track]
	if p.Time < -t.delay()-webmTick/2 {
		return packetError("time %v is before the beginning of the file", p.Time)
	}
	if t.Codec == H264 && startsWithoutCode(p.Data) {
		return packetError("it has no start code")
	}
	return nil
}

// write appends a block. The packet is right, and so is the header.
func (w *WebMWriter) write(p *Packet) error {
	t := &w.open.tracks[p.Track]
	tick := max(divide(int64(p.Time+t.delay()), int64(webmTick)), 0)
	key := p.Key || !t.Codec.Video()
	data := p.Data
	if t.Codec == H264 {
		w.scratch = appendLengths(w.scratch[:0], p.Data, &w.open.sets[p.Track])
		if data = w.scratch; len(data) == 0 {
			return nil // nothing but parameter sets that are known
		}
	}
	w.follow(p, tick, key)

	full := t.duration(p.Data)
	trimmed := t.Codec == Opus && p.Duration > 0 && p.Duration < full
	b := w.out.buf
	block := 4 + len(data)
	if trimmed {
		group := 1 + sizeLength(block) + block + 2 + 1 + 8
		b = appendSize(appendID(b, idBlockGroup), group)
		b = appendSize(appendID(b, idBlock), block)
	} else {
		b = appendSize(appendID(b, idSimpleBlock), block)
	}
	b = append(b, 0x80|byte(p.Track+1))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(tick-w.start)))
	if key && !trimmed {
		b = append(b, 0x80)
	} else {
		b = append(b, 0)
	}
	b = append(b, data...)
	if trimmed {
		b = appendUint8(b, idDiscardPadding, uint64(full-p.Duration))
	}
	w.out.buf = b

	last := &w.last[p.Track]
	if last.any && p.Time > last.time {
		last.steps = [2]time.Duration{p.Time - last.time, last.steps[0]}
	}
	last.time, last.any = p.Time, true
	d := p.Duration
	if d == 0 {
		d = full
	}
	if d == 0 {
		d = last.step()
		if w.longest > 0 {
			d = min(d, w.longest)
		}
	}
	w.end = max(w.end, p.Time+t.delay()+d)
	return w.out.settle(p.Time)
}

// follow begins a cluster if the packet should not be in the present one.
func (w *WebMWriter) follow(p *Packet, tick int64, key bool) {
	age := time.Duration(tick-w.start) * webmTick
	cue := key && p.Track == w.cueTrack
	switch {
	case w.cluster == 0, age >= maxCluster, age < -maxCluster, w.out.pos()-w.cluster >= maxClusterBytes:
	case cue && age >= minCluster && w.open.tracks[w.cueTrack].Codec.Video():
	default:
		return
	}
	w.finish()
	w.cluster, w.start = w.out.pos(), tick
	b := appendSizeN(appendID(w.out.buf, idCluster), ebmlUnknownSize, 8)
	w.out.buf = appendUint(b, idTimestamp, uint64(tick))
	if cue {
		w.cue(tick)
	}
}

// cue adds the present cluster to the index.
func (w *WebMWriter) cue(tick int64) {
	if w.keys++; (w.keys-1)%w.every != 0 || w.out.at == nil {
		return
	}
	if len(w.cues) == maxCues {
		for i := range maxCues / 2 {
			w.cues[i] = w.cues[2*i]
		}
		w.cues = w.cues[:maxCues/2]
		w.every *= 2
	}
	w.cues = append(w.cues, webmCue{tick, w.cluster - w.segment})
}

// finish gives the present cluster its size.
func (w *WebMWriter) finish() {
	if w.cluster != 0 && w.out.at != nil {
		size := w.out.pos() - w.cluster - 12
		w.out.patch(appendSizeN(w.size[:0], uint64(size), 8), w.cluster+4)
	}
}

// Close completes the file. See [PacketWriter].
func (w *WebMWriter) Close() error {
	if w.out.closed {
		return w.out.err
	}
	w.complete()
	w.out.flush()
	w.out.closed = true
	return w.out.err
}

func (w *WebMWriter) complete() {
	if w.out.err != nil {
		return
	}
	if !w.open.over {
		w.release()
	}
	w.finish()
	if w.out.at == nil {
		return
	}
	cues := int64(0)
	if len(w.cues) > 0 {
		cues = w.out.pos()
		w.out.buf = appendElement(w.out.buf, idCues, w.appendCues(nil))
	}
	w.out.flush()
	w.out.patch(appendSizeN(nil, uint64(w.out.pos()-w.segment), 8), w.segment-8)
	w.out.patch(w.appendSeekHead(nil, cues), w.seek)
	ticks := math.Round(float64(w.end) / float64(webmTick))
	w.out.patch(appendFloat(nil, idDuration, ticks), w.length)
}

func (w *WebMWriter) appendCues(b []byte) []byte {
	for _, c := range w.cues {
		var at, point []byte
		at = appendUint(at, idCueTrack, uint64(w.cueTrack+1))
		at = appendUint(at, idCueClusterPosition, uint64(c.cluster))
		point = appendUint(point, idCueTime, uint64(c.time))
		point = appendElement(point, idCueTrackPositions, at)
		b = appendElement(b, idCuePoint, point)
	}
	return b
}
