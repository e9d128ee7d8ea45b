package audio_test

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-media/parley/audio"
)

// A telephone gives 8 kHz in frames of 20 ms. A speech model wants 24 kHz in
// frames of 50 ms.
func ExampleConvert() {
	var source script = sine(audio.Format{Rate: 8000, Channels: 1}, 0, 20*time.Millisecond, 6)

	in := audio.Convert(&source, audio.Format{Rate: 24000, Channels: 1}, 50*time.Millisecond)
	var f audio.Frame
	for {
		err := in.ReadFrame(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Time, f.Format, len(f.Samples), "samples", f.Kind)
	}
	// Output:
	// 0s 24000 Hz mono 1200 samples media
	// 50ms 24000 Hz mono 1200 samples media
	// 100ms 24000 Hz mono 480 samples media
}

type printer struct{}

func (printer) WriteFrame(f *audio.Frame) error {
	fmt.Println(f.Time, f.Format, len(f.Samples), "samples")
	return nil
}

// Speech synthesis gives pieces of any length, a telephone takes frames.
func ExampleConvertWriter() {
	out := audio.ConvertWriter(printer{}, audio.Format{Rate: 8000, Channels: 1}, 20*time.Millisecond)
	for _, n := range []int{100, 2000, 700} {
		f := audio.Frame{Format: audio.Format{Rate: 48000, Channels: 2}, Samples: make([]int16, 2*n)}
		if err := out.WriteFrame(&f); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := out.Flush(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 0s 8000 Hz mono 160 samples
	// 20ms 8000 Hz mono 160 samples
	// 40ms 8000 Hz mono 147 samples
}

func ExampleAdapter() {
	a, err := audio.NewAdapter(audio.Format{Rate: 16000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var samples []int16
	for _, format := range []audio.Format{{Rate: 48000, Channels: 2}, {Rate: 8000, Channels: 1}} {
		frame := audio.Frame{Format: format, Samples: make([]int16, format.Samples(20*time.Millisecond))}
		samples, err = a.Append(samples, &frame)
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	samples = a.Flush(samples)
	fmt.Println(len(samples))
	// Output: 640
}
