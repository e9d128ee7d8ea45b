package file

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// liveStep is how long the last picture of a recording lasts at most. The ones
// before it may be far apart because others were lost.
const liveStep = 100 * time.Millisecond

// webmRoom is what the header of a growing file has for its tracks.
const webmRoom = 8 << 10

// A growingWebM is a WebM or Matroska file to which tracks can be added at any
// time: the header has room for them, and is written over in one piece whenever
// one is added, or its first key frame says how large its pictures are. Until
// then a track of video is not in it.
type growingWebM struct {
	*WebMWriter
	listed []bool // tracks that are in the header
	room   []byte // reused
}

// newGrowingWebM returns a writer to w, which must be able to seek.
func newGrowingWebM(w io.Writer, matroska bool) (*growingWebM, error) {
	m := &WebMWriter{open: newOpening(nil), every: 1, longest: liveStep}
	if err := m.out.start(w, "webm"); err != nil {
		return nil, err
	}
	if matroska { // by the codec of a track that then gives way
		m.open.tracks = []Track{{Codec: PCM, Rate: opusRate, Channels: 1}}
		m.open.sets = make([]parameterSets, 1)
	}
	m.begin()
	g := &growingWebM{WebMWriter: m}
	m.open = newOpening(nil)
	m.open.over = true
	m.out.buf = append(m.out.buf[:m.tracks-m.out.written], g.header()...)
	return g, m.out.flush()
}

// header returns the tracks that are known, and what is left of the room.
func (g *growingWebM) header() []byte {
	var e []byte
	for i := range g.open.tracks {
		t := &g.open.tracks[i]
		if t.Codec == H264 && !g.open.sets[i].complete() || t.Codec.Video() && t.Codec != H264 && t.Width == 0 {
			continue
		}
		g.listed[i] = true
		e = appendElement(e, idTrackEntry, g.appendTrack(nil, i))
	}
	g.room = appendElement(g.room[:0], idTracks, e)
	void := webmRoom - len(g.room)
	if void < 16 {
		return nil
	}
	// A void whose size has two bytes, however small it is.
	g.room = appendSizeN(appendID(g.room, idVoid), uint64(void-3), 2)
	return append(g.room, make([]byte, void-3)...)
}

// add adds a track, and returns its index.
func (g *growingWebM) add(t Track) (int, error) {
	tracks, err := checkTracks([]Track{t}, "webm", VP8, VP9, H264, Opus, PCM)
	if err != nil {
		return 0, err
	}
	i := len(g.open.tracks)
	if i == maxTracks {
		return 0, fmt.Errorf("webm: %w: a file has %d at most", ErrTrack, maxTracks)
	}
	g.open.tracks = append(g.open.tracks, tracks[0])
	g.open.sets = append(g.open.sets, parameterSets{})
	g.open.begun = append(g.open.begun, false)
	g.listed = append(g.listed, false)
	g.last = append(g.last, webmLast{})
	if t.Codec == H264 {
		g.open.setUp(i, t.Config)
	}
	// The index is of the first track of video, if there is any.
	if t.Codec.Video() && !g.open.tracks[g.cueTrack].Codec.Video() {
		g.cueTrack = i
	}
	err = g.grow()
	if errors.Is(err, ErrTrack) { // it does not fit
		g.open.tracks, g.open.sets, g.open.begun = g.open.tracks[:i], g.open.sets[:i], g.open.begun[:i]
		g.last, g.listed = g.last[:i], g.listed[:i]
		g.cueTrack = min(g.cueTrack, max(i-1, 0))
	}
	return i, err
}

// grow writes the header over.
func (g *growingWebM) grow() error {
	b := g.header()
	if b == nil {
		return fmt.Errorf("webm: %w: no more room in the header", ErrTrack)
	}
	return g.out.patch(b, g.tracks)
}

// WritePacket writes one packet. Pictures are not written before a key frame that
// says what the header needs. See [PacketWriter].
func (g *growingWebM) WritePacket(p *Packet) error {
	if err := g.out.usable(); err != nil {
		return err
	}
	if err := g.check(p); err == nil && !g.listed[p.Track] {
		if err := g.list(p); err != nil {
			return err
		}
	}
	return g.WebMWriter.WritePacket(p)
}

// list takes a track into the header when its first key frame has come.
func (g *growingWebM) list(p *Packet) error {
	t, sets := &g.open.tracks[p.Track], &g.open.sets[p.Track]
	if p.Key && t.Codec == H264 {
		*sets = parameterSets{}
		g.open.setUp(p.Track, p.Data)
	}
	if pic := t.Codec.look(p.Data); p.Key && pic.width > 0 {
		t.Width, t.Height = pic.width, pic.height
	}
	err := g.grow()
	if errors.Is(err, ErrTrack) {
		*sets = parameterSets{}
		g.listed[p.Track] = false
		return packetError("%v", err)
	}
	if err == nil && !g.listed[p.Track] {
		return packetError("no key frame with what a decoder needs has come")
	}
	return err
}
