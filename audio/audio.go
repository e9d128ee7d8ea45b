// Package audio has the types that carry PCM between the parts of Parley: a
// [Format], a [Frame] of interleaved 16-bit samples, and the one-method
// interfaces [Reader] and [Writer]. It knows nothing of packets or codecs.
package audio

import (
	"errors"
	"fmt"
	"time"
)

// ErrFormat is returned, wrapped with what was wrong, when a frame or a stream
// has a shape that the receiver of it cannot take. It is never replaced by
// silence.
var ErrFormat = errors.New("audio: wrong format")

// A Format is the shape of PCM audio: signed 16-bit samples, interleaved when
// there is more than one channel.
type Format struct {
	Rate     int // samples per second and channel, 1000 to 384000
	Channels int // 1 (mono) or 2 (stereo: left, right)
}

// Check returns nil if f can be carried, or an error that wraps [ErrFormat].
func (f Format) Check() error {
	if f.Rate < 1000 || f.Rate > 384000 {
		return fmt.Errorf("%w: rate %d Hz is outside 1000..384000", ErrFormat, f.Rate)
	}
	if f.Channels != 1 && f.Channels != 2 {
		return fmt.Errorf("%w: %d channels, want 1 or 2", ErrFormat, f.Channels)
	}
	return nil
}

// Samples returns how many interleaved samples (all channels together) last d,
// rounded to the nearest whole sample of each channel.
func (f Format) Samples(d time.Duration) int {
	seconds, rest := d/time.Second, d%time.Second // whose products with a rate do not overflow
	if rest < 0 {
		seconds, rest = seconds-1, rest+time.Second
	}
	return (int(seconds)*f.Rate + int((rest*time.Duration(f.Rate)+time.Second/2)/time.Second)) * f.Channels
}

// Duration returns how long n interleaved samples (all channels together) last.
// It is exact up to 71 hours.
func (f Format) Duration(n int) time.Duration {
	if f.Rate == 0 || f.Channels == 0 {
		return 0
	}
	if f.Channels != 1 {
		n /= f.Channels
	}
	switch { // divisions are dear
	case f.Rate == 8000:
		return time.Duration(n) * (time.Second / 8000)
	case n >= 0 && n < f.Rate: // a frame
		return time.Duration(n) * time.Second / time.Duration(f.Rate)
	}
	return time.Duration(n/f.Rate)*time.Second + time.Duration(n%f.Rate)*time.Second/time.Duration(f.Rate)
}

// String returns, for example, "8000 Hz mono".
func (f Format) String() string {
	switch f.Channels {
	case 1:
		return fmt.Sprintf("%d Hz mono", f.Rate)
	case 2:
		return fmt.Sprintf("%d Hz stereo", f.Rate)
	}
	return fmt.Sprintf("%d Hz, %d channels", f.Rate, f.Channels)
}

// A Kind tells where the samples of a frame come from.
type Kind uint8

const (
	Media     Kind = iota // what the far end sent
	Concealed             // made up for media that was lost or is late
	Noise                 // comfort noise, in a pause that the sender announced
	Silence               // a pause: nothing was sent for this time
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Media:
		return "media"
	case Concealed:
		return "concealed"
	case Noise:
		return "noise"
	case Silence:
		return "silence"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Frame is a run of PCM samples with its place on a timeline.
//
// A frame that is passed to a [Writer] is borrowed until the call returns; a
// frame that is filled by a [Reader] belongs to the caller, and its Samples are
// overwritten by the next read into the same frame.
type Frame struct {
	Format   Format
	Samples  []int16       // interleaved; any length that is a multiple of Format.Channels
	Time     time.Duration // position of the first sample on the stream's continuous timeline
	Captured time.Time     // when the far end captured it by its own reports; zero if unknown
	Kind     Kind
}

// Check returns nil if the frame's format is valid and its samples are whole,
// or an error that wraps [ErrFormat].
func (f *Frame) Check() error {
	if err := f.Format.Check(); err != nil {
		return err
	}
	if len(f.Samples)%f.Format.Channels != 0 {
		return fmt.Errorf("%w: %d samples do not divide by %d channels", ErrFormat, len(f.Samples), f.Format.Channels)
	}
	return nil
}

// Duration returns how long the samples of f last.
func (f *Frame) Duration() time.Duration { return f.Format.Duration(len(f.Samples)) }

// Grow sets the length of f.Samples to n, reusing its memory when it is large
// enough. The content is undefined afterwards.
func (f *Frame) Grow(n int) {
	if cap(f.Samples) < n {
		f.Samples = make([]int16, n)
		return
	}
	f.Samples = f.Samples[:n]
}

// A Reader is a source of audio.
//
// ReadFrame fills f, reusing f.Samples when it has room. It returns [io.EOF],
// and no samples, at an orderly end.
type Reader interface {
	ReadFrame(f *Frame) error
}

// A Writer takes audio. WriteFrame must not keep f or its samples.
type Writer interface {
	WriteFrame(f *Frame) error
}
