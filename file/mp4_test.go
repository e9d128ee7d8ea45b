package file_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// A box of ISO/IEC 14496-12 section 4.2.
type mp4Box struct {
	kind string
	data []byte
	pos  int // in the file
}

func boxes(t testing.TB, b []byte, pos int) (all []mp4Box) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 8 || int(binary.BigEndian.Uint32(b)) < 8 || int(binary.BigEndian.Uint32(b)) > len(b) {
			t.Fatalf("broken box at %d of %d bytes: %x", pos, len(b), b[:min(len(b), 16)])
		}
		n := int(binary.BigEndian.Uint32(b))
		all = append(all, mp4Box{string(b[4:8]), b[8:n], pos})
		b, pos = b[n:], pos+n
	}
	return all
}

// find returns the first box on a path.
func find(t testing.TB, all []mp4Box, path ...string) mp4Box {
	t.Helper()
	for _, b := range all {
		if b.kind == path[0] {
			if len(path) == 1 {
				return b
			}
			return find(t, boxes(t, b.data, b.pos+8), path[1:]...)
		}
	}
	t.Fatalf("no box %s", path)
	return mp4Box{}
}

type mp4Sample struct {
	decoding, duration, time int64
	key                      bool
	data                     string
}

// fragments returns the samples of each track, and how many there are fragments.
func fragments(t testing.TB, b []byte) (samples map[int][]mp4Sample, n int) {
	t.Helper()
	samples = map[int][]mp4Sample{}
	be := binary.BigEndian
	for _, moof := range boxes(t, b, 0) {
		if moof.kind != "moof" {
			continue
		}
		n++
		for _, traf := range boxes(t, moof.data, moof.pos+8) {
			if traf.kind == "mfhd" {
				if got := be.Uint32(traf.data[4:]); got != uint32(n) {
					t.Fatalf("fragment %d has number %d", n, got)
				}
				continue
			}
			parts := boxes(t, traf.data, traf.pos+8)
			id := int(be.Uint32(find(t, parts, "tfhd").data[4:]))
			at := int64(be.Uint64(find(t, parts, "tfdt").data[4:]))
			trun := find(t, parts, "trun").data
			count, data := int(be.Uint32(trun[4:])), moof.pos+int(be.Uint32(trun[8:]))
			composed := be.Uint32(trun)&0x800 != 0
			trun = trun[12:]
			for range count {
				size := int(be.Uint32(trun[4:]))
				s := mp4Sample{decoding: at, duration: int64(be.Uint32(trun)), time: at}
				s.key = be.Uint32(trun[8:]) == 0x02000000
				trun = trun[12:]
				if composed {
					s.time += int64(int32(be.Uint32(trun)))
					trun = trun[4:]
				}
				s.data = string(b[data : data+size])
				samples[id] = append(samples[id], s)
				at, data = at+s.duration, data+size
			}
		}
	}
	return samples, n
}

func mp4(t testing.TB, tracks []file.Track, packets []file.Packet) []byte {
	t.Helper()
	m := &memory{limit: math.MaxInt}
	w, err := file.NewMP4Writer(m, tracks)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, packets)
	finish(t, w)
	finish(t, w)
	return m.b
}

func TestMP4Fragments(t *testing.T) {
	b := mp4(t, []file.Track{{Codec: file.H264}, opusTrack}, together(video(100, h264), sound(1, 200, preSkip)))
	moov := boxes(t, b, 0)
	avcC := find(t, boxes(t, find(t, moov, "moov", "trak", "mdia", "minf", "stbl", "stsd").data[8:], 0)[0:1], "avc1").data
	if w, h := binary.BigEndian.Uint16(avcC[24:]), binary.BigEndian.Uint16(avcC[26:]); w != 198 || h != 130 {
		t.Errorf("the picture has %dx%d", w, h)
	}
	config := find(t, boxes(t, avcC[78:], 0), "avcC").data
	want := fmt.Sprintf("\x01\x42\xC0\x0B\xFF\xE1\x00%c%s\x01\x00%c%s", len(sps), sps, len(pps), pps)
	if string(config) != want {
		t.Errorf("avcC is %x, want %x", config, want)
	}

	samples, n := fragments(t, b)
	if n != 5 { // of 4 s of pictures: the key frame of each 400 ms is a cut after half a second
		t.Errorf("%d fragments", n)
	}
	if len(samples[1]) != 100 || len(samples[2]) != 200 {
		t.Fatalf("%d pictures and %d packets of sound", len(samples[1]), len(samples[2]))
	}
	for i, s := range samples[1] {
		nal := slice(i%10 == 0, true, i)
		want := mp4Sample{int64(i) * 3600, 3600, int64(i) * 3600, i%10 == 0, "\x00\x00\x00" + string(rune(len(nal))) + string(nal)}
		if i == 99 {
			want.duration = s.duration // nothing tells
		}
		if s != want {
			t.Errorf("picture %d is %+v, want %+v", i, s, want)
		}
	}
	for i, s := range samples[2] {
		if want := (mp4Sample{int64(i) * 960, 960, int64(i) * 960, true, string(opus(i))}); s != want {
			t.Errorf("packet %d is %+v, want %+v", i, s, want)
		}
	}
}

