package file

import (
	"fmt"
	"io"
)

// A source reads a file, knows where it is in it, and takes memory only for what
// is there.
type source struct {
	in     io.Reader
	pos    int64
	format string   // of the file, for errors
	small  [16]byte // what a header is read into
}

func (s *source) malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", s.format, ErrMalformed, fmt.Sprintf(format, args...))
}

// fail turns the error of reading what into that of the file. A file must not
// end there.
func (s *source) fail(err error, what string) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: reading %s at byte %d: %w", s.format, what, s.pos, err)
}

// read fills b. It returns plain io.EOF if there is nothing more.
func (s *source) read(b []byte) error {
	n, err := io.ReadFull(s.in, b)
	s.pos += int64(n)
	return err
}

// appendN appends the next n bytes to b, which grows no faster than they come.
func (s *source) appendN(b []byte, n int) ([]byte, error) {
	for n > 0 {
		have := len(b)
		step := min(n, max(64<<10, have))
		if cap(b)-have < step {
			b = append(b, make([]byte, step)...)
		}
		b = b[:have+step]
		k, err := io.ReadFull(s.in, b[have:])
		s.pos += int64(k)
		if err != nil {
			return b[:have+k], err
		}
		n -= step
	}
	return b, nil
}

func (s *source) skip(n int64) error {
	k, err := io.CopyN(io.Discard, s.in, n)
	s.pos += k
	return err
}
