package file

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	defaultFrame = 20 * time.Millisecond
	maxFrame     = 10 * time.Second

	// readBuffer holds a default frame of any ordinary format.
	readBuffer = 16 << 10

	// streamed is the least size that programs such as sox put where they cannot know
	// one.
	streamed = 0x7FFF0000
)

// A WAVReader reads the audio of a WAV file as 16-bit samples. It is an
// [audio.Reader], and not safe for concurrent use.
//
// It takes PCM of 8 (unsigned), 16, 24 and 32 bits, IEEE float of 32 and 64
// bits, A-law and mu-law, each also as WAVE_FORMAT_EXTENSIBLE, in RIFF, RF64
// and BW64 files. More than 16 bits are rounded, and floats beyond -1..1 are
// clipped. A file whose sizes were never filled in, or that was cut off, is read
// to its end; bytes of an incomplete last sample are ignored.
type WAVReader struct {
	// FrameDuration is how much ReadFrame reads at a time, up to 10 s. Zero
	// means 20 ms. It may be changed between reads.
	FrameDuration time.Duration

	header   wavHeader
	in       *bufio.Reader
	closer   io.Closer // nil: the input is the caller's
	duration time.Duration
	missing  int64 // bytes
	read     int64 // bytes of samples
	err      error // what ReadFrame returns once there is no more
}

// OpenWAV opens the named WAV file for reading. Errors are those of
// [NewWAVReader] and [os.Open].
func OpenWAV(name string) (*WAVReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := NewWAVReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.closer = f
	return r, nil
}

// NewWAVReader reads the header of the WAV file in r and returns a reader of its
// samples. It reads ahead of what it returns. r need not be able to seek; if it
// can, its size gives the duration of a file that does not tell it.
//
// The error wraps [ErrMalformed] if the file is broken, [errors.ErrUnsupported]
// if its samples are coded in another way, [audio.ErrFormat] if it has more than
// two channels or a rate outside 1000..384000 Hz, or what r returned.
func NewWAVReader(r io.Reader) (*WAVReader, error) {
	fileSize := remaining(r)
	p := wavParser{in: bufio.NewReaderSize(r, readBuffer)}
	h, err := p.parse(fileSize)
	if err != nil {
		return nil, err
	}
	w := &WAVReader{header: *h, in: p.in, duration: -1}
	n := h.dataSize
	if fileSize >= 0 {
		if rest := max(fileSize-h.dataStart, 0); n < 0 || n > rest {
			if n < streamed {
				w.missing = max(n-rest, 0)
			}
			n = rest
		}
	}
	if n >= 0 {
		w.duration = lasts(h.format, n/int64(h.block))
	}
	return w, nil
}

// remaining returns how many bytes are left in r, or -1 if it cannot tell.
func remaining(r io.Reader) int64 {
	s, ok := r.(io.Seeker)
	if !ok {
		return -1
	}
	here, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return -1
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return -1
	}
	if _, err := s.Seek(here, io.SeekStart); err != nil {
		return -1
	}
	return end - here
}

// Format returns the shape of the frames that r reads.
func (r *WAVReader) Format() audio.Format { return r.header.format }

// Duration returns how long the whole file lasts, as far as its header and its
// size could tell when it was opened, and false if they could not.
func (r *WAVReader) Duration() (time.Duration, bool) {
	return max(r.duration, 0), r.duration >= 0
}

// Missing returns how many bytes of samples a file that was cut off lacks, as far as its
// header and its size could tell when it was opened.
func (r *WAVReader) Missing() int64 { return r.missing }

// ReadFrame fills f with the next r.FrameDuration of the file, less at its end.
// f.Time is the position of its first sample in the file. The error is [io.EOF]
// at the end, or what the input returned; samples before an error are returned
// first.
func (r *WAVReader) ReadFrame(f *audio.Frame) error {
	format, block := r.header.format, int64(r.header.block)
	d := min(r.FrameDuration, maxFrame)
	if d <= 0 {
		d = defaultFrame
	}
	blocks := max(int64(format.Samples(d)/format.Channels), 1)
	if r.header.dataSize >= 0 {
		blocks = min(blocks, (r.header.dataSize-r.read)/block)
	}
	f.Grow(int(blocks) * format.Channels)
	samples := f.Samples[:0]
	for left := blocks; left > 0 && r.err == nil; {
		// A whole number of blocks, as the size of the buffer may not be one.
		want := min(left, int64(r.in.Size())/block) * block
		b, err := r.in.Peek(int(want))
		whole := int64(len(b)) / block
		samples = r.header.decode(samples, b[:whole*block])
		r.in.Discard(int(whole * block))
		left -= whole
		r.err = err
	}
	f.Samples, f.Format = samples, format
	f.Time = lasts(format, r.read/block)
	f.Captured, f.Kind = time.Time{}, audio.Media
	if len(samples) == 0 {
		if r.err == nil || r.err == io.EOF {
			return io.EOF
		}
		return fmt.Errorf("wav: reading samples at byte %d: %w", r.header.dataStart+r.read, r.err)
	}
	r.read += int64(len(samples)/format.Channels) * block
	return nil
}

// Close closes the file if it was opened by [OpenWAV], and does nothing
// otherwise.
func (r *WAVReader) Close() error {
	if r.closer == nil {
		return nil
	}
	err := r.closer.Close()
	r.closer = nil
	return err
}
