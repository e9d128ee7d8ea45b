package file_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

var mono8k = audio.Format{Rate: 8000, Channels: 1}

// ramp fills f with n samples per channel that count on from start.
func ramp(f *audio.Frame, format audio.Format, start, n int) {
	f.Format = format
	f.Grow(n * format.Channels)
	for i := range f.Samples {
		f.Samples[i] = int16(start*format.Channels + i)
	}
	f.Time = format.Duration(start * format.Channels)
}

func readFile(t *testing.T, name string) []int16 {
	t.Helper()
	r, err := file.OpenWAV(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWriteWAV(t *testing.T) {
	for _, format := range []audio.Format{
		{Rate: 1000, Channels: 1}, mono8k, {Rate: 11025, Channels: 2}, {Rate: 48000, Channels: 2}, {Rate: 384000, Channels: 2},
	} {
		t.Run(format.String(), func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "a.wav")
			w, err := file.CreateWAV(name, format)
			if err != nil {
				t.Fatal(err)
			}
			var (
				f    audio.Frame
				want []int16
			)
			for i := range 200 { // of every length from none to more than a buffer
				ramp(&f, format, i, i*i)
				if err := w.WriteFrame(&f); err != nil {
					t.Fatal(err)
				}
				want = append(want, f.Samples...)
				if i%50 == 49 {
					if err := w.WriteSilence(30 * time.Millisecond); err != nil {
						t.Fatal(err)
					}
					want = append(want, make([]int16, format.Samples(30*time.Millisecond))...)
				}
				if d := w.Duration(); d != format.Duration(len(want)) {
					t.Fatalf("Duration is %v after %d samples", d, len(want))
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := readFile(t, name); !slices.Equal(got, want) {
				t.Errorf("%d samples come back from %d", len(got), len(want))
			}
		})
	}
}

func TestWriteWAVHeader(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 16000, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.WriteFrame(&audio.Frame{Format: w.Format(), Samples: []int16{1, -1}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := riff(chunk("JUNK", make([]byte, 28)...), fmtChunk(1, 2, 16000, 16), chunk("data", 1, 0, 0xFF, 0xFF))
	if !bytes.Equal(got, want) {
		t.Errorf("file is\n%x, want\n%x", got, want)
	}
}

func TestWriteWAVToPipe(t *testing.T) {
	// What can write at an offset but not seek, or seek but not write there, is a pipe too.
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, _ = io.ReadAll(pr)
	}()
	appended, err := os.OpenFile(filepath.Join(t.TempDir(), "a.wav"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer appended.Close()
	var b bytes.Buffer
	for _, out := range []io.Writer{&b, pw, appended} {
		w, err := file.NewWAVWriter(out, mono8k)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&audio.Frame{Format: mono8k, Samples: []int16{1, 2, 3}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	pw.Close()
	<-done
	want := patch(riff(chunk("JUNK", make([]byte, 28)...), fmtChunk(1, 1, 8000, 16), chunk("data", 1, 0, 2, 0, 3, 0)), "data", math.MaxUint32)
	want = patch(want, "RIFF", math.MaxUint32)
	behind, err := os.ReadFile(appended.Name())
	if err != nil || !bytes.Equal(b.Bytes(), want) || !bytes.Equal(got, want) || !bytes.Equal(behind, want) {
		t.Errorf("wrote\n%x,\n%x and\n%x, want\n%x; %v", b.Bytes(), got, behind, want, err)
	}
	r, err := file.NewWAVReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(r); err != nil || !slices.Equal(got, []int16{1, 2, 3}) {
		t.Errorf("read %d, %v", got, err)
	}
}

func TestWriteWAVFrameFormat(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.wav")
	w, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []audio.Frame{
		{},
		{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: []int16{1}},
		{Format: audio.Format{Rate: 16000, Channels: 2}, Samples: []int16{1, 2}},
		{Format: audio.Format{Rate: 8000, Channels: 2}, Samples: []int16{1, 2, 3}},
	} {
		if err := w.WriteFrame(&f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v with %d samples: %v, want ErrFormat", f.Format, len(f.Samples), err)
		}
	}
	if err := w.WriteSilence(-time.Second); err != nil {
		t.Errorf("negative silence: %v", err)
	}
	if err := w.WriteFrame(&audio.Frame{Format: w.Format(), Samples: []int16{5, 6}}); err != nil {
		t.Errorf("after that: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, name); !slices.Equal(got, []int16{5, 6}) {
		t.Errorf("file has %d", got)
	}
}

func TestCreateWAVErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := file.CreateWAV(filepath.Join(dir, "no", "a.wav"), mono8k); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "a.wav") {
		t.Errorf("missing folder: %v", err)
	}
	name := filepath.Join(dir, "a.wav")
	if _, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 3}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("3 channels: %v, want ErrFormat", err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a wrong format left a file: %v", err)
	}
}

func TestWAVWriterClose(t *testing.T) {
	w, err := file.CreateWAV(filepath.Join(t.TempDir(), "a.wav"), mono8k)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := w.WriteFrame(&audio.Frame{Format: mono8k, Samples: []int16{1}}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteFrame after Close: %v, want ErrClosed", err)
	}
	if err := w.WriteSilence(time.Second); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteSilence after Close: %v, want ErrClosed", err)
	}
	if err := w.Flush(); err != nil {
		t.Errorf("Flush after Close: %v", err)
	}
}

// memory is a file in memory of a disk with limited room. It calls after after
// each write.
type memory struct {
	b     []byte
	pos   int
	limit int
	after func([]byte)
}

var errFull = errors.New("disk full")

func (m *memory) Write(p []byte) (int, error) {
	n, err := m.WriteAt(p, int64(m.pos))
	m.pos += n
	return n, err
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	n := max(min(len(p), m.limit-int(at)), 0)
	if end := int(at) + n; end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	copy(m.b[at:], p[:n])
	if m.after != nil && n > 0 {
		m.after(m.b)
	}
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent {
		m.pos = int(offset)
	}
	return int64(m.pos), nil
}

// check reads a file as it may be left by a killed process: its header must
// cover no more than there is, and its samples must count up from 0.
func check(t *testing.T, b []byte) (samples int) {
	t.Helper()
	if size := int(le.Uint32(b[76:])); size > len(b)-80 {
		t.Fatalf("header has %d bytes of samples, file has %d", size, len(b)-80)
	}
	if size := int(le.Uint32(b[4:])); size+8 > len(b) {
		t.Fatalf("header has %d bytes, file has %d", size+8, len(b))
	}
	r, err := file.NewWAVReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range got {
		if s != int16(i) {
			t.Fatalf("sample %d is %d", i, s)
		}
	}
	return len(got)
}

// After each single write the file is whole, and lacks at most half a second and
// what came with the last frame.
func TestWAVIsValidAtEachWrite(t *testing.T) {
	for _, format := range []audio.Format{mono8k, {Rate: 48000, Channels: 2}} {
		frame := format.Samples(20*time.Millisecond) / format.Channels
		written := 0 // per channel
		lost := time.Duration(0)
		m := &memory{limit: 1 << 30}
		m.after = func(b []byte) {
			d := format.Duration(written*format.Channels - check(t, b))
			lost = max(lost, d)
		}
		w, err := file.NewWAVWriter(m, format)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.b) != 80 {
			t.Errorf("new file has %d bytes", len(m.b))
		}
		var f audio.Frame
		for range 175 {
			ramp(&f, format, written, frame)
			written += frame
			if err := w.WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		if lost < 100*time.Millisecond || lost > 520*time.Millisecond {
			t.Errorf("%v: at most %v is lost", format, lost)
		}
		if err := w.Flush(); err != nil || check(t, m.b) != written*format.Channels {
			t.Errorf("%v: after Flush, %v: %d samples of %d", format, err, check(t, m.b), written*format.Channels)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWAVDiskFull(t *testing.T) {
	if _, err := file.NewWAVWriter(&memory{limit: 79}, mono8k); !errors.Is(err, errFull) {
		t.Errorf("no room for the header: %v, want %v", err, errFull)
	}
	format := audio.Format{Rate: 8000, Channels: 2}
	for limit := 80 + 32000; limit < 80+32008; limit++ {
		m := &memory{limit: limit}
		w, err := file.NewWAVWriter(m, format)
		if err != nil {
			t.Fatal(err)
		}
		var f audio.Frame
		for i := 0; err == nil && i < 20000; i += 160 {
			ramp(&f, format, i, 160)
			err = w.WriteFrame(&f)
		}
		if !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: %v, want %v", limit, err, errFull)
		}
		for range 2 {
			if err := w.Close(); !errors.Is(err, errFull) {
				t.Errorf("Close: %v, want %v", err, errFull)
			}
		}
		if err := w.WriteFrame(&f); !errors.Is(err, errFull) {
			t.Errorf("WriteFrame after Close: %v, want %v", err, errFull)
		}
		if got, want := check(t, m.b), (limit-80)/4*2; got != want {
			t.Errorf("room for %d bytes: %d samples can be played, want %d", limit, got, want)
		}
	}
}

// head is a file that keeps its header only.
type head struct {
	header []byte
	size   int64
}

func (h *head) Write(p []byte) (int, error) { h.size += int64(len(p)); return len(p), nil }

func (h *head) WriteAt(p []byte, _ int64) (int, error) {
	h.header = append(h.header[:0], p...)
	return len(p), nil
}

func (h *head) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		h.size = offset
	}
	return h.size, nil
}

func TestWAVBecomesRF64(t *testing.T) {
	var h head
	format := audio.Format{Rate: 384000, Channels: 2}
	w, err := file.NewWAVWriter(&h, format)
	if err != nil {
		t.Fatal(err)
	}
	// The largest RIFF has 2^32-1 bytes after its first 8, and ours is even.
	largest := (int64(math.MaxUint32) - 72) / 4
	seconds := largest / 384000
	if err := w.WriteSilence(time.Duration(seconds) * time.Second); err != nil {
		t.Fatal(err)
	}
	f := audio.Frame{Format: format, Samples: make([]int16, 2*(largest-seconds*384000))}
	if err := w.WriteFrame(&f); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := patch(riff(chunk("JUNK", make([]byte, 28)...), fmtChunk(1, 2, 384000, 16), chunk("data")), "data", uint32(4*largest)); !bytes.Equal(h.header, patch(want, "RIFF", uint32(4*largest+72))) {
		t.Errorf("header before is\n%x", h.header)
	}
	if err := w.WriteFrame(&audio.Frame{Format: format, Samples: []int16{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	size := uint64(4 * (largest + 1))
	d := le.AppendUint64(nil, size+72)
	d = le.AppendUint64(d, size)
	d = le.AppendUint64(d, size/4)
	d = append(d, 0, 0, 0, 0)
	want := riff(chunk("ds64", d...), fmtChunk(1, 2, 384000, 16), chunk("data"))
	copy(want, "RF64\xff\xff\xff\xff")
	if want = patch(want, "data", math.MaxUint32); !bytes.Equal(h.header, want) {
		t.Errorf("header after is\n%x, want\n%x", h.header, want)
	}
	if h.size != 80+int64(size) {
		t.Errorf("file has %d bytes, want %d", h.size, 80+size)
	}
	if d := w.Duration(); d != format.Duration(2*int(largest+1)) {
		t.Errorf("Duration is %v", d)
	}
}

func TestWriteWAVDoesNotAllocate(t *testing.T) {
	for _, out := range []io.Writer{&head{}, io.Discard} {
		w, err := file.NewWAVWriter(out, audio.Format{Rate: 48000, Channels: 2})
		if err != nil {
			t.Fatal(err)
		}
		f := audio.Frame{Format: w.Format(), Samples: make([]int16, 1920)}
		if n := testing.AllocsPerRun(100, func() {
			if err := w.WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
			if err := w.WriteSilence(20 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%T: %v allocations a frame", out, n)
		}
	}
}
