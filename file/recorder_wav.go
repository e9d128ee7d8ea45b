package file

import (
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	// A side that says nothing is waited for by wavLag, for as long as its frames
	// are believed and some more to write them, and one that is ahead of time has
	// wavAhead at most in memory.
	wavLag   = clockBehind + 500*time.Millisecond
	wavAhead = time.Minute
)

// A wavMixer writes one stream of sound, or two that become left and right, to a
// WAV file. Times are in samples of each channel, from the beginning of the file.
type wavMixer struct {
	w     *WAVWriter
	sides []wavSide
	width int   // channels of a side
	base  int64 // what is written
	out   audio.Frame
}

// A wavSide has the samples of one side behind what is written.
type wavSide struct{ pending []int16 }

func newWAVMixer(w *WAVWriter, sides int) *wavMixer {
	return &wavMixer{w: w, sides: make([]wavSide, sides), width: w.Format().Channels / sides, out: audio.Frame{Format: w.Format()}}
}

// samples returns how many samples d is.
func (m *wavMixer) samples(d time.Duration) int64 { return timeToSamples(d, m.w.Format().Rate) }

// write puts samples of a side into the file, where now is the present. What is
// there already stays, and cut reports that some of these lie there.
func (m *wavMixer) write(side int, at int64, samples []int16, now time.Duration) (cut bool, err error) {
	if err := m.advance(at - m.samples(wavAhead)); err != nil {
		return false, err
	}
	s := &m.sides[side]
	if early := m.base + int64(len(s.pending)/m.width) - at; early > 0 {
		skip := min(early*int64(m.width), int64(len(samples)))
		at, samples, cut = at+early, samples[skip:], true
	}
	if len(samples) > 0 {
		gap := int(at-m.base)*m.width - len(s.pending)
		s.pending = append(appendSilence(s.pending, gap), samples...)
	}
	least := len(s.pending)
	for i := range m.sides {
		least = min(least, len(m.sides[i].pending))
	}
	return cut, m.advance(max(m.base+int64(least/m.width), m.samples(now-wavLag)))
}

// appendSilence appends n zeros.
func appendSilence(b []int16, n int) []int16 {
	have := len(b)
	if cap(b)-have >= n {
		b = b[:have+n]
		clear(b[have:])
		return b
	}
	return append(b, make([]int16, n)...)
}

// advance writes all that lies before the given time, and silence for what does
// not.
func (m *wavMixer) advance(to int64) error {
	longest := 0
	for i := range m.sides {
		longest = max(longest, len(m.sides[i].pending)/m.width)
	}
	n := int(min(max(to-m.base, 0), int64(longest)))
	if n > 0 {
		m.interleave(n)
		if err := m.w.WriteFrame(&m.out); err != nil {
			return err
		}
		m.base += int64(n)
	}
	if to > m.base {
		if err := m.w.WriteSilence(samplesToTime(to-m.base, m.w.Format().Rate)); err != nil {
			return err
		}
		m.base = to
	}
	return nil
}

// interleave moves n samples of each channel from the sides to out.
func (m *wavMixer) interleave(n int) {
	m.out.Grow(n * m.width * len(m.sides))
	for i := range m.sides {
		s := &m.sides[i]
		have := min(len(s.pending), n*m.width)
		if len(m.sides) == 1 {
			copy(m.out.Samples, s.pending[:have])
		} else {
			for k := range n {
				var v int16
				if k < have {
					v = s.pending[k]
				}
				m.out.Samples[k*len(m.sides)+i] = v
			}
		}
		s.pending = s.pending[:copy(s.pending, s.pending[have:])]
	}
}

// close writes what is left and completes the file.
func (m *wavMixer) close() error {
	for i := range m.sides {
		m.advance(m.base + int64(len(m.sides[i].pending)/m.width))
	}
	return m.w.Close()
}
