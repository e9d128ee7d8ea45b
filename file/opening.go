package file

import "time"

const (
	// holdTime and holdBytes are how long a header waits for the first key
	// frame of video, and what is held meanwhile.
	holdTime  = 3 * time.Second
	holdBytes = 2 << 20
)

// An opening is the part of a file before its header: the sizes of pictures and
// parameter sets belong there, and come with the first key frames.
type opening struct {
	tracks []Track
	sets   []parameterSets // of each track, as its header has them
	begun  []bool          // a track has had its first packet, of video: its first key frame
	held   []Packet
	bytes  int
	over   bool // the header is written
}

func newOpening(tracks []Track) opening {
	o := opening{tracks: tracks, begun: make([]bool, len(tracks)), sets: make([]parameterSets, len(tracks))}
	for i := range tracks {
		if tracks[i].Codec == H264 {
			o.setUp(i, tracks[i].Config)
		}
	}
	return o
}

// setUp takes the parameter sets of a track, and the size of its picture.
func (o *opening) setUp(i int, annexB []byte) {
	t := &o.tracks[i]
	o.sets[i].add(annexB)
	if len(o.sets[i].sps) > 0 && t.Width == 0 {
		info, _ := parseSPS(o.sets[i].sps[0])
		t.Width, t.Height = info.Width, info.Height
	}
}

// admit reports whether p is part of the file: video begins at a key frame.
func (o *opening) admit(p *Packet) bool {
	t := &o.tracks[p.Track]
	if o.begun[p.Track] || !t.Codec.Video() {
		o.begun[p.Track] = true
		return true
	}
	if !p.Key {
		return false
	}
	if !o.over && t.Codec == H264 && !o.sets[p.Track].complete() {
		o.setUp(p.Track, p.Data)
	}
	if t.Width == 0 || t.Height == 0 {
		pic := t.Codec.look(p.Data)
		t.Width, t.Height = pic.width, pic.height
	}
	o.begun[p.Track] = true
	return true
}

// ready reports whether the header can be written.
func (o *opening) ready() bool {
	for i := range o.tracks {
		t := &o.tracks[i]
		if t.Codec.Video() && !o.begun[i] && (t.Width == 0 || t.Height == 0 || t.Codec == H264 && !o.sets[i].complete()) {
			return false
		}
	}
	return true
}

// hold keeps a copy of p, if there is room and time for it.
func (o *opening) hold(p *Packet) bool {
	if o.bytes+len(p.Data) > holdBytes || len(o.held) > 0 && (p.Time-o.held[0].Time).Abs() >= holdTime {
		return false
	}
	q := *p
	q.Data = append([]byte(nil), p.Data...)
	o.held = append(o.held, q)
	o.bytes += len(q.Data)
	return true
}
