package file_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// element makes an EBML element with the size in a single byte or in eight (RFC
// 8794 section 6).
func element(id uint32, parts ...[]byte) []byte {
	data := slices.Concat(parts...)
	b := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	if len(data) < 127 {
		b = append(b, 0x80|byte(len(data)))
	} else {
		b = binary.BigEndian.AppendUint64(b, 1<<56|uint64(len(data)))
	}
	return append(b, data...)
}

// unsized is an element of unknown size.
func unsized(id uint32, parts ...[]byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, id), 0xFF), slices.Concat(parts...)...)
}

func text(s string) []byte { return []byte(s) }

// The elements that tests are made of (RFC 9559 section 5.1).
func ebml(more ...[]byte) []byte {
	return element(0x1A45DFA3, element(0x4282, text("webm")), slices.Concat(more...))
}

func trackEntry(number byte, codec string, more ...[]byte) []byte {
	return element(0xAE, element(0xD7, []byte{number}), element(0x86, text(codec)), slices.Concat(more...))
}

func tracksElement(entries ...[]byte) []byte { return element(0x1654AE6B, entries...) }

func clusterTime(ticks ...byte) []byte { return element(0xE7, ticks) }

// simple is a SimpleBlock: track, time, flags, and the rest.
func simple(track, at, flags byte, data ...[]byte) []byte {
	return element(0xA3, []byte{0x80 | track, 0, at, flags}, slices.Concat(data...))
}

var vp8Entry = trackEntry(1, "V_VP8", element(0xE0, element(0xB0, []byte{1, 0x40}), element(0xBA, []byte{0xF0})))

func webm(cluster ...[]byte) []byte {
	return slices.Concat(ebml(), unsized(0x18538067, tracksElement(vp8Entry), unsized(0x1F43B675, cluster...)))
}

type want struct {
	track    int
	at       time.Duration
	duration time.Duration
	key      bool
	data     string
}

