package file

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	// wavHeaderSize: RIFF, room for ds64, fmt, and the header of data.
	wavHeaderSize = 12 + 36 + 24 + 8

	// flushInterval is how much audio is at most lost with a killed process.
	flushInterval = 500 * time.Millisecond

	maxWriteBuffer = 32 << 10
)

// A WAVWriter writes a WAV file of 16-bit PCM. It is an [audio.Writer], and not
// safe for concurrent use.
//
// The file is valid at any moment: half a second of audio at most waits in
// memory, and what has been written out is covered by the header at once, so a
// recording whose process is killed lacks no more than that. (It is not synced
// to the disk: a power cut can cost more.) While the disk stands still, up to 8 MiB
// wait for it where [CreateWAV] opened the file. A file that passes 4 GiB turns from
// RIFF into RF64 (EBU Tech 3306), which takes the place of a JUNK chunk.
type WAVWriter struct {
	format  audio.Format
	w       io.Writer
	at      io.WriterAt // nil: the header cannot be rewritten
	base    int64       // where the header is in at
	file    *behind     // w; nil: the output is the caller's
	buf     []byte      // samples to write; its capacity is whole blocks
	written int64       // bytes of samples in the output
	header  []byte      // reused
	err     error       // the first one
	closed  bool
}

// CreateWAV creates the named WAV file, or truncates it, and writes its header.
// The error wraps [audio.ErrFormat], or is that of [os.Create] or of the first
// write. Later writes go to the file on a goroutine that ends with Close, so that
// whoever reads a call does not wait for the disk; the writer's next method tells of
// their errors.
func CreateWAV(name string, format audio.Format) (*WAVWriter, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("%s: wav: %w", name, err)
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	b := newBehind(f, nil)
	w, err := NewWAVWriter(b, format)
	if err = cmp.Or(err, b.wait()); err != nil {
		b.Close()
		return nil, err
	}
	w.file = b
	return w, nil
}

// NewWAVWriter writes the header of a WAV file to w, at its current position,
// and returns a writer of its samples. Closing it does not close w.
//
// If w is an [io.WriterAt] and an [io.Seeker] that can seek, as a file is, the
// header is kept up to date. If it is a pipe or another plain writer, the sizes
// in the header are 0xFFFFFFFF, which players take for "until the end".
func NewWAVWriter(w io.Writer, format audio.Format) (*WAVWriter, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	ww := &WAVWriter{format: format, w: w}
	block := 2 * format.Channels
	size := min(2*format.Samples(flushInterval), maxWriteBuffer)
	ww.buf = make([]byte, 0, max(size/block, 1)*block)
	if at, s, ok := seekable(w); ok {
		base, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		ww.at, ww.base = at, base
		if err := ww.writeHeader(); err != nil {
			return nil, err
		}
		if _, err := s.Seek(base+wavHeaderSize, io.SeekStart); err != nil {
			return nil, err
		}
		return ww, nil
	}
	if _, err := w.Write(appendWAVHeader(nil, format, -1)); err != nil {
		return nil, err
	}
	return ww, nil
}

func seekable(w io.Writer) (io.WriterAt, io.Seeker, bool) {
	at, ok := w.(io.WriterAt)
	if !ok {
		return nil, nil, false
	}
	s, ok := w.(io.Seeker)
	if !ok {
		return nil, nil, false
	}
	if _, err := s.Seek(0, io.SeekCurrent); err != nil { // a pipe or a terminal
		return nil, nil, false
	}
	_, err := at.WriteAt(nil, 0) // fails on a file that is only appended to
	return at, s, err == nil
}

