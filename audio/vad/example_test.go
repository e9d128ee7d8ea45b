package vad_test

import (
	"fmt"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
)

func ExampleDetector() {
	// Three seconds with a word from 1 s to 1.8 s.
	format := audio.Format{Rate: 8000, Channels: 1}
	samples := pcm(add(timeline(8000, 3), speak(8000, "aioea", 120, 0.3), 8000, 1), 1)

	d, err := vad.New(format, vad.Config{Hangover: 400 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	var events []vad.Event
	for i := 0; i < len(samples); i += 160 {
		f := audio.Frame{Format: format, Samples: samples[i : i+160], Time: format.Duration(i)}
		if events, err = d.Detect(events[:0], &f); err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range events {
			fmt.Println(e.Kind, e.Time.Round(100*time.Millisecond))
		}
	}
	// Output:
	// start 900ms
	// stop 1.8s
}
