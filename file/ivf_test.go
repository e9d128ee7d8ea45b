package file_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/file"
)

func ivfHeader(fourCC string, den, num uint32, more ...byte) []byte {
	b := append([]byte("DKIF\x00\x00"), byte(32+len(more)), 0)
	b = append(b, fourCC...)
	b = append(b, 0x40, 1, 0xF0, 0)
	b = le.AppendUint32(b, den)
	b = le.AppendUint32(b, num)
	return append(append(b, 9, 0, 0, 0, 0, 0, 0, 0), more...)
}

func ivfFrame(pts uint64, data []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(data)))
	return append(le.AppendUint64(b, pts), data...)
}

func TestReadIVF(t *testing.T) {
	in := slices.Concat(ivfHeader("VP80", 30000, 1001, 1, 2, 3, 4), ivfFrame(0, vp8(true, 1)), ivfFrame(1, nil), ivfFrame(3, vp8(false, 2)))
	r, err := file.NewIVFReader(bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Tracks()[0]; got.Codec != file.VP8 || got.Width != 320 || got.Height != 240 {
		t.Errorf("the track is %+v", got)
	}
	got, err := readPackets(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []file.Packet{{Key: true, Data: vp8(true, 1)}, {Time: 100100 * time.Microsecond, Data: vp8(false, 2)}}, 0)
}

func TestReadMalformedIVF(t *testing.T) {
	good := ivfHeader("VP90", 30, 1)
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, io.ErrUnexpectedEOF},
		{"text", bytes.Repeat(text("text"), 8), file.ErrMalformed},
		{"codec", ivfHeader("H264", 30, 1), errors.ErrUnsupported},
		{"short header", append([]byte("DKIF\x00\x00\x1F\x00"), good[8:]...), file.ErrMalformed},
		{"cut header", ivfHeader("VP90", 30, 1, 1, 2, 3)[:33], io.ErrUnexpectedEOF},
		{"time base of 0", ivfHeader("VP90", 0, 1), file.ErrMalformed},
		{"time base of infinity", ivfHeader("VP90", 30, 0), file.ErrMalformed},
		{"cut frame header", append(slices.Clone(good), 1, 0, 0), io.ErrUnexpectedEOF},
		{"cut frame", append(slices.Clone(good), ivfFrame(0, vp9(true, 1))[:14]...), io.ErrUnexpectedEOF},
		{"large frame", append(slices.Clone(good), 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0), file.ErrMalformed},
		{"time", append(slices.Clone(good), ivfFrame(math.MaxUint64, vp9(true, 1))...), file.ErrMalformed},
	} {
		r, err := file.NewIVFReader(bytes.NewReader(tt.in))
		if err == nil {
			_, err = readPackets(r)
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: the error is %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWriteIVF(t *testing.T) {
	m := &memory{limit: math.MaxInt, b: []byte("xy"), pos: 2}
	w, err := file.NewIVFWriter(m, file.Track{Codec: file.VP8})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, []file.Packet{{Key: true, Data: vp8(true, 1)}, {Time: 33 * ms, Data: vp8(false, 2)}})
	finish(t, w)
	want := slices.Concat([]byte("xy"), ivfHeader("VP80", 90000, 1), ivfFrame(0, vp8(true, 1)), ivfFrame(2970, vp8(false, 2)))
	le.PutUint32(want[2+24:], 2*2970) // how long it lasts
	if !bytes.Equal(m.b, want) {
		t.Errorf("the file is\n%q, want\n%q", m.b, want)
	}
}

// Sizes in files are not believed: memory grows with what is there.
func TestSizesDoNotAllocate(t *testing.T) {
	for name, in := range map[string]struct {
		b    []byte
		open func(io.Reader) (file.PacketReader, error)
	}{
		"IVF":    {append(ivfHeader("VP80", 30, 1), ivfFrame(0, nil)...), ivfReader},
		"WebM":   {webm(clusterTime(0), []byte{0xA3, 0x10, 0xFF, 0xFF, 0xFF}), webmReader},
		"tracks": {slices.Concat(ebml(), unsized(0x18538067, []byte{0x16, 0x54, 0xAE, 0x6B, 0x20, 0x0F, 0xFF, 0xFF})), webmReader},
	} {
		if name == "IVF" {
			le.PutUint32(in.b[32:], 16<<20)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := in.open(bytes.NewReader(in.b))
		if err == nil {
			_, err = readPackets(r)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %d bytes are allocated for a file of %d: %v", name, n, len(in.b), err)
		}
	}
}