// wholeBoxes returns the boxes that are not cut off, and what is behind them.
func wholeBoxes(b []byte) (whole []byte, rest int) {
	n := 0
	for n+8 <= len(b) && n+int(binary.BigEndian.Uint32(b[n:])) <= len(b) {
		n += int(binary.BigEndian.Uint32(b[n:]))
	}
	return b[:n], len(b) - n
}

// Each fragment is in the file as soon as it is complete.
func TestMP4IsPlayableAtEachWrite(t *testing.T) {
	var (
		done time.Duration
		m    = &memory{limit: math.MaxInt}
	)
	m.after = func(b []byte) {
		whole, rest := wholeBoxes(b)
		if rest > 0 {
			t.Fatalf("%d bytes of a box that is not complete after %v", rest, done)
		}
		samples, _ := fragments(t, whole)
		if n := len(samples[1]); time.Duration(n)*picture < done-1100*ms {
			t.Fatalf("%d pictures after %v", n, done)
		}
	}
	w, err := file.NewMP4Writer(m, []file.Track{{Codec: file.H264}, opusTrack})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range together(video(200, h264), sound(1, 400, preSkip)) {
		done = p.Time
		if err := w.WritePacket(&p); err != nil {
			t.Fatal(err)
		}
		if whole, _ := wholeBoxes(m.b); done > 1100*ms && len(whole) == 0 {
			t.Fatalf("nothing after %v", done)
		}
	}
	finish(t, w)
}

// Pictures that are shown in another order than they are decoded have the times
// of both, the latter never later.
func TestMP4ReorderedPictures(t *testing.T) {
	var in []file.Packet
	// I0 P4 B2 B1 B3 P8 B6 B5 B7 ...
	for i := range 25 {
		for j, back := range []int{0, 2, 3, 1} {
			if n := 4*i - back; n >= 0 {
				in = append(in, file.Packet{Time: time.Duration(n) * picture, Key: n == 0, Data: h264(n == 0, 4*i+j)})
			}
		}
	}
	// Sound ahead of them must not end a fragment where pictures are missing.
	var all []file.Packet
	for i := range in {
		all = append(all, in[i],
			file.Packet{Track: 1, Time: time.Duration(2*i+12) * 20 * ms, Data: opus(i)},
			file.Packet{Track: 1, Time: time.Duration(2*i+13) * 20 * ms, Data: opus(i)})
	}
	b := mp4(t, []file.Track{{Codec: file.H264}, {Codec: file.Opus}}, all)
	elst := find(t, boxes(t, b, 0), "moov", "trak", "edts", "elst").data
	delay := int64(binary.BigEndian.Uint32(elst[12:]))
	if delay != 2*3600 {
		t.Errorf("pictures are shown %d ticks later", delay)
	}
	samples, n := fragments(t, b)
	if len(samples[1]) != len(in) || n < 3 {
		t.Fatalf("%d pictures in %d fragments, want %d", len(samples[1]), n, len(in))
	}
	last := int64(-1)
	for i, s := range samples[1] {
		if want := int64(in[i].Time/picture)*3600 + delay; s.time != want {
			t.Errorf("picture %d is shown at %d, want %d", i, s.time, want)
		}
		if s.decoding > s.time || s.decoding <= last {
			t.Errorf("picture %d is decoded at %d, after %d, shown at %d", i, s.decoding, last, s.time)
		}
		last = s.decoding
	}
}

// Pictures that are not reordered in the first fragment may be later on: then too none
// is decoded after it is shown.
func TestMP4ReorderedLater(t *testing.T) {
	var in []file.Packet
	add := func(n int) {
		in = append(in, file.Packet{Time: time.Duration(n) * picture, Key: n == 0, Data: h264(n == 0, n)})
	}
	for n := range 30 {
		add(n)
	}
	for n := 33; n < 90; n += 4 { // P4 B2 B1 B3
		for _, back := range []int{0, 2, 3, 1} {
			add(n - back)
		}
	}
	samples, n := fragments(t, mp4(t, []file.Track{{Codec: file.H264}}, in))
	if len(samples[1]) != len(in) || n < 3 {
		t.Fatalf("%d pictures in %d fragments, want %d", len(samples[1]), n, len(in))
	}
	last := int64(-1)
	for i, s := range samples[1] {
		if want := int64(in[i].Time/picture) * 3600; s.time != want {
			t.Errorf("picture %d is shown at %d, want %d", i, s.time, want)
		}
		if s.decoding > s.time || s.decoding <= last {
			t.Errorf("picture %d is decoded at %d, after %d, shown at %d", i, s.decoding, last, s.time)
		}
		last = s.decoding
	}
}

