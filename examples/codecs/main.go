// Command codecs encodes and decodes a second of a tone with each codec of this
// build, and prints how large it becomes and what is left of it.
package main

import (
	"fmt"
	"log"
	"math"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/g722"
	_ "github.com/parley-media/parley/codec/l16"
	_ "github.com/parley-media/parley/codec/opus/libopus"
)

func main() {
	for _, p := range []codec.Params{
		{Name: "PCMU", ClockRate: 8000, Channels: 1},
		{Name: "PCMA", ClockRate: 8000, Channels: 1},
		{Name: "G722", ClockRate: 8000, Channels: 1},
		{Name: "L16", ClockRate: 16000, Channels: 1},
		{Name: "opus", ClockRate: 48000, Channels: 2},
	} {
		c, err := codec.Lookup(p)
		if err != nil {
			log.Fatal(err)
		}
		if c.NewEncoder == nil {
			fmt.Printf("%-14v this build only decodes it\n", p)
			continue
		}
		format, _ := c.Format(p)
		enc, err := c.NewEncoder(p)
		if err != nil {
			log.Fatal(err)
		}
		dec, err := c.NewDecoder(p)
		if err != nil {
			log.Fatal(err)
		}
		in, bytes := tone(format), 0
		var out []int16
		frame := format.Rate / 50 * format.Channels // 20 ms
		for i := 0; i < len(in); i += frame {
			payload, err := enc.Encode(nil, in[i:i+frame])
			if err != nil {
				log.Fatal(err)
			}
			bytes += len(payload)
			if out, err = dec.Decode(out, payload); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Printf("%-14v %6.1f kbit/s, level %+.1f dB\n", p, float64(bytes)*8/1000, 20*math.Log10(rms(out)/rms(in)))
	}
}

// tone is a second of 440 Hz.
func tone(f audio.Format) []int16 {
	pcm := make([]int16, f.Rate*f.Channels)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i/f.Channels)/float64(f.Rate)))
	}
	return pcm
}

func rms(pcm []int16) float64 {
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}