// appendWAVHeader appends the wavHeaderSize bytes before dataSize bytes of
// samples. A negative size is unknown.
func appendWAVHeader(b []byte, format audio.Format, dataSize int64) []byte {
	le := binary.LittleEndian
	riffSize := dataSize + wavHeaderSize - 8
	if dataSize < 0 {
		riffSize = unknownSize
	}
	block := 2 * format.Channels
	large := riffSize > unknownSize
	if large {
		b = append(b, "RF64\xFF\xFF\xFF\xFFWAVEds64"...)
		b = le.AppendUint32(b, 28)
		b = le.AppendUint64(b, uint64(riffSize))
		b = le.AppendUint64(b, uint64(dataSize))
		b = le.AppendUint64(b, uint64(dataSize/int64(block)))
		b = le.AppendUint32(b, 0) // no table of other large chunks
	} else {
		b = append(b, "RIFF"...)
		b = le.AppendUint32(b, uint32(riffSize))
		b = append(b, "WAVEJUNK"...)
		b = le.AppendUint32(b, 28)
		b = append(b, make([]byte, 28)...)
	}
	b = append(b, "fmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, tagPCM)
	b = le.AppendUint16(b, uint16(format.Channels))
	b = le.AppendUint32(b, uint32(format.Rate))
	b = le.AppendUint32(b, uint32(format.Rate*block))
	b = le.AppendUint16(b, uint16(block))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	if dataSize < 0 || large {
		return le.AppendUint32(b, unknownSize)
	}
	return le.AppendUint32(b, uint32(dataSize))
}

// Format returns the shape that frames must have.
func (w *WAVWriter) Format() audio.Format { return w.format }

// Duration returns how much audio has been written, silence included. A recorder
// that keeps to a timeline writes the difference to a frame's time as silence
// before the frame; errors of rounding then don't add up.
func (w *WAVWriter) Duration() time.Duration {
	return lasts(w.format, (w.written+int64(len(w.buf)))/int64(2*w.format.Channels))
}

// lasts returns how long n samples of each channel last, of which there may be more than
// an int counts where that has 32 bits.
func lasts(format audio.Format, n int64) time.Duration {
	rate := int64(format.Rate)
	return time.Duration(n/rate)*time.Second + format.Duration(int(n%rate)*format.Channels)
}

// WriteFrame appends the samples of f to the file, whatever f.Time says. The
// error wraps [audio.ErrFormat] if f has another format than the file, and the
// file then goes on; any other error is final.
func (w *WAVWriter) WriteFrame(f *audio.Frame) error {
	if err := w.usable(); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	if f.Format != w.format {
		return fmt.Errorf("wav: %w: the frame is %v, the file is %v", audio.ErrFormat, f.Format, w.format)
	}
	for samples := f.Samples; len(samples) > 0; {
		n := min((cap(w.buf)-len(w.buf))/2, len(samples))
		for _, s := range samples[:n] {
			w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(s))
		}
		samples = samples[n:]
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteSilence appends silence that lasts d, to the nearest sample. A duration
// that is not positive appends nothing. Errors are as for [WAVWriter.WriteFrame].
func (w *WAVWriter) WriteSilence(d time.Duration) error {
	if err := w.usable(); err != nil {
		return err
	}
	// Format.Samples overflows after some hours where an int has 32 bits.
	seconds := max(d, 0) / time.Second
	left := int64(seconds)*int64(w.format.Rate*w.format.Channels) + int64(w.format.Samples(max(d, 0)%time.Second))
	left *= 2
	for left > 0 {
		n := int(min(int64(cap(w.buf)-len(w.buf)), left))
		end := len(w.buf) + n
		clear(w.buf[len(w.buf):end])
		w.buf = w.buf[:end]
		left -= int64(n)
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *WAVWriter) usable() error {
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return fmt.Errorf("wav: %w", os.ErrClosed)
	}
	return nil
}

// Flush writes out the samples in memory and makes the header cover them. It is
// needed only where writing pauses for so long that audio from before the pause
// must not be at risk, and waits for the disk.
func (w *WAVWriter) Flush() error {
	w.flush()
	if w.file != nil {
		w.err = cmp.Or(w.err, w.file.wait())
	}
	return w.err
}

func (w *WAVWriter) flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	n, err := w.w.Write(w.buf)
	w.written += int64(n)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	w.buf = w.buf[:0]
	w.err = err
	// On a full disk, too: what did get written can then be played.
	if err := w.writeHeader(); w.err == nil {
		w.err = err
	}
	return w.err
}

// writeHeader is one write, so that a reader sees the old header or the new one.
func (w *WAVWriter) writeHeader() error {
	if w.at == nil {
		return nil
	}
	size := w.written - w.written%int64(2*w.format.Channels)
	w.header = appendWAVHeader(w.header[:0], w.format, size)
	_, err := w.at.WriteAt(w.header, w.base)
	return err
}

// Close writes what is left and closes the file if [CreateWAV] opened it. It
// returns the first error that writing met, and the same again when called
// again.
func (w *WAVWriter) Close() error {
	if w.closed {
		return w.err
	}
	w.flush()
	w.closed = true
	if w.file != nil {
		w.err = cmp.Or(w.err, w.file.Close())
	}
	return w.err
}
