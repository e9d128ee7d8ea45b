package file_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec/g711"
	"github.com/parley-media/parley/file"
)

var le = binary.LittleEndian

// chunk returns a RIFF chunk with its padding.
func chunk(id string, body ...byte) []byte {
	b := le.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func riff(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	b := le.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(b, "WAVE"...), body...)
}

func fmtChunk(tag, channels, rate, bits int, more ...byte) []byte {
	block := channels * ((bits + 7) / 8)
	var b []byte
	b = le.AppendUint16(b, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*block))
	b = le.AppendUint16(b, uint16(block))
	b = le.AppendUint16(b, uint16(bits))
	return chunk("fmt ", append(b, more...)...)
}

// extensible returns what a fmt chunk of tag 0xFFFE has after its 16 bytes.
func extensible(tag, valid int) []byte {
	b := le.AppendUint16(nil, 22)
	b = le.AppendUint16(b, uint16(valid))
	b = le.AppendUint32(b, 4) // front centre
	b = le.AppendUint16(b, uint16(tag))
	return append(b, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
}

// patch overwrites the four bytes after the first id in b with size.
func patch(b []byte, id string, size uint32) []byte {
	b = bytes.Clone(b)
	le.PutUint32(b[bytes.Index(b, []byte(id))+4:], size)
	return b
}

func rf64(riffSize, dataSize uint64, chunks ...[]byte) []byte {
	d := le.AppendUint64(nil, riffSize)
	d = le.AppendUint64(d, dataSize)
	d = le.AppendUint64(d, 0)
	d = le.AppendUint32(d, 0)
	b := riff(append([][]byte{chunk("ds64", d...)}, chunks...)...)
	copy(b, "RF64\xff\xff\xff\xff")
	return patch(b, "data", math.MaxUint32)
}

func float32s(x ...float32) (b []byte) {
	for _, v := range x {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func float64s(x ...float64) (b []byte) {
	for _, v := range x {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// readAll returns all samples, and checks that the frames' times follow one
// another.
func readAll(r *file.WAVReader) ([]int16, error) {
	var (
		all []int16
		f   audio.Frame
	)
	for {
		err := r.ReadFrame(&f)
		if err == io.EOF && len(f.Samples) == 0 {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if f.Time != r.Format().Duration(len(all)) || f.Format != r.Format() || len(f.Samples) == 0 {
			return all, errors.New("frame is not what follows")
		}
		all = append(all, f.Samples...)
	}
}

// plain hides all but Read.
type plain struct{ io.Reader }

var pcm16 = []byte{1, 0, 2, 0, 3, 0, 4, 0}

func TestReadWAV(t *testing.T) {
	mono := fmtChunk(1, 1, 8000, 16)
	data := chunk("data", pcm16...)
	whole := riff(mono, data)
	want := []int16{1, 2, 3, 4}
	for _, tt := range []struct {
		name string
		in   []byte
		want []int16
	}{
		{"PCM 8", riff(fmtChunk(1, 1, 8000, 8), chunk("data", 0, 127, 128, 129, 255)), []int16{-32768, -256, 0, 256, 127 << 8}},
		{"PCM 16", whole, want},
		{"PCM 16 extremes", riff(mono, chunk("data", 0x00, 0x80, 0xFF, 0x7F, 0xFF, 0xFF)), []int16{-32768, 32767, -1}},
		{"PCM 24", riff(fmtChunk(1, 1, 8000, 24), chunk("data",
			0x7F, 0x01, 0x00 /* just under a half */, 0x80, 0x01, 0x00, /* a half */
			0xFF, 0xFF, 0x7F, 0x00, 0x00, 0x80, 0x7F, 0xFF, 0xFF, 0x80, 0xFF, 0xFF)), []int16{1, 2, 32767, -32768, -1, 0}},
		{"PCM 32", riff(fmtChunk(1, 1, 8000, 32), chunk("data",
			0xFF, 0x7F, 1, 0, 0, 0x80, 1, 0, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0x80)), []int16{1, 2, 32767, -32768}},
		{"PCM 20 in 24", riff(fmtChunk(1, 1, 8000, 20), chunk("data", 0, 1, 0, 0, 0, 0x80)), []int16{1, -32768}},
		{
			"float 32", riff(fmtChunk(3, 1, 8000, 32), chunk("data",
				float32s(0, 0.5, -0.5, 1, -1, 7, float32(math.Inf(-1)), float32(math.NaN()), 1.4/32768, 1.6/32768, -1.6/32768)...)),
			[]int16{0, 16384, -16384, 32767, -32768, 32767, -32768, 0, 1, 2, -2},
		},
		{
			"float 64", riff(fmtChunk(3, 1, 8000, 64), chunk("data",
				float64s(0, 0.25, 2, math.Inf(1), math.NaN(), 1e300, -1e300, 32766.6/32768)...)),
			[]int16{0, 8192, 32767, 32767, 0, 32767, -32768, 32767},
		},
		{"A-law", riff(fmtChunk(6, 1, 8000, 8, 0, 0), chunk("fact", 4, 0, 0, 0), chunk("data", 0xD5, 0x55, 0xAA)), g711.AppendPCMFromALaw(nil, []byte{0xD5, 0x55, 0xAA})},
		{"mu-law that claims 16 bits", riff(fmtChunk(7, 1, 8000, 16), chunk("data", 0xFF, 0x80)), []int16{0, 32124}},
		{"stereo", riff(fmtChunk(1, 2, 48000, 16), data), want},

		{"extensible PCM 16", riff(fmtChunk(0xFFFE, 1, 8000, 16, extensible(1, 16)...), data), want},
		{"extensible 20 of 24 bits", riff(fmtChunk(0xFFFE, 1, 8000, 24, extensible(1, 20)...), chunk("data", 0xF0, 0, 1)), []int16{257}},
		{"extensible float", riff(fmtChunk(0xFFFE, 1, 8000, 32, extensible(3, 32)...), chunk("data", float32s(-0.25)...)), []int16{-8192}},
		{"extensible mu-law", riff(fmtChunk(0xFFFE, 1, 8000, 8, extensible(7, 8)...), chunk("data", 0x80)), []int16{32124}},

		{"chunks before", riff(chunk("LIST", 1, 2, 3, 4), chunk("JUNK", make([]byte, 70000)...), mono, chunk("bext", 1, 2), data), want},
		{"odd chunk before", riff(chunk("junk", 1, 2, 3), mono, chunk("LIST", 9), data), want},
		{"chunks after", riff(mono, data, chunk("LIST", 7, 7, 7, 7)), want},
		{"long fmt", riff(fmtChunk(1, 1, 8000, 16, make([]byte, 101)...), data), want},

		{"data size 0 of a killed writer", patch(patch(whole, "data", 0), "RIFF", 36), want},
		{"both sizes 0", patch(patch(whole, "data", 0), "RIFF", 0), want},
		{"streamed", patch(patch(whole, "data", math.MaxUint32), "RIFF", math.MaxUint32), want},
		{"streamed by sox", patch(patch(whole, "data", 0x7FFFF000), "RIFF", 0x7FFFF024), want},
		{"cut off", whole[:len(whole)-3], want[:2]},
		{"cut off in the last sample", whole[:len(whole)-1], want[:3]},
		{"size with half a sample", patch(whole, "data", 5), want[:2]},
		{"no samples", riff(mono, chunk("data")), nil},
		{"no samples but a chunk after", riff(mono, chunk("data"), chunk("LIST", 7, 7, 7, 7)), nil},

		{"RF64", rf64(0, 6, mono, data), want[:3]},
		{"BW64", append([]byte("BW64"), rf64(0, 6, mono, data)[4:]...), want[:3]},
		{"RF64 with absurd sizes", rf64(math.MaxUint64, math.MaxUint64, mono, data), want},
		{"RF64 with a size beyond the file", rf64(1<<40, 1<<40, mono, data), want},
		{"RF64 without ds64", append([]byte("RF64"), patch(whole, "data", math.MaxUint32)[4:]...), want},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := file.NewWAVReader(bytes.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readAll(r)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("read %d, %v, want %d", got, err, tt.want)
			}
			if d, ok := r.Duration(); !ok || d != r.Format().Duration(len(tt.want)) {
				t.Errorf("Duration is %v, %t, but there are %d samples", d, ok, len(tt.want))
			}
			if cut := strings.HasPrefix(tt.name, "cut off"); cut != (r.Missing() > 0) {
				t.Errorf("%d bytes are missing", r.Missing())
			}
			if tt.name == "no samples but a chunk after" {
				return // only the size of the file tells it from a killed writer's
			}
			if r, err = file.NewWAVReader(plain{iotest.OneByteReader(bytes.NewReader(tt.in))}); err != nil {
				t.Fatal(err)
			}
			if got, err = readAll(r); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("read from a pipe %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

func TestReadMalformedWAV(t *testing.T) {
	mono := fmtChunk(1, 1, 8000, 16)
	data := chunk("data", pcm16...)
	blocks := bytes.Clone(mono)
	le.PutUint16(blocks[8+12:], 3)
	for _, tt := range []struct {
		in   []byte
		is   error
		want string
	}{
		{nil, file.ErrMalformed, "wav: malformed file: it ends at byte 0, in the RIFF header"},
		{[]byte("RIFF\x00"), file.ErrMalformed, "ends at byte 5"},
		{[]byte("OggS\x00\x02abcdefgh"), file.ErrMalformed, `starts with "OggS"`},
		{[]byte("RIFX\x00\x02abWAVE"), errors.ErrUnsupported, "big-endian"},
		{[]byte("RIFF\x00\x02abAVI LIST"), file.ErrMalformed, `form "AVI "`},
		{riff(), file.ErrMalformed, "ends at byte 12, in the header of a chunk before any data"},
		{riff(mono), file.ErrMalformed, "ends at byte 36"},
		{riff(data), file.ErrMalformed, "wav: malformed file: no fmt chunk before data at byte 12"},
		{riff(mono[:20]), file.ErrMalformed, "ends at byte 32, in the fmt chunk"},
		{riff(chunk("fmt ", 1, 0, 1, 0)), file.ErrMalformed, "the fmt chunk at byte 12 has 4 bytes, want at least 16"},
		{riff(mono, patch(chunk("LIST", 1, 2), "LIST", 0xFFFFFFFF)), file.ErrMalformed, `ends at byte 46, in the "LIST" chunk at byte 36`},
		{riff(blocks, data), file.ErrMalformed, "blocks of 3 bytes for 1 channels of 16 bits"},
		{riff(fmtChunk(1, 0, 8000, 16), data), file.ErrMalformed, "no channels"},
		{riff(fmtChunk(1, 1, 0, 16), data), file.ErrMalformed, "rate of 0 Hz"},
		{riff(fmtChunk(1, 1, -1, 16), data), file.ErrMalformed, "rate of 4294967295 Hz"},
		{riff(fmtChunk(1, 1, 500, 16), data), audio.ErrFormat, "500 Hz"},
		{riff(fmtChunk(1, 6, 48000, 16), data), audio.ErrFormat, "6 channels"},
		{riff(fmtChunk(1, 1, 8000, 0), data), errors.ErrUnsupported, "0 bits"},
		{riff(fmtChunk(1, 1, 8000, 64), data), errors.ErrUnsupported, "64 bits"},
		{riff(fmtChunk(3, 1, 8000, 16), data), errors.ErrUnsupported, "tag 0x0003 with 16 bits"},
		{riff(slices.Replace(fmtChunk(0x55, 1, 44100, 0), 20, 22, 0x80, 0x04), data), errors.ErrUnsupported, "tag 0x0055"}, // MP3, 1152 bytes a block
		{riff(fmtChunk(0xFFFE, 1, 8000, 16), data), file.ErrMalformed, "extensible fmt chunk at byte 12 has 16 bytes, want 40"},
		{riff(fmtChunk(0xFFFE, 1, 8000, 16, extensible(1, 17)...), data), file.ErrMalformed, "17 valid bits of 16"},
		{riff(fmtChunk(0xFFFE, 1, 8000, 16, make([]byte, 24)...), data), errors.ErrUnsupported, "sub-format"},
		{append([]byte("RF64"), riff(chunk("ds64", 1, 2))[4:]...), file.ErrMalformed, "ds64 chunk at byte 12 has 2 bytes"},
	} {
		_, err := file.NewWAVReader(bytes.NewReader(tt.in))
		if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: error is %v, want %v with %q", tt.in, err, tt.is, tt.want)
		}
	}
}

func TestReadWAVFails(t *testing.T) {
	broken := errors.New("cable cut")
	whole := riff(fmtChunk(1, 1, 8000, 16), chunk("data", pcm16...))
	if _, err := file.NewWAVReader(io.MultiReader(bytes.NewReader(whole[:30]), iotest.ErrReader(broken))); !errors.Is(err, broken) || errors.Is(err, file.ErrMalformed) {
		t.Errorf("in the header: %v, want %v", err, broken)
	}
	r, err := file.NewWAVReader(io.MultiReader(bytes.NewReader(whole[:49]), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	var f audio.Frame
	if err := r.ReadFrame(&f); err != nil || !slices.Equal(f.Samples, []int16{1, 2}) {
		t.Errorf("before the fault: %d, %v", f.Samples, err)
	}
	for range 2 {
		if err := r.ReadFrame(&f); !errors.Is(err, broken) || len(f.Samples) != 0 {
			t.Errorf("after the fault: %d, %v, want %v", f.Samples, err, broken)
		}
	}
}

func TestWAVFrameDuration(t *testing.T) {
	whole := riff(fmtChunk(1, 2, 11025, 16), chunk("data", make([]byte, 4*11025)...))
	for _, tt := range []struct {
		d     time.Duration
		first int // samples per channel
	}{
		{0, 221},
		{-1, 221},
		{20 * time.Millisecond, 221},
		{100 * time.Millisecond, 1103},
		{1, 1},
		{time.Second, 11025},
		{time.Hour, 11025},
		{math.MaxInt64, 11025},
	} {
		r, err := file.NewWAVReader(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		r.FrameDuration = tt.d
		var f audio.Frame
		if err := r.ReadFrame(&f); err != nil || len(f.Samples) != 2*tt.first {
			t.Errorf("%v: %d samples, %v, want %d", tt.d, len(f.Samples)/2, err, tt.first)
		}
		if cap(f.Samples) > 2*11025*10 {
			t.Errorf("%v: room for %d samples", tt.d, cap(f.Samples))
		}
		r.FrameDuration = 0
		if rest, err := countAfter(r, tt.first); err != nil || rest != 11025-tt.first {
			t.Errorf("%v: %d samples follow, %v", tt.d, rest, err)
		}
	}
}

// countAfter counts what follows the first samples per channel.
func countAfter(r *file.WAVReader, first int) (int, error) {
	var f audio.Frame
	n := first
	for {
		if err := r.ReadFrame(&f); err == io.EOF {
			return n - first, nil
		} else if err != nil {
			return n - first, err
		}
		if f.Time != r.Format().Duration(n*r.Format().Channels) {
			return n - first, errors.New("wrong time")
		}
		n += len(f.Samples) / r.Format().Channels
	}
}

func TestWAVDurationUnknown(t *testing.T) {
	streamed := patch(riff(fmtChunk(1, 1, 8000, 16), chunk("data", pcm16...)), "data", math.MaxUint32)
	r, err := file.NewWAVReader(plain{bytes.NewReader(streamed)})
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := r.Duration(); d != 0 || ok {
		t.Errorf("Duration is %v, %t, want unknown", d, ok)
	}
}

// A reader that starts in the middle of a larger file keeps to its part.
func TestReadWAVFromOffset(t *testing.T) {
	in := bytes.NewReader(append([]byte("prefix"), riff(fmtChunk(1, 1, 8000, 16), chunk("data", pcm16...))...))
	in.Seek(6, io.SeekStart)
	r, err := file.NewWAVReader(in)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(r); err != nil || len(got) != 4 {
		t.Errorf("read %d, %v", got, err)
	}
	if d, ok := r.Duration(); d != 500*time.Microsecond || !ok {
		t.Errorf("Duration is %v, %t", d, ok)
	}
}

func TestOpenWAVErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := file.OpenWAV(filepath.Join(dir, "none.wav")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := file.OpenWAV(dir); err == nil || errors.Is(err, file.ErrMalformed) {
		t.Errorf("folder: %v", err)
	}
	name := filepath.Join(dir, "bad.wav")
	if err := os.WriteFile(name, []byte("RIFFabcdWAVE"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.OpenWAV(name); !errors.Is(err, file.ErrMalformed) || !strings.Contains(err.Error(), "bad.wav") {
		t.Errorf("bad file: %v", err)
	}
}

// No size in a file makes the reader allocate that much.
func TestWAVSizesDoNotAllocate(t *testing.T) {
	mono := fmtChunk(1, 1, 8000, 16)
	for _, in := range [][]byte{
		riff(mono, patch(chunk("LIST", 1, 2), "LIST", 0xFFFFFFF0)),
		riff(patch(mono, "fmt ", 0xFFFFFFF0)),
		riff(mono, patch(chunk("data", 1, 2), "data", 0xFFFFFFF0)),
		rf64(1<<60, 1<<60, mono, chunk("data", 1, 2)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if r, err := file.NewWAVReader(bytes.NewReader(in)); err == nil {
			r.FrameDuration = time.Hour
			readAll(r)
		}
		runtime.ReadMemStats(&after)
		// 10 s at 8 kHz are 160 kB.
		if n := after.TotalAlloc - before.TotalAlloc; n > 512<<10 {
			t.Errorf("%.60q: %d bytes allocated", in, n)
		}
	}
}

// endless repeats a header's samples for ever.
type endless struct{ header *bytes.Reader }

func (e endless) Read(b []byte) (int, error) {
	if e.header.Len() > 0 {
		return e.header.Read(b)
	}
	return len(b), nil
}

func TestReadWAVDoesNotAllocate(t *testing.T) {
	for _, f := range [][]byte{
		fmtChunk(1, 2, 48000, 8), fmtChunk(1, 2, 48000, 16), fmtChunk(1, 2, 48000, 24), fmtChunk(1, 2, 48000, 32),
		fmtChunk(3, 2, 48000, 32), fmtChunk(3, 2, 48000, 64), fmtChunk(6, 2, 48000, 8), fmtChunk(7, 2, 48000, 8),
	} {
		head := patch(riff(f, chunk("data")), "data", math.MaxUint32)
		r, err := file.NewWAVReader(endless{bytes.NewReader(head)})
		if err != nil {
			t.Fatal(err)
		}
		var frame audio.Frame
		if n := testing.AllocsPerRun(100, func() {
			if err := r.ReadFrame(&frame); err != nil || len(frame.Samples) != 1920 {
				t.Fatalf("%d samples, %v", len(frame.Samples), err)
			}
		}); n != 0 {
			t.Errorf("%x: %v allocations a frame", f[8:24], n)
		}
	}
}
