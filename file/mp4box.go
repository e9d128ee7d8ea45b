package file

import (
	"encoding/binary"
	"time"
)

// movieRate is the clock of what is no track's.
const movieRate = 1000

// openBox appends the header of a box (ISO/IEC 14496-12 section 4.2) whose size
// is not known, and returns where it begins.
func openBox(b []byte, kind string) ([]byte, int) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	return append(b, kind...), start
}

// closeBox sets the size of the box that begins at start and ends here.
func closeBox(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// box appends a whole box.
func box(b []byte, kind string, data ...[]byte) []byte {
	b, start := openBox(b, kind)
	for _, d := range data {
		b = append(b, d...)
	}
	return closeBox(b, start)
}

// be16, be32 and be64 append numbers.
func be16(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func be32(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}

func be64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// unity is the matrix that leaves a picture as it is.
var unity = [9]int{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30}

// appendMoov appends the boxes before the first fragment.
func (w *MP4Writer) appendMoov(b []byte) []byte {
	b = box(b, "ftyp", []byte("iso6\x00\x00\x00\x00iso6mp41"))
	b, moov := openBox(b, "moov")
	b, mvhd := openBox(b, "mvhd")
	b = be32(b, 0, 0, 0, movieRate, 0, 1<<16, 1<<24, 0, 0) // times, scale, duration, rate, volume
	b = be32(b, unity[:]...)
	b = be32(b, 0, 0, 0, 0, 0, 0, len(w.open.tracks)+1)
	b = closeBox(b, mvhd)
	for i := range w.open.tracks {
		b = w.appendTrak(b, i)
	}
	b, mvex := openBox(b, "mvex")
	if w.out.at != nil {
		w.length = w.out.written + int64(len(b))
		b = box(b, "free", make([]byte, 12)) // room for appendLength
	}
	for i := range w.open.tracks {
		b = box(b, "trex", be32(nil, 0, i+1, 1, 0, 0, 0))
	}
	b = closeBox(b, mvex)
	return closeBox(b, moov)
}

// appendLength appends the box that tells how long the file lasts (ISO/IEC 14496-12
// section 8.8.2).
func (w *MP4Writer) appendLength(b []byte) []byte {
	length := time.Duration(0)
	for i := range w.fragment {
		end := w.fragment[i].end - int64(w.open.tracks[i].PreSkip)
		length = max(length, samplesToTime(end, w.rate(i)))
	}
	return box(b, "mehd", be32(nil, 1<<24), be64(nil, timeToSamples(length, movieRate)))
}

func (w *MP4Writer) appendTrak(b []byte, i int) []byte {
	t := &w.open.tracks[i]
	b, trak := openBox(b, "trak")
	b, tkhd := openBox(b, "tkhd")
	b = be32(b, 3, 0, 0, i+1, 0, 0, 0, 0) // enabled, in the movie
	volume := 0
	if !t.Codec.Video() {
		volume = 1 << 8
	}
	b = be16(b, 0, 0, volume, 0)
	b = be32(b, unity[:]...)
	b = be32(b, t.Width<<16, t.Height<<16)
	b = closeBox(b, tkhd)
	if skip := t.PreSkip + int(w.fragment[i].delay); skip > 0 {
		// What is heard or seen at zero (ISO/IEC 14496-12 section 8.6.6); the edit
		// goes on to the end of all fragments.
		b = box(b, "edts", box(nil, "elst", be32(nil, 0, 1, 0, skip, 1<<16)))
	}

	b, mdia := openBox(b, "mdia")
	b = box(b, "mdhd", be32(nil, 0, 0, 0, w.rate(i), 0, 0x55C40000)) // language und
	handler, name, header := "soun", "audio", box(nil, "smhd", be32(nil, 0, 0))
	if t.Codec.Video() {
		handler, name, header = "vide", "video", box(nil, "vmhd", be32(nil, 1, 0, 0))
	}
	b = box(b, "hdlr", be32(nil, 0, 0), []byte(handler), be32(nil, 0, 0, 0), []byte(name), []byte{0})
	b, minf := openBox(b, "minf")
	b = append(b, header...)
	b = box(b, "dinf", box(nil, "dref", be32(nil, 0, 1), box(nil, "url ", be32(nil, 1))))
	b, stbl := openBox(b, "stbl")
	b = box(b, "stsd", be32(nil, 0, 1), w.appendEntry(nil, i))
	for _, kind := range []string{"stts", "stsc", "stco"} {
		b = box(b, kind, be32(nil, 0, 0))
	}
	b = box(b, "stsz", be32(nil, 0, 0, 0))
	b = closeBox(b, stbl)
	b = closeBox(b, minf)
	b = closeBox(b, mdia)
	return closeBox(b, trak)
}

// appendEntry appends the sample entry of a track.
func (w *MP4Writer) appendEntry(b []byte, i int) []byte {
	t := &w.open.tracks[i]
	entry := be16(nil, 0, 0, 0, 1) // the data is in this file
	if t.Codec.Video() {
		kind := "avc1"
		if !w.open.sets[i].complete() {
			kind = "avc3" // the parameter sets are in the stream
		}
		entry = be32(entry, 0, 0, 0, 0)
		entry = be16(entry, t.Width, t.Height)
		entry = be32(entry, 72<<16, 72<<16, 0)
		entry = be16(entry, 1)
		entry = append(entry, make([]byte, 32)...)
		entry = be16(entry, 24, 0xFFFF)
		return box(b, kind, entry, box(nil, "avcC", w.open.sets[i].appendAVCC(nil)))
	}
	entry = be32(entry, 0, 0)
	entry = be16(entry, t.Channels, 16, 0, 0)
	entry = be32(entry, t.Rate<<16) // what does not fit is in the configuration
	if t.Codec == AAC {
		return box(b, "mp4a", entry, box(nil, "esds", be32(nil, 0), appendESDescriptor(nil, t.Config)))
	}
	return box(b, "Opus", entry, box(nil, "dOps", opusBox(t.Config)))
}

// opusBox turns a header packet into the OpusSpecificBox: big-endian, of version
// 0, and without the magic.
func opusBox(head []byte) []byte {
	le := binary.LittleEndian
	b := []byte{0, head[9]}
	b = be16(b, int(le.Uint16(head[10:])))
	b = be32(b, int(le.Uint32(head[12:])))
	b = be16(b, int(le.Uint16(head[16:])))
	if b = append(b, head[18]); head[18] != 0 {
		b = append(b, head[19:21+int(head[9])]...)
	}
	return b
}

// appendESDescriptor appends the descriptor of a track of AAC (ISO/IEC 14496-1
// section 7.2.6.5, 14496-14 section 3.1).
func appendESDescriptor(b, config []byte) []byte {
	n := len(config) // at most 64: each size has one byte
	b = append(b, 3, byte(3+2+13+2+n+3), 0, 0, 0)
	b = append(b, 4, byte(13+2+n), 0x40, 0x15) // audio of MPEG-4, a stream of audio
	b = append(b, make([]byte, 11)...)         // sizes and rates that are not known
	b = append(b, 5, byte(n))
	b = append(b, config...)
	return append(b, 6, 1, 2)
}
