package parrot

import (
	"context"
	"io"
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	preRoll = time.Second // of silence that is remembered, in which speech may turn out to have begun
	longest = 30 * time.Second
)

// A memory keeps what was heard last: a turn, or what may be its beginning.
type memory struct {
	format  audio.Format
	samples []int16
	begin   time.Duration // of the samples
}

// add adds a frame that follows the one before.
func (m *memory) add(f *audio.Frame, speech bool) {
	if len(m.samples) == 0 {
		m.begin = f.Time
	}
	m.samples = append(m.samples, f.Samples...)
	keep := preRoll
	if speech {
		keep = longest
	}
	// What is too old goes in larger pieces, so that little is copied.
	if spare := m.format.Duration(len(m.samples)) - keep; spare > preRoll {
		m.from(m.begin + spare)
	}
}

// from forgets what was before a time.
func (m *memory) from(at time.Duration) {
	n := min(max(m.format.Samples(at-m.begin), 0), len(m.samples))
	m.samples = m.samples[:copy(m.samples, m.samples[n:])]
	m.begin += m.format.Duration(n)
}

// upTo returns a copy of what was up to a time, and forgets it.
func (m *memory) upTo(at time.Duration) audio.Frame {
	n := min(max(m.format.Samples(at-m.begin), 0), len(m.samples))
	turn := audio.Frame{Format: m.format, Time: m.begin, Samples: append([]int16(nil), m.samples[:n]...)}
	m.from(at)
	return turn
}

// repeat is the answer of a parrot.
func repeat(_ context.Context, heard audio.Frame) (audio.Reader, error) { return &once{heard}, nil }

// once gives one frame.
type once struct{ frame audio.Frame }

func (o *once) ReadFrame(f *audio.Frame) error {
	if len(o.frame.Samples) == 0 {
		return io.EOF
	}
	*f, o.frame = o.frame, audio.Frame{}
	return nil
}