func TestReadWebM(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want []want
	}{
		{
			"simple block", webm(clusterTime(1, 0), simple(1, 5, 0x80, text("key")), simple(1, 6, 0, text("delta"))),
			[]want{{0, 261 * ms, 0, true, "key"}, {0, 262 * ms, 0, false, "delta"}},
		},
		{
			"negative time in a cluster", webm(clusterTime(100), element(0xA3, []byte{0x81, 0xFF, 0xFE, 0x80}, text("x"))),
			[]want{{0, 98 * ms, 0, true, "x"}},
		},
		// RFC 9559 section 10.3: the lengths of the examples there are 800, 500
		// and 1000; these are 3, 260 and 2.
		{
			"Xiph lacing", webm(clusterTime(0), simple(1, 0, 0x82, []byte{2, 3, 255, 5}, text("aaa"), bytes.Repeat([]byte("b"), 260), text("cc"))),
			[]want{{0, 0, 0, true, "aaa"}, {0, 0, 0, true, string(bytes.Repeat([]byte("b"), 260))}, {0, 0, 0, true, "cc"}},
		},
		{
			"EBML lacing", webm(clusterTime(0),
				simple(1, 0, 0x86, []byte{2, 0x83, 0xBF + 1}, text("aaa"), text("bbbb"), text("cc"))),
			[]want{{0, 0, 0, true, "aaa"}, {0, 0, 0, true, "bbbb"}, {0, 0, 0, true, "cc"}},
		},
		{
			"EBML lacing, shorter", webm(clusterTime(0), simple(1, 0, 0x86, []byte{2, 0x83, 0xBF - 2}, text("aaa"), text("b"), text("cc"))),
			[]want{{0, 0, 0, true, "aaa"}, {0, 0, 0, true, "b"}, {0, 0, 0, true, "cc"}},
		},
		{
			"fixed lacing", webm(clusterTime(0), simple(1, 0, 0x84, []byte{1}, text("aabb"))),
			[]want{{0, 0, 0, true, "aa"}, {0, 0, 0, true, "bb"}},
		},
		{
			"laced Opus has times", slices.Concat(ebml(), unsized(0x18538067,
				tracksElement(trackEntry(7, "A_OPUS", element(0x63A2, text("OpusHead\x01\x01\x00\x00\x80\xBB\x00\x00\x00\x00\x00")))),
				unsized(0x1F43B675, clusterTime(9), simple(7, 0, 0x84, []byte{2}, opus(1)[:4], opus(2)[:4], opus(3)[:4])))),
			[]want{{0, 9 * ms, 20 * ms, true, "\xF8pac"}, {0, 29 * ms, 20 * ms, true, "\xF8pac"}, {0, 49 * ms, 20 * ms, true, "\xF8pac"}},
		},
		{
			"block groups", webm(clusterTime(0),
				element(0xA0, element(0xA1, []byte{0x81, 0, 1, 0}, text("key")), element(0x9B, []byte{7})),
				element(0xA0, element(0xFB, []byte{0xFF}), element(0xA1, []byte{0x81, 0, 8, 0}, text("delta")))),
			[]want{{0, ms, 7 * ms, true, "key"}, {0, 8 * ms, 0, false, "delta"}},
		},
		{
			"empty frames", webm(clusterTime(0), simple(1, 0, 0x80), simple(1, 1, 0x84, []byte{3}), simple(1, 2, 0x80, text("x"))),
			[]want{{0, 2 * ms, 0, true, "x"}},
		},
		{
			"a track that is not known", webm(clusterTime(0), simple(2, 0, 0x80, text("other")), simple(1, 2, 0x80, text("x"))),
			[]want{{0, 2 * ms, 0, true, "x"}},
		},
		{
			"things between", webm(element(0xEC, make([]byte, 300)), element(0xBF, []byte{1, 2, 3, 4}), clusterTime(0), element(0xAB, []byte{9}), simple(1, 2, 0x80, text("x")),
				element(0x1C53BB6B, make([]byte, 9)), element(0x1254C367, make([]byte, 9)), unsized(0x1F43B675, clusterTime(9), simple(1, 1, 0x80, text("y")))),
			[]want{{0, 2 * ms, 0, true, "x"}, {0, 10 * ms, 0, true, "y"}},
		},
		{
			"document type with zeros after it", slices.Concat(element(0x1A45DFA3, element(0x4282, text("matroska\x00\x00"))),
				unsized(0x18538067, tracksElement(vp8Entry), element(0x1F43B675, clusterTime(3), simple(1, 0, 0x80, text("x"))))),
			[]want{{0, 3 * ms, 0, true, "x"}},
		},
		{
			"ticks of 10 us", slices.Concat(ebml(), unsized(0x18538067, element(0x1549A966, element(0x2AD7B1, []byte{0x27, 0x10})), tracksElement(vp8Entry),
				element(0x1F43B675, clusterTime(3), simple(1, 2, 0x80, text("x"))))),
			[]want{{0, 50 * time.Microsecond, 0, true, "x"}},
		},
		{
			"stripped headers", slices.Concat(ebml(), unsized(0x18538067,
				tracksElement(trackEntry(1, "V_VP8", element(0x6D80, element(0x6240, element(0x5034, element(0x4254, []byte{3}), element(0x4255, text("pre"))))))),
				element(0x1F43B675, clusterTime(0), simple(1, 0, 0, text("fix"))))),
			[]want{{0, 0, 0, false, "prefix"}},
		},
		{
			"compressed track", slices.Concat(ebml(), unsized(0x18538067,
				tracksElement(trackEntry(2, "V_VP8", element(0x6D80, element(0x6240, element(0x5034, element(0x4254, []byte{0}))))), vp8Entry),
				element(0x1F43B675, clusterTime(0), simple(2, 0, 0x80, text("zlib")), simple(1, 0, 0x80, text("x"))))),
			[]want{{0, 0, 0, true, "x"}},
		},
		{
			"a track whose compression is not told", slices.Concat(ebml(), unsized(0x18538067,
				tracksElement(trackEntry(2, "V_VP8", element(0x6D80, element(0x6240, element(0x5034)))), vp8Entry),
				element(0x1F43B675, clusterTime(0), simple(2, 0, 0x80, text("zlib")), simple(1, 0, 0x80, text("x"))))),
			[]want{{0, 0, 0, true, "x"}},
		},
		{
			"default duration", slices.Concat(ebml(), unsized(0x18538067, tracksElement(trackEntry(1, "V_VP8", element(0x23E383, []byte{0x98, 0x96, 0x80}))),
				element(0x1F43B675, clusterTime(0), simple(1, 0, 0x84, []byte{1}, text("ab"))))),
			[]want{{0, 0, 10 * ms, true, "a"}, {0, 10 * ms, 10 * ms, true, "b"}},
		},
		{
			"numbers that are longer than they need to be", slices.Concat(ebml(), unsized(0x18538067, tracksElement(vp8Entry),
				append([]byte{0x1F, 0x43, 0xB6, 0x75, 0x08, 0, 0, 0, 12}, slices.Concat([]byte{0xE7, 0x40, 1, 7}, []byte{0xA3, 0x20, 0, 5, 0x81, 0, 0, 0x80, 'x'})...))),
			[]want{{0, 7 * ms, 0, true, "x"}},
		},
		{
			"AAC", slices.Concat(ebml(), unsized(0x18538067,
				tracksElement(trackEntry(1, "A_AAC", element(0x63A2, []byte{0x11, 0x88}), element(0xE1, element(0xB5, []byte{0x47, 0x3B, 0x80, 0})))),
				element(0x1F43B675, clusterTime(0), simple(1, 0, 0x80, text("frame"))))),
			[]want{{0, 0, 1024 * time.Second / 48000, true, "frame"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := file.NewWebMReader(bytes.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readPackets(r)
			if err != nil {
				t.Fatal(err)
			}
			var all []want
			for _, p := range got {
				all = append(all, want{p.Track, p.Time, p.Duration, p.Key, string(p.Data)})
			}
			if len(all) == 1 && (all[0].duration-tt.want[0].duration).Abs() <= 1 {
				all[0].duration = tt.want[0].duration // rounded
			}
			if !slices.Equal(all, tt.want) {
				t.Errorf("read %+v, want %+v", all, tt.want)
			}
		})
	}
}

func TestReadMalformedWebM(t *testing.T) {
	opened := func(body ...[]byte) []byte { return slices.Concat(ebml(), unsized(0x18538067, body...)) }
	h264Entry := func(avcc ...byte) []byte {
		return opened(tracksElement(trackEntry(1, "V_MPEG4/ISO/AVC", element(0x63A2, avcc))), element(0x1F43B675, clusterTime(0), simple(1, 0, 0x80, []byte{0, 0, 0, 9, 0x65})))
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, io.ErrUnexpectedEOF},
		{"text", text("hello, world"), file.ErrMalformed},
		{"another document type", element(0x1A45DFA3, element(0x4282, text("odd"))), errors.ErrUnsupported},
		{"longer IDs", ebml(element(0x42F2, []byte{5})), errors.ErrUnsupported},
		{"longer sizes", ebml(element(0x42F3, []byte{9})), errors.ErrUnsupported},
		{"later version", ebml(element(0x42F7, []byte{2})), errors.ErrUnsupported},
		{"no end of the header", ebml()[:9], io.ErrUnexpectedEOF},
		{"broken header", element(0x1A45DFA3, []byte{0x42, 0x82, 0x85}), file.ErrMalformed},
		{"large header", append([]byte{0x1A, 0x45, 0xDF, 0xA3}, 0x10, 0xFF, 0xFF, 0xFF), file.ErrMalformed},
		{"no tracks", opened(unsized(0x1F43B675)), errors.ErrUnsupported},
		{"nothing", opened(), io.ErrUnexpectedEOF},
		{"tracks of unknown size", opened(unsized(0x1654AE6B)), file.ErrMalformed},
		{"no track number", opened(tracksElement(element(0xAE, element(0x86, text("V_VP8"))))), file.ErrMalformed},
		{"other codec", opened(tracksElement(trackEntry(1, "S_TEXT/UTF8")), unsized(0x1F43B675)), errors.ErrUnsupported},
		{"Opus without header", opened(tracksElement(trackEntry(1, "A_OPUS"))), file.ErrMalformed},
		{"broken avcC", h264Entry(1, 66, 0, 30, 0xFF, 0xE1, 0, 200, 1), file.ErrMalformed},
		{"avcC with lengths of three bytes", h264Entry(1, 66, 0, 30, 0xFE, 0xE0, 0), file.ErrMalformed},
		{"a NAL unit beyond its frame", h264Entry(1, 66, 0, 30, 0xFF, 0xE0, 0), file.ErrMalformed},
		{"ticks of 0", opened(element(0x1549A966, element(0x2AD7B1, []byte{0}))), file.ErrMalformed},
		{"cluster in a hundred years", webm(element(0xE7, []byte{0x10, 0, 0, 0, 0, 0})), file.ErrMalformed},
		{"long block", webm([]byte{0xA3, 0x11, 0xFF, 0xFF, 0xFF}), file.ErrMalformed},
		{"short block", webm(clusterTime(0), element(0xA3, []byte{0x81, 0})), file.ErrMalformed},
		{"cut block", webm(clusterTime(0), simple(1, 0, 0, text("xyz"))[:6]), io.ErrUnexpectedEOF},
		{"no element", webm(clusterTime(0), []byte{0x00, 0x80}), file.ErrMalformed},
		{"lace without count", webm(clusterTime(0), simple(1, 0, 2)), file.ErrMalformed},
		{"Xiph lace beyond the block", webm(clusterTime(0), simple(1, 0, 2, []byte{1, 9}, text("x"))), file.ErrMalformed},
		{"Xiph lace without end", webm(clusterTime(0), simple(1, 0, 2, []byte{1, 255, 255})), file.ErrMalformed},
		{"EBML lace below zero", webm(clusterTime(0), simple(1, 0, 6, []byte{2, 0x81, 0x80}, text("xyz"))), file.ErrMalformed},
		{"fixed lace with a rest", webm(clusterTime(0), simple(1, 0, 4, []byte{1}, text("xyz"))), file.ErrMalformed},
		{"broken group", webm(clusterTime(0), element(0xA0, []byte{0xA1, 0x85})), file.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := file.NewWebMReader(bytes.NewReader(tt.in))
			if err == nil {
				_, err = readPackets(r)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
		})
	}
}

