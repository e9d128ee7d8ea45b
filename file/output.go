package file

import (
	"fmt"
	"io"
	"os"
	"time"
)

// An output collects what goes to a file, and can come back to what it wrote if
// the file can seek.
type output struct {
	w       io.Writer
	at      io.WriterAt // nil: the output cannot be rewritten
	base    int64       // where the file begins in at
	written int64
	buf     []byte
	flushed time.Duration // of media, up to the last flush
	format  string
	err     error // the first one
	closed  bool
}

// start takes w as the output, from its present position on.
func (o *output) start(w io.Writer, format string) error {
	o.w, o.format = w, format
	if at, s, ok := seekable(w); ok {
		base, err := s.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		o.at, o.base = at, base
	}
	return nil
}

func (o *output) usable() error {
	if o.err == nil && o.closed {
		return fmt.Errorf("%s: %w", o.format, os.ErrClosed)
	}
	return o.err
}

// pos is where the next byte of buf will be in the file.
func (o *output) pos() int64 { return o.written + int64(len(o.buf)) }

// flush writes out what there is.
func (o *output) flush() error {
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	n, err := o.w.Write(o.buf)
	o.written += int64(n)
	if err == nil && n < len(o.buf) {
		err = io.ErrShortWrite
	}
	o.buf = o.buf[:0]
	o.err = err
	return err
}

// settle flushes what would be too much to lose, or to keep, at time t.
func (o *output) settle(t time.Duration) error {
	if len(o.buf) >= maxWriteBuffer || (t-o.flushed).Abs() >= flushInterval {
		o.flushed = t
		return o.flush()
	}
	return o.err
}

// patch rewrites b at pos, if that can be.
func (o *output) patch(b []byte, pos int64) error {
	switch {
	case o.err != nil:
	case pos >= o.written:
		copy(o.buf[pos-o.written:], b)
	case o.at != nil:
		// What lies on both sides is written out first, so that b is in one place.
		if pos+int64(len(b)) > o.written {
			if err := o.flush(); err != nil {
				return err
			}
		}
		_, o.err = o.at.WriteAt(b, o.base+pos)
	}
	return o.err
}
