package file_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
)

// A recording with a gap, and how it is read.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "call.wav")

	w, err := file.CreateWAV(name, audio.Format{Rate: 8000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := audio.Frame{Format: w.Format(), Samples: make([]int16, 160), Time: 40 * time.Millisecond}
	w.WriteSilence(frame.Time - w.Duration())
	w.WriteFrame(&frame)
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	r, err := file.OpenWAV(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	d, _ := r.Duration()
	fmt.Println(r.Format(), d)
	var f audio.Frame
	for r.ReadFrame(&f) == nil {
		fmt.Println(f.Time, len(f.Samples))
	}
	// Output:
	// 8000 Hz mono 60ms
	// 0s 160
	// 20ms 160
	// 40ms 160
}

// A file from the network, in frames of a length of one's own.
func ExampleNewWAVReader() {
	var b bytes.Buffer
	w, _ := file.NewWAVWriter(&b, audio.Format{Rate: 16000, Channels: 2})
	w.WriteSilence(120 * time.Millisecond)
	w.Close()

	r, err := file.NewWAVReader(io.MultiReader(&b)) // cannot seek
	if err != nil {
		fmt.Println(err)
		return
	}
	r.FrameDuration = 50 * time.Millisecond
	var f audio.Frame
	for {
		if err := r.ReadFrame(&f); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Time, f.Duration())
	}
	// Output:
	// 0s 50ms
	// 50ms 50ms
	// 100ms 20ms
	// EOF
}

// A writer that cannot seek gets a file of unknown length.
func ExampleNewWAVWriter() {
	var b bytes.Buffer
	w, err := file.NewWAVWriter(&b, audio.Format{Rate: 8000, Channels: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.WriteFrame(&audio.Frame{Format: w.Format(), Samples: []int16{1, 2}})
	w.Close()
	fmt.Printf("%q\n", b.Bytes()[:8])
	// Output: "RIFF\xff\xff\xff\xff"
}