// The finished file has a duration, an index that leads to key frames, and no
// unknown size.
func TestWebMIsCompleted(t *testing.T) {
	m := &memory{limit: math.MaxInt, b: []byte("before"), pos: 6}
	w, err := file.NewWebMWriter(m, []file.Track{{Codec: file.VP8}, opusTrack})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, together(video(1000, vp8), sound(1, 2000, preSkip)))
	finish(t, w)
	b := m.b[6:]
	r, err := file.NewWebMReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := r.Duration(); !ok || (d-40*time.Second).Abs() > 10*ms {
		t.Errorf("Duration is %v, %t", d, ok)
	}
	// Segment of a known size, to the end of the file.
	at := bytes.Index(b, []byte{0x18, 0x53, 0x80, 0x67, 0x01})
	size := int(binary.BigEndian.Uint64(b[at+4:]) &^ (1 << 56))
	segment := at + 12
	if at < 0 || segment+size != len(b) {
		t.Errorf("the segment has %d bytes, the file %d from there", size, len(b)-segment)
	}
	if i := bytes.Index(b, []byte{0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}); i >= 0 {
		t.Errorf("the cluster at %d has no size", i)
	}
	// Each cue leads to a cluster whose first block is a key frame.
	cues := bytes.LastIndex(b, []byte{0x1C, 0x53, 0xBB, 0x6B})
	if seek := bytes.Index(b, []byte{0x53, 0xAB, 0x84, 0x1C, 0x53, 0xBB, 0x6B}); seek < 0 || segment+int(binary.BigEndian.Uint64(b[seek+10:])) != cues {
		t.Errorf("the index is not where it is said to be")
	}
	n := 0
	for p := cues; ; n++ {
		i := bytes.Index(b[p:], []byte{0xF1})
		if i < 0 {
			break
		}
		p += i
		length := int(b[p+1] & 0x7F)
		pos := 0
		for _, c := range b[p+2 : p+2+length] {
			pos = pos<<8 | int(c)
		}
		p += 2 + length
		cluster := b[segment+pos:]
		block := bytes.IndexByte(cluster[12:], 0xA3) + 12
		if !bytes.HasPrefix(cluster, []byte{0x1F, 0x43, 0xB6, 0x75}) || cluster[block+2] != 0x81 || cluster[block+5] != 0x80 {
			t.Errorf("cue %d does not lead to a key frame: %x", n, cluster[:min(len(cluster), 32)])
		}
	}
	if n < 30 || n > 100 {
		t.Errorf("%d cues", n)
	}
}

