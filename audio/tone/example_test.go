package tone_test

import (
	"fmt"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
)

func ExampleNational() {
	plan, ok := tone.National("GB")
	if !ok {
		fmt.Println("no such country")
		return
	}
	for _, s := range plan.Ringback.Segments {
		for _, sine := range s.Sines {
			fmt.Printf("%g Hz ", sine.Frequency)
		}
		fmt.Println(s.Duration)
	}
	// Output:
	// 400 Hz 450 Hz 400ms
	// 200ms
	// 400 Hz 450 Hz 400ms
	// 2s
}

func ExampleDTMF() {
	s, err := tone.DTMF("42#", &tone.DTMFOptions{Duration: 70 * time.Millisecond, Gap: 50 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := tone.NewGenerator(audio.Format{Rate: 8000, Channels: 1}, s)
	if err != nil {
		fmt.Println(err)
		return
	}
	var f audio.Frame
	samples := 0
	for g.ReadFrame(&f) == nil {
		samples += len(f.Samples)
	}
	fmt.Println(samples, g.Format().Duration(samples))
	// Output: 2880 360ms
}

// A tone of one's own: two beeps, then no more.
func ExampleNewGenerator() {
	beep := tone.Segment{Sines: []tone.Sine{{Frequency: 880, Level: -20}}, Duration: 80 * time.Millisecond}
	g, err := tone.NewGenerator(audio.Format{Rate: 16000, Channels: 2}, tone.Signal{
		Segments: []tone.Segment{beep, {Duration: 40 * time.Millisecond}},
		Count:    2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	g.FrameDuration = 100 * time.Millisecond
	var f audio.Frame
	for {
		if err := g.ReadFrame(&f); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Time, f.Duration())
	}
	// Output:
	// 0s 100ms
	// 100ms 100ms
	// 200ms 40ms
	// EOF
}
