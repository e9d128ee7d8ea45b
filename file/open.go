package file

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A PacketReadCloser reads the packets of a file that it has open.
type PacketReadCloser interface {
	PacketReader
	io.Closer
}

// Open opens the named file for reading. It goes by what the file begins with:
// IVF, Ogg, WebM and Matroska, and a byte stream of H.264 are read by the readers
// of this package, and all others by [OpenFFmpeg], for whose process ctx is. A pipe is
// [errors.ErrUnsupported], as it cannot be read twice; [NewWebMReader] and the like
// read one.
func Open(ctx context.Context, name string) (PacketReadCloser, error) {
	return openAs(ctx, name, false)
}

// openAs opens a file as it is, or to play it.
func openAs(ctx context.Context, name string, play bool) (PacketReadCloser, error) {
	f, err := openTwice(name)
	if err != nil {
		return nil, err
	}
	var start [8]byte
	n, err := io.ReadFull(f, start[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		f.Close()
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close() // what cannot be read twice, ffmpeg could not read either
		return nil, err
	}
	r, err := open(f, start[:n])
	if play && (errors.Is(err, errors.ErrUnsupported) || hasOtherSound(r)) {
		if ff, err := openFFmpeg(ctx, name, play); err == nil {
			f.Close()
			return ff, nil
		}
	}
	switch {
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	case r == nil:
		f.Close()
		ff, err := openFFmpeg(ctx, name, play)
		if err != nil {
			return nil, err // not a nil pointer in an interface
		}
		return ff, nil
	}
	return &openFile{r, f}, nil
}

// openTwice opens a file whose beginning is read first to see what it is. To open a pipe
// would wait for somebody who writes, which nothing can interrupt.
func openTwice(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) != 0 {
		return nil, fmt.Errorf("%s: a pipe or a device, which cannot be read twice: %w", name, errors.ErrUnsupported)
	}
	return os.Open(name)
}

// playable reports whether calls can be sent the sound of a track.
func (t *Track) playable() bool {
	return (t.Codec == Opus || t.Codec == PCM) && t.Channels <= 2
}

// hasOtherSound reports whether there is sound that calls cannot be sent as it is.
func hasOtherSound(r PacketReader) bool {
	var sound []Track
	if w, ok := r.(*WebMReader); ok && w != nil {
		sound = w.sound
	} else if o, ok := r.(*OggReader); ok && o != nil {
		sound = o.tracks[:]
	}
	return slices.ContainsFunc(sound, func(t Track) bool { return !t.playable() })
}

// open returns the reader for a file that begins with start, or nil.
func open(f io.Reader, start []byte) (r PacketReader, err error) {
	switch {
	case bytes.HasPrefix(start, []byte("DKIF")):
		return NewIVFReader(f)
	case bytes.HasPrefix(start, []byte("OggS")):
		return NewOggReader(f)
	case bytes.HasPrefix(start, []byte{idEBML >> 24, idEBML >> 16 & 0xFF, idEBML >> 8 & 0xFF, idEBML & 0xFF}):
		return NewWebMReader(f)
	case beginsH264(start):
		return NewAnnexBReader(f)
	}
	return nil, nil
}

// beginsH264 tells H.264 from the other codecs whose streams begin with a start
// code: their first NAL unit is never a delimiter, message or parameter set of
// H.264 by its whole first byte (H.264 section 7.4.1).
func beginsH264(b []byte) bool {
	i := startCode(b)
	if i < 0 || i+3 >= len(b) || startsWithoutCode(b) {
		return false
	}
	switch b[i+3] {
	case nalAUD, nalSEI, 0x20 | nalSPS, 0x40 | nalSPS, 0x60 | nalSPS:
		return true
	}
	return false
}

type openFile struct {
	PacketReader
	file *os.File
}

func (o *openFile) ReadPacket(p *Packet) error {
	err := o.PacketReader.ReadPacket(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", o.file.Name(), err)
	}
	return err
}

func (o *openFile) Close() error { return o.file.Close() }

// Create creates the named file, or truncates it, for the given tracks. The
// extension of the name is that of the format: .webm and .mkv, .mp4 and .m4a,
// .ogg and .opus, .ivf, or .h264 and .264; any other is [errors.ErrUnsupported].
// Closing the writer closes the file. Writes go to it on a goroutine that ends with
// Close, so that whoever reads a call does not wait for the disk: up to 8 MiB may wait,
// and the next write tells of an error. The error for tracks that the format cannot
// hold is that of the format's own constructor.
func Create(name string, tracks ...Track) (PacketWriter, error) {
	ext := strings.ToLower(filepath.Ext(name))
	begin := beginning(ext)
	if begin == nil {
		return nil, fmt.Errorf("%s: a file named %q: %w", name, ext, errors.ErrUnsupported)
	}
	// Tracks that the format does not take must not cost the file that was there.
	if _, err := begin(io.Discard, tracks); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	b := newBehind(f, nil)
	w, err := begin(b, tracks)
	if err = cmp.Or(err, b.wait()); err != nil {
		b.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &createdFile{PacketWriter: w, file: b}, nil
}

// beginning returns what begins a file whose name has the extension, or nil if that is
// of no format.
func beginning(ext string) func(io.Writer, []Track) (PacketWriter, error) {
	switch ext {
	case ".webm", ".mkv":
		return func(w io.Writer, tracks []Track) (PacketWriter, error) { return NewWebMWriter(w, tracks) }
	case ".mp4", ".m4a":
		return func(w io.Writer, tracks []Track) (PacketWriter, error) { return NewMP4Writer(w, tracks) }
	case ".ogg", ".opus":
		return single(NewOggWriter)
	case ".ivf":
		return single(NewIVFWriter)
	case ".h264", ".264":
		return single(NewAnnexBWriter)
	}
	return nil
}

// single begins a file of one track.
func single[W PacketWriter](begin func(io.Writer, Track) (W, error)) func(io.Writer, []Track) (PacketWriter, error) {
	return func(w io.Writer, tracks []Track) (PacketWriter, error) {
		if len(tracks) != 1 {
			return nil, fmt.Errorf("%w: %d of them, want 1", ErrTrack, len(tracks))
		}
		return begin(w, tracks[0])
	}
}

type createdFile struct {
	PacketWriter
	file   *behind
	closed bool
	err    error
}

func (c *createdFile) Close() error {
	if !c.closed {
		c.closed = true
		c.err = c.PacketWriter.Close()
		c.err = cmp.Or(c.err, c.file.Close())
	}
	return c.err
}
