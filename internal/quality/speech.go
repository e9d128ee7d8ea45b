package quality

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/parley-media/parley/audio"
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

// Speech returns 24 seconds of what moves as speech does, for when there is
// nothing else to send: harmonics of a gliding pitch and a little breath, rising
// and falling four times a second. It is the same in every run.
func Speech(rate int) []int16 {
	r := rand.New(rand.NewPCG(20, 26))
	pcm := make([]int16, 24*rate)
	var phase float64
	for i := range pcm {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (120 + 30*math.Sin(2*math.Pi*t/3)) / float64(rate)
		v := r.NormFloat64() / 50
		sin, cos := math.Sincos(phase)
		before, harmonic := 0.0, sin
		for k := 1.0; k < 25; k++ { // up to 3.7 kHz
			v += harmonic / k
			before, harmonic = harmonic, 2*cos*harmonic-before
		}
		level := math.Exp(3.2*math.Sin(8*math.Pi*t) - 3.5)
		pcm[i] = int16(max(math.MinInt16, min(v*level*6000, math.MaxInt16)))
	}
	return pcm
}
