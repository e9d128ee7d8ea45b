package resample_test

import (
	"fmt"
	"math"

	"github.com/parley-media/parley/audio/resample"
)

func Example() {
	r, err := resample.New(resample.Config{In: 8000, Out: 48000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := make([]int16, 160)
	var out []int16
	for n := range 3 {
		for i := range frame {
			frame[i] = int16(10000 * math.Sin(2*math.Pi*400*float64(n*160+i)/8000))
		}
		out = r.Append(out[:0], frame)
		fmt.Println(len(frame), "samples in,", len(out), "out")
	}
	out = r.Flush(out[:0])
	fmt.Println("and at the end", len(out))
	fmt.Println("delay", r.Delay())
	// Output:
	// 160 samples in, 960 out
	// 160 samples in, 960 out
	// 160 samples in, 960 out
	// and at the end 306
	// delay 6.375ms
}

// A recording has no use for the delay: leave out the first samples, and flush.
func ExampleResampler_Flush() {
	r, err := resample.New(resample.Config{In: 44100, Out: 16000, Quality: resample.High})
	if err != nil {
		fmt.Println(err)
		return
	}
	second := make([]int16, 44100)
	out := r.Append(nil, second)
	out = r.Flush(out)
	out = out[r.DelaySamples():]
	fmt.Println(len(out))
	// Output: 16000
}

// A sound card that gives 48004 samples a second, which are to be 48000.
func ExampleResampler_SetCorrection() {
	r, err := resample.New(resample.Config{In: 48000, Out: 48000})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.SetCorrection((48000.0/48004.0 - 1) * 1e6)
	total := 0
	var out []int16
	second := make([]int16, 48004)
	for range 10 {
		out = r.Append(out[:0], second)
		total += len(out)
	}
	fmt.Println(total)
	// Output: 480000
}
