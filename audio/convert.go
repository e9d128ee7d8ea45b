package audio

import (
	"errors"
	"io"
	"time"
)

// A Converter is a [Reader] that gives frames of one format and one length,
// whatever it reads. It is not safe for concurrent use.
type Converter struct {
	from    Reader
	framer  *framer
	err     error // from Convert, or io.EOF once from has ended
	in      Frame
	waiting bool // in has been read and not yet used
}

// Convert returns a reader of what r gives as f, in frames of the given length,
// which is rounded to whole samples. A length of zero means 20 ms; the longest
// is a minute. If f is not valid, each read returns an error that wraps
// [ErrFormat].
//
//	in := audio.Convert(r, audio.Format{Rate: 24000, Channels: 1}, 50*time.Millisecond)
//
// Frames of r may have any length, and their format may change. The frames of
// the converter follow each other without a gap, beginning at the time of the
// first frame of r: a gap of more than 1 ms between two frames of r is filled
// with [Silence]. Times that go back, or ahead by more than an hour, are passed
// over. A frame is of the kind that most of its samples are of, and was captured
// when its first sample was.
//
// At the end of r the last frame is as short as what is left, and after it comes
// [io.EOF]. Other errors of r are returned as they are, and reading can go on
// after them.
func Convert(r Reader, f Format, frame time.Duration) *Converter {
	c := &Converter{from: r}
	c.framer, c.err = newFramer(f, frame)
	return c
}

// ReadFrame fills f with the next frame. It does not allocate once its buffers
// have grown to the frames of the source.
func (c *Converter) ReadFrame(f *Frame) error {
	if c.framer == nil {
		return c.err
	}
	for {
		switch {
		case c.framer.pop(f, c.err != nil):
			return nil
		case c.framer.fill():
		case c.waiting:
			c.framer.push(&c.in)
			c.waiting = false
		case c.err != nil:
			return c.err
		default:
			if err := c.read(); err != nil {
				return err
			}
		}
	}
}

// read takes a frame from the source. Its end is not an error yet.
func (c *Converter) read() error {
	err := c.from.ReadFrame(&c.in)
	if errors.Is(err, io.EOF) {
		c.err = io.EOF
		c.framer.flush()
		return nil
	}
	if err == nil {
		err = c.framer.admit(&c.in)
	}
	c.waiting = err == nil
	return err
}

// A WriteConverter is a [Writer] that takes frames of any format and length and
// passes them on in one. It is not safe for concurrent use.
type WriteConverter struct {
	to     Writer
	framer *framer
	err    error
	out    Frame
}

// ConvertWriter returns a writer that does for w what [Convert] does for a
// reader. Flush has to be called at the end.
func ConvertWriter(w Writer, f Format, frame time.Duration) *WriteConverter {
	c := &WriteConverter{to: w}
	c.framer, c.err = newFramer(f, frame)
	return c
}

// WriteFrame takes f, and writes the frames that have become complete, so that
// less than one is kept. When the writer returns an error, the frame that it was
// for is lost, with what is left of a gap before f; the others are written all the
// same, and the first error is returned.
func (c *WriteConverter) WriteFrame(f *Frame) error {
	if c.err != nil {
		return c.err
	}
	if err := c.framer.admit(f); err != nil {
		return err
	}
	var err error
	for err == nil && c.framer.fill() {
		err = c.write(false)
	}
	c.framer.gap = 0
	c.framer.push(f)
	if err2 := c.write(false); err == nil {
		err = err2
	}
	return err
}

// write returns the first error, but tries all: what was kept for a writer that
// fails for good would grow without end.
func (c *WriteConverter) write(last bool) (first error) {
	for c.framer.pop(&c.out, last) {
		if err := c.to.WriteFrame(&c.out); first == nil {
			first = err
		}
	}
	return first
}

// Flush writes all that is left, in a last frame that may be shorter. What is
// written afterwards continues on the same timeline.
func (c *WriteConverter) Flush() error {
	if c.err != nil {
		return c.err
	}
	c.framer.flush()
	return c.write(true)
}
