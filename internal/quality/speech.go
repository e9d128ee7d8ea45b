package quality

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/internal/speech"
)

// maxSpeech is how much of a file is read: more than that is not needed.
const maxSpeech = 10 * time.Minute

// ReadSpeech returns what r gives, at most ten minutes of it, as mono of the
// given rate. The error is that of r, or wraps [audio.ErrFormat] if there is
// nothing to send.
func ReadSpeech(r audio.Reader, rate int) ([]int16, error) {
	format := audio.Format{Rate: rate, Channels: 1}
	c := audio.Convert(r, format, interval)
	var pcm []int16
	var f audio.Frame
	for len(pcm) < format.Samples(maxSpeech) {
		err := c.ReadFrame(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		pcm = append(pcm, f.Samples...)
	}
	if len(pcm) == 0 {
		return nil, fmt.Errorf("%w: there is nothing to send", audio.ErrFormat)
	}
	return pcm, nil
}

// Speech returns the project's own speech, 24 seconds of it, in the given rate;
// nil if audio cannot have that rate.
func Speech(rate int) []int16 {
	a, err := audio.NewAdapter(audio.Format{Rate: rate, Channels: 1})
	if err != nil {
		return nil
	}
	f := audio.Frame{Format: audio.Format{Rate: speech.Rate, Channels: 1}, Samples: speech.PCM()}
	out, _ := a.Append(nil, &f) //nolint:errcheck // the frame is whole
	return a.Flush(out)
}
