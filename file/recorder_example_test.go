package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
)

// A conversation is recorded with who called on the left, and who was called on
// the right.
func ExampleCreateRecorder() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "call.wav")

	rec, err := file.CreateRecorder(name, file.RecorderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm := file.RecorderTrack{Track: file.Track{Codec: file.PCM, Rate: 8000}}
	caller, err := rec.AddAudio(pcm)
	if err != nil {
		fmt.Println(err)
		return
	}
	called, err := rec.AddAudio(pcm)
	if err != nil {
		fmt.Println(err)
		return
	}
	// With calls this is caller.Record(call.Audio()), and the same for the other.
	f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 160)}
	for range 50 {
		caller.WriteFrame(&f)
		called.WriteFrame(&f)
		f.Time += f.Duration()
	}
	if err := rec.Close(); err != nil {
		fmt.Println(err)
		return
	}

	in, err := file.OpenWAV(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	d, _ := in.Duration()
	fmt.Println(in.Format(), d.Round(100*time.Millisecond))
	// Output: 8000 Hz stereo 1s
}

// Tracks are added while a file in WebM is written.
func ExampleRecorder_AddAudio() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "room.webm")

	rec, err := file.CreateRecorder(name, file.RecorderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var guests []*file.AudioRecording
	for i := range 6 {
		if i%3 == 0 {
			guest, err := rec.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.Opus}})
			if err != nil {
				fmt.Println(err)
				return
			}
			guests = append(guests, guest)
		}
		for _, guest := range guests {
			guest.WritePacket(&stream.Packet{Codec: opusCodec, Seq: int64(i), Timestamp: uint32(i) * 960, Payload: talk})
		}
		<-time.After(20 * time.Millisecond)
	}
	if err := rec.Close(); err != nil {
		fmt.Println(err)
		return
	}

	in, err := file.Open(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	packets := make([]int, len(in.Tracks()))
	var p file.Packet
	for in.ReadPacket(&p) == nil {
		packets[p.Track]++
	}
	fmt.Println(packets)
	// Output: [6 3]
}

// Both sides of a call are recorded, the far end left and this end right, while an
// agent listens and talks.
func ExampleRecorder_AddSent() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "sides.wav")
	call, hangUp := exampleCall()
	defer hangUp()

	rec, err := file.CreateRecorder(name, file.RecorderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	heard, err := rec.AddAudio(file.RecorderTrack{Track: file.Track{Codec: file.PCM, Rate: 8000}})
	if err != nil {
		fmt.Println(err)
		return
	}
	relay := audio.NewRelay(call.Audio(), audio.RelayConfig{}) // the agent listens too
	if err := heard.Record(relay.Subscribe()); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := rec.AddSent(call.Audio()); err != nil {
		fmt.Println(err)
		return
	}

	// The agent says something of 10 s, and is interrupted.
	long := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 80000)}
	for i := range long.Samples {
		long.Samples[i] = 1000
	}
	time.AfterFunc(300*time.Millisecond, func() { call.Audio().Flush(8 * time.Millisecond) })
	if err := call.Audio().WriteFrame(&long); err != nil {
		fmt.Println(err)
		return
	}
	if err := call.Audio().Drain(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	if err := rec.Close(); err != nil {
		fmt.Println(err)
		return
	}

	in, err := file.OpenWAV(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	d, _ := in.Duration()
	fmt.Println(in.Format(), d > 200*time.Millisecond && d < 5*time.Second)
	// Output: 8000 Hz stereo true
}
