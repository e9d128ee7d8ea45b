package file_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

// fuzzReader reads in, which must end in one of the errors that are promised and
// give no more than most bytes for each of its own, and writes what was read to a
// file of another kind, from which it must come back.
func fuzzReader(t *testing.T, in []byte, most int, open func(io.Reader) (file.PacketReader, error),
	create func(io.Writer, []file.Track) (file.PacketWriter, error), again func(io.Reader) (file.PacketReader, error), within time.Duration,
) {
	r, err := open(bytes.NewReader(in))
	if err != nil {
		expected(t, err, errors.ErrUnsupported)
		return
	}
	var (
		p     file.Packet
		all   []file.Packet
		bytes int
	)
	for err == nil {
		if err = r.ReadPacket(&p); err != nil {
			break
		}
		if p.Track < 0 || p.Track >= len(r.Tracks()) || len(p.Data) == 0 || p.Duration < 0 || p.Time > 20000*time.Hour {
			t.Fatalf("packet of track %d at %v for %v with %d bytes", p.Track, p.Time, p.Duration, len(p.Data))
		}
		if bytes += len(p.Data); bytes > most*(len(in)+64) {
			t.Fatalf("%d bytes from %d", bytes, len(in))
		}
		q := p
		q.Data = slices.Clone(p.Data)
		all = append(all, q)
	}
	if err != io.EOF {
		expected(t, err, nil)
	}
	comeBack(t, r.Tracks(), all, create, again, within)
}

func expected(t *testing.T, err, or error) {
	t.Helper()
	if !errors.Is(err, file.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) && (or == nil || !errors.Is(err, or)) {
		t.Fatalf("the error is %v", err)
	}
}

func comeBack(t *testing.T, tracks []file.Track, all []file.Packet, create func(io.Writer, []file.Track) (file.PacketWriter, error),
	again func(io.Reader) (file.PacketReader, error), within time.Duration,
) {
	m := &memory{limit: math.MaxInt}
	w, err := create(m, tracks)
	if errors.Is(err, file.ErrTrack) || errors.Is(err, errors.ErrUnsupported) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	begun := make([]bool, len(tracks))
	var want []file.Packet
	for _, p := range all {
		err := w.WritePacket(&p)
		if err != nil && !errors.Is(err, file.ErrPacket) {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		if begun[p.Track] = begun[p.Track] || p.Key; begun[p.Track] {
			want = append(want, p)
		}
	}
	finish(t, w)
	if again == nil {
		fragments(t, m.b)
		return
	}
	r, err := again(bytes.NewReader(m.b))
	if err != nil {
		t.Fatalf("opening what was written: %v", err)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatalf("reading what was written: %v", err)
	}
	for i := range want {
		want[i].Duration = 0
	}
	if tracks[0].Codec == file.H264 {
		return // zeros and delimiters go, and parameter sets come
	}
	same(t, got, want, within)
}

func FuzzIVFReader(f *testing.F) {
	f.Add(slices.Concat(ivfHeader("VP80", 30, 1), ivfFrame(0, vp8(true, 1)), ivfFrame(1, vp8(false, 1))))
	f.Add(slices.Concat(ivfHeader("VP90", 90000, 1, 1, 2), ivfFrame(0, vp9(true, 1)), ivfFrame(3000, vp9(false, 1))))
	f.Add(slices.Concat(ivfHeader("AV01", 1, 1), ivfFrame(7, []byte{0x12, 0, 0x0A, 0})))
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzzReader(t, in, 1, ivfReader, ivfWriter, ivfReader, 6*time.Microsecond)
	})
}

func FuzzAnnexBReader(f *testing.F) {
	f.Add(slices.Concat(h264(true, 0), h264(false, 1), annexB(slice(false, false, 1))))
	f.Add(annexB([]byte{9, 0xF0}, highSPS, pps, slice(true, true, 0), []byte{6, 0x80}, slice(false, true, 0)))
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzzReader(t, in, 1, annexBReader, mp4Writer, nil, 0)
		fuzzReader(t, in, 1, annexBReader, webmWriter, webmReader, ms)

		// Access units are the stream, cut.
		r, err := annexBReader(bytes.NewReader(in))
		if err != nil {
			return
		}
		packets, err := readPackets(r)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, p := range packets {
			all = append(all, p.Data...)
		}
		if !bytes.HasSuffix(in, all) {
			t.Fatalf("%x is no end of %x", all, in)
		}
	})
}

func FuzzWebMReader(f *testing.F) {
	for _, c := range containers() {
		if !bytes.Contains([]byte(c.name), []byte("WebM")) && !bytes.Contains([]byte(c.name), []byte("Matroska")) {
			continue
		}
		m := &memory{limit: math.MaxInt}
		w, err := c.create(m, c.tracks)
		if err != nil {
			f.Fatal(err)
		}
		write(f, w, c.in[:6])
		finish(f, w)
		f.Add(m.b)
	}
	f.Add(webm(clusterTime(0), simple(1, 0, 0x82, []byte{2, 1, 1}, text("abc")), simple(1, 0, 0x84, []byte{1}, text("aabb"))))
	f.Add(webm(clusterTime(0), simple(1, 0, 0x86, []byte{2, 0x83, 0xC0}, text("aaabbbbcc")),
		element(0xA0, element(0xFB, []byte{0xFF}), element(0xA1, []byte{0x81, 0, 8, 0}, text("delta")), element(0x75A2, []byte{1}))))
	f.Fuzz(func(t *testing.T, in []byte) {
		// A key frame of one byte gets parameter sets of up to 16 kB, and a
		// frame what was stripped from it.
		fuzzReader(t, in, 32<<10, webmReader, webmWriter, webmReader, ms)
	})
}

func FuzzOggReader(f *testing.F) {
	f.Add(slices.Concat(oggStart, oggPage(7, 4, 1440, false, long(10), long(11))))
	f.Add(slices.Concat(oggStart, oggPage(7, 0, 960, true, long(10), long(510)), oggPage(7, 1|4, 2880, false, make([]byte, 5), long(12))))
	f.Add(slices.Concat(oggStart, oggPage(8, 0, 5, false, text("other")), oggPage(7, 0, 960, true, long(255)), oggPage(7, 0, 48000, false, long(10))))
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzzReader(t, in, 1, oggReader, webmWriter, webmReader, ms)

		// With right checksums more is read of it.
		in = slices.Clone(in)
		for p := in; len(p) >= 27; {
			size := 27 + int(p[26])
			for _, s := range p[27:min(len(p), 27+int(p[26]))] {
				size += int(s)
			}
			if size > len(p) {
				break
			}
			le.PutUint32(p[22:], 0)
			le.PutUint32(p[22:], oggSum(p[:size]))
			p = p[size:]
		}
		fuzzReader(t, in, 1, oggReader, webmWriter, webmReader, ms)
	})
}