// Sound that begins long before the picture waits for its size no longer than
// three seconds.
func TestWebMHeaderDoesNotWaitForEver(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewWebMWriter(&b, []file.Track{{Codec: file.VP8}, opusTrack})
	if err != nil {
		t.Fatal(err)
	}
	in := sound(1, 300, 0)
	for i := range in {
		if err := w.WritePacket(&in[i]); err != nil {
			t.Fatal(err)
		}
		if in[i].Time < 3*time.Second && b.Len() > 0 {
			t.Fatalf("written at %v", in[i].Time)
		}
		if in[i].Time > 4*time.Second && b.Len() == 0 {
			t.Fatalf("nothing written at %v", in[i].Time)
		}
	}
	late := file.Packet{Time: 6 * time.Second, Key: true, Data: vp8(true, 0)}
	write(t, w, []file.Packet{late})
	finish(t, w)
	r, err := file.NewWebMReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, append(in, late), ms/2)
}

// Times may jump, forward and back, further than a cluster can hold.
func TestWebMTimesJump(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewWebMWriter(&b, []file.Track{{Codec: file.VP8, Width: 320, Height: 240}})
	if err != nil {
		t.Fatal(err)
	}
	var in []file.Packet
	for i, at := range []time.Duration{0, time.Hour, time.Second, 0, 32768 * ms, 100 * time.Hour, 3 * time.Second} {
		in = append(in, file.Packet{Time: at, Key: true, Data: vp8(true, i)})
	}
	write(t, w, in)
	finish(t, w)
	r, err := file.NewWebMReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, in, 0)
}

