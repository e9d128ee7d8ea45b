//go:build interop

package vpx

import (
	"image"
	"testing"

	"github.com/parley-media/parley/video"
)

func TestNoAllocations(t *testing.T) {
	for _, name := range both {
		e, d := newPair(t, EncoderConfig{Codec: name})
		var in [2]image.YCbCr
		var out image.YCbCr
		f := video.Frame{Data: make([]byte, 0, 1<<16)}
		scene(&in[0], 320, 240, 0)
		scene(&in[1], 320, 240, 1)
		n := 0
		step := func() {
			if err := e.Encode(&f, &in[n%2], pictureTime(n), n%20 == 0); err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(&out, &f); err != nil {
				t.Fatal(err)
			}
			n++
		}
		for range 40 {
			step()
		}
		if got := testing.AllocsPerRun(100, step); got != 0 {
			t.Errorf("%s: %v allocations per frame, want 0", name, got)
		}
	}
}

func benchmarkScene(b *testing.B, name string) (*Encoder, *Decoder, []image.YCbCr) {
	e, d := newPair(b, EncoderConfig{Codec: name})
	pictures := make([]image.YCbCr, 30)
	for n := range pictures {
		scene(&pictures[n], 640, 480, n)
	}
	return e, d, pictures
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range both {
		b.Run(name, func(b *testing.B) {
			e, _, pictures := benchmarkScene(b, name)
			f := video.Frame{Data: make([]byte, 0, 1<<18)}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := e.Encode(&f, &pictures[n%len(pictures)], pictureTime(n), false); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range both {
		b.Run(name, func(b *testing.B) {
			e, d, pictures := benchmarkScene(b, name)
			frames := make([]video.Frame, len(pictures))
			for n := range frames {
				if err := e.Encode(&frames[n], &pictures[n], pictureTime(n), false); err != nil {
					b.Fatal(err)
				}
			}
			var p image.YCbCr
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := d.Decode(&p, &frames[n%len(frames)]); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}
