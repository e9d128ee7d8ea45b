package file

import (
	"bytes"
	"math"
	"strings"
	"time"
)

const (
	// maxStrip and maxSets bound what goes before frames, as a small frame must
	// not become a large packet.
	maxStrip = 64
	maxSets  = 16 << 10
)

// readTracks takes the tracks that it knows.
func (r *WebMReader) readTracks(size int64) error {
	b, err := r.meta(size, "Tracks")
	if err != nil {
		return err
	}
	for len(b) > 0 {
		id, data, rest, ok := cutElement(b)
		if !ok {
			return r.src.malformed("broken Tracks before byte %d", r.src.pos)
		}
		b = rest
		if id == idTrackEntry && len(r.tracks) < maxTracks {
			if !r.readTrack(data) {
				return r.src.malformed("a broken track before byte %d", r.src.pos)
			}
		}
	}
	return nil
}

// webmTrack has the elements of a track.
type webmTrack struct {
	entry                   webmEntry
	codec                   string
	private                 []byte
	delay, each             uint64
	width, height, channels uint64
	depth                   uint64
	rate                    float64
	algorithm               uint64 // of the compression; 3 is header stripping
	encoded                 bool   // in a way that is not known
	nested                  int
}

// walk calls visit for each element of b, and returns false if b is broken or a
// call does.
func walk(b []byte, visit func(id uint32, data []byte) bool) bool {
	for len(b) > 0 {
		id, data, rest, ok := cutElement(b)
		if !ok || !visit(id, data) {
			return false
		}
		b = rest
	}
	return true
}

func (r *WebMReader) readTrack(b []byte) bool {
	t := webmTrack{channels: 1, rate: 8000}
	if !walk(b, t.element) {
		return false
	}
	track, known, ok := t.track()
	if !ok {
		return false
	}
	known = known && !t.encoded
	if !known {
		track = Track{}
	}
	if strings.HasPrefix(t.codec, "A_") && len(r.sound) < maxTracks {
		r.sound = append(r.sound, track)
	}
	if !known {
		if len(r.unknown) < maxTracks {
			r.unknown = append(r.unknown, t.codec)
		}
		return true
	}
	t.entry.index = len(r.tracks)
	r.tracks = append(r.tracks, track)
	r.entries = append(r.entries, t.entry)
	return true
}

func (t *webmTrack) element(id uint32, data []byte) bool {
	v, ok := parseUint(data)
	switch id {
	case idTrackNumber:
		t.entry.number = v
	case idCodecID:
		t.codec = string(bytes.TrimRight(data, "\x00"))
		return true
	case idCodecPrivate:
		t.private = bytes.Clone(data)
		return true
	case idCodecDelay:
		t.delay = v
	case idDefaultDuration:
		t.each = v
	case idPixelWidth:
		t.width = v
	case idPixelHeight:
		t.height = v
	case idChannels:
		t.channels = v
	case idBitDepth:
		t.depth = v
	case idSamplingFrequency:
		t.rate, ok = parseFloat(data)
	case idVideo, idAudio, idContentEncodings, idContentEncoding:
		t.nested++
		ok = t.nested < 16 && walk(data, t.element) // a hostile file nests on and on
	case idContentCompress:
		t.algorithm = 0 // zlib, if it is not told
		ok = walk(data, t.compression)
		if t.algorithm != 3 {
			t.encoded = true
		}
		return ok
	case idContentEncryption:
		t.encoded = true
		return true
	default:
		return true
	}
	return ok
}

// compression takes the algorithm, and the bytes that the frames were stripped of.
func (t *webmTrack) compression(id uint32, data []byte) (ok bool) {
	switch id {
	case idContentAlgo:
		t.algorithm, ok = parseUint(data)
		return ok
	case idContentSettings:
		t.entry.strip = bytes.Clone(data)
		return len(data) <= maxStrip
	}
	return true
}

// track returns what the elements come to.
func (t *webmTrack) track() (track Track, known, ok bool) {
	e := &t.entry
	if e.number == 0 || t.each > uint64(time.Hour) || t.delay > uint64(time.Minute) {
		return track, false, false
	}
	e.each, e.delay = time.Duration(t.each), time.Duration(t.delay)
	track.Config = t.private
	switch t.codec {
	case "V_VP8":
		track.Codec = VP8
	case "V_VP9":
		track.Codec = VP9
	case "V_MPEG4/ISO/AVC":
		track.Codec, track.Config = H264, nil
		if len(t.private) > 0 {
			if e.lengthSize, ok = e.sets.parseAVCC(t.private); !ok || e.sets.size() > maxSets {
				return track, false, false
			}
			if len(e.strip) > 0 {
				return track, false, true // of a NAL unit's length: nobody does that
			}
			track.Config = e.sets.appendAnnexB(nil)
		}
	case "A_OPUS":
		h, err := parseOpusHead(t.private)
		if err != nil {
			return track, false, false
		}
		track.Codec, track.Rate, track.Channels, track.PreSkip = Opus, opusRate, h.Channels, h.PreSkip
		return track, true, true
	case "A_PCM/INT/LIT":
		if t.depth != 16 {
			return track, false, true
		}
		track.Codec = PCM
	case "A_AAC":
		if len(t.private) < 2 || len(t.private) > maxStrip {
			return track, false, true // the old IDs told it in their names
		}
		track.Codec = AAC
	default:
		return track, false, true
	}
	if track.Codec.Video() {
		if t.width > math.MaxUint16 || t.height > math.MaxUint16 {
			return track, false, false
		}
		track.Width, track.Height = int(t.width), int(t.height)
		return track, true, true
	}
	track.Rate, track.Channels = int(max(min(t.rate, math.MaxInt32), 0)), int(min(t.channels, math.MaxInt32))
	return track, true, track.Rate >= 1000 && track.Rate <= 384000 && track.Channels >= 1 && track.Channels <= 8
}