// A pause stays one.
func TestMP4TimesJump(t *testing.T) {
	track := []file.Track{opusTrack}
	in := sound(0, 10, preSkip)
	for i := 5; i < 10; i++ {
		in[i].Time += time.Hour
	}
	samples, _ := fragments(t, mp4(t, track, in))
	for i, s := range samples[1] {
		at := int64(i) * 960
		if i >= 5 {
			at += 3600 * 48000
		}
		if s.decoding != at {
			t.Errorf("packet %d is at %d, want %d", i, s.decoding, at)
		}
		if i < 9 && s.decoding+s.duration != samples[1][i+1].decoding {
			t.Errorf("packet %d is at %d for %d, and the next at %d", i, s.decoding, s.duration, samples[1][i+1].decoding)
		}
	}
}

// Where times go back, each track goes on without a pause, and as fast as before, also
// where that is not at the end of a fragment, and where one goes back alone.
func TestMP4TimesGoBack(t *testing.T) {
	pictures, packets := video(100, h264), sound(1, 200, 0)
	for i := range pictures {
		if i >= 50 { // at a key frame
			pictures[i].Time -= 2 * time.Second
		}
	}
	for i := range packets {
		if i >= 100 {
			packets[i].Time -= 2 * time.Second
		}
		if i >= 180 { // by less than what is in a fragment
			packets[i].Time -= 100 * ms
		}
	}
	in := together(pictures[:50], packets[:100])
	in = append(in, together(pictures[50:], packets[100:180])...)
	in = append(in, packets[180:]...)
	samples, n := fragments(t, mp4(t, []file.Track{{Codec: file.H264}, {Codec: file.Opus}}, in))
	if n > 8 {
		t.Errorf("%d fragments of 4 s", n)
	}
	for i, s := range samples[1] {
		if s.time != int64(i)*3600 || s.decoding != s.time || i < 99 && s.duration != 3600 {
			t.Fatalf("picture %d is %+v", i, s)
		}
	}
	for i, s := range samples[2] {
		if s.time != int64(i)*960 || s.duration != 960 {
			t.Fatalf("packet %d is %+v", i, s)
		}
	}
}

func TestMP4OfNothing(t *testing.T) {
	b := mp4(t, []file.Track{{Codec: file.AAC, Rate: 48000, Channels: 2, Config: []byte{0x11, 0x90}}}, nil)
	esds := find(t, boxes(t, find(t, boxes(t, b, 0), "moov", "trak", "mdia", "minf", "stbl", "stsd").data[8:], 0), "mp4a").data
	if !bytes.Contains(esds, []byte{5, 2, 0x11, 0x90, 6, 1, 2}) {
		t.Errorf("esds is %x", esds)
	}
	if _, n := fragments(t, b); n != 0 {
		t.Errorf("%d fragments", n)
	}
}

// Players that find no duration take that of the first fragments for it, and seek no
// further.
func TestMP4Duration(t *testing.T) {
	tracks := []file.Track{{Codec: file.H264}, opusTrack}
	packets := together(video(100, h264), sound(1, 200, preSkip))
	last := packets[len(packets)-1]
	last.Time += time.Hour
	mvex := find(t, boxes(t, mp4(t, tracks, append(packets, last)), 0), "moov", "mvex")
	mehd := find(t, boxes(t, mvex.data, 0), "mehd").data
	end := last.Time + 20*time.Millisecond
	if got := binary.BigEndian.Uint64(mehd[4:]); mehd[0] != 1 || got != uint64(end.Round(time.Millisecond).Milliseconds()) {
		t.Errorf("the file lasts %d ms, want %v", got, end)
	}

	var pipe bytes.Buffer
	w, err := file.NewMP4Writer(&pipe, tracks)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, packets)
	finish(t, w)
	for _, b := range boxes(t, find(t, boxes(t, pipe.Bytes(), 0), "moov", "mvex").data, 0) {
		if b.kind != "trex" {
			t.Errorf("a box %s in what cannot be completed", b.kind)
		}
	}
}