// What an encoder added at the end is told to the player.
func TestWebMTrimsTheEnd(t *testing.T) {
	var b bytes.Buffer
	w, err := file.NewWebMWriter(&b, []file.Track{opusTrack})
	if err != nil {
		t.Fatal(err)
	}
	in := sound(0, 3, preSkip)
	in[2].Duration = 7 * ms
	write(t, w, in)
	finish(t, w)
	r, err := file.NewWebMReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, in, ms/2)
}

// The last picture lasts as long as others do, also after a gap.
func TestWebMLastPicture(t *testing.T) {
	for _, times := range [][]time.Duration{
		{0, 40 * ms, 80 * ms, 120 * ms},
		{0, 40 * ms, 80 * ms, 3240 * ms},
		{0, 40 * ms, 3200 * ms, 3240 * ms},
		{0, 120 * ms, 40 * ms, 80 * ms, 240 * ms, 160 * ms, 200 * ms},
	} {
		m := &memory{limit: math.MaxInt}
		w, err := file.NewWebMWriter(m, []file.Track{{Codec: file.VP8}})
		if err != nil {
			t.Fatal(err)
		}
		var in []file.Packet
		for i, at := range times {
			in = append(in, file.Packet{Time: at, Key: i == 0, Data: vp8(i == 0, i)})
		}
		write(t, w, in)
		finish(t, w)
		r, err := file.NewWebMReader(bytes.NewReader(m.b))
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := r.Duration(); !ok || d != slices.Max(times)+40*ms {
			t.Errorf("pictures at %v: Duration is %v, %t", times, d, ok)
		}
	}
}
