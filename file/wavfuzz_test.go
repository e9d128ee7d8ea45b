package file_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

func FuzzWAVReader(f *testing.F) {
	mono, data := fmtChunk(1, 1, 8000, 16), chunk("data", pcm16...)
	f.Add(riff(mono, data))
	f.Add(riff(fmtChunk(0xFFFE, 2, 48000, 24, extensible(1, 20)...), chunk("LIST", 1), data))
	f.Add(rf64(100, 6, mono, data))
	f.Add(riff(fmtChunk(3, 1, 44100, 64), chunk("fact", 1, 0, 0, 0), patch(data, "data", math.MaxUint32)))
	f.Add(riff(fmtChunk(6, 2, 8000, 8), data))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := file.NewWAVReader(bytes.NewReader(in))
		if err != nil {
			return
		}
		if err := r.Format().Check(); err != nil {
			t.Fatal(err)
		}
		samples, err := readAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(samples) > len(in) || len(samples)%r.Format().Channels != 0 {
			t.Fatalf("%d samples in %d bytes", len(samples), len(in))
		}
		if d, ok := r.Duration(); !ok || d != r.Format().Duration(len(samples)) {
			t.Fatalf("Duration is %v, %t, there are %d samples", d, ok, len(samples))
		}

		// What was read comes back from a file of our own.
		m := &memory{limit: math.MaxInt}
		w, err := file.NewWAVWriter(m, r.Format())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&audio.Frame{Format: r.Format(), Samples: samples}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := file.NewWAVReader(bytes.NewReader(m.b))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(again); err != nil || !slices.Equal(got, samples) {
			t.Fatalf("%d samples come back from %d, %v", len(got), len(samples), err)
		}
	})
}
