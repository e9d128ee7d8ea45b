package file_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley/file"
)

// Two frames of VP8, 320x240, and two packets of Opus.
var (
	keyFrame   = []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00, 1, 2, 3}
	deltaFrame = []byte{0x11, 0, 0, 4, 5}
	talk       = []byte{0xF8, 1, 2, 3}
)

// A call with sound and picture is recorded as it is coded.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "call.webm")

	w, err := file.Create(name, file.Track{Codec: file.VP8}, file.Track{Codec: file.Opus})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range []file.Packet{
		{Track: 1, Data: talk},
		{Track: 0, Data: keyFrame, Key: true, Time: 10 * time.Millisecond},
		{Track: 1, Data: talk, Time: 20 * time.Millisecond},
		{Track: 0, Data: deltaFrame, Time: 43 * time.Millisecond},
	} {
		if err := w.WritePacket(&p); err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	r, err := file.Open(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	tracks := r.Tracks()
	fmt.Println(tracks[0].Codec, tracks[0].Width, tracks[0].Height)
	fmt.Println(tracks[1].Codec, tracks[1].Rate, tracks[1].Channels)
	var p file.Packet
	for r.ReadPacket(&p) == nil {
		fmt.Println(tracks[p.Track].Codec, p.Time, p.Duration, p.Key, len(p.Data))
	}
	// Output:
	// VP8 320 240
	// opus 48000 2
	// opus 0s 20ms true 4
	// VP8 10ms 0s true 13
	// opus 20ms 20ms true 4
	// VP8 43ms 0s false 5
}

// A recording on its way into a pipe has no sizes in it, and plays all the same.
func ExampleNewMP4Writer() {
	var b bytes.Buffer
	w, err := file.NewMP4Writer(&b, []file.Track{{Codec: file.Opus, Channels: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 100 {
		w.WritePacket(&file.Packet{Time: time.Duration(i) * 20 * time.Millisecond, Data: talk})
		if i == 60 {
			fmt.Println("after a second:", bytes.Count(b.Bytes(), []byte("moof")), "fragment")
		}
	}
	w.Close()
	fmt.Println("closed:", bytes.Count(b.Bytes(), []byte("moof")), "fragments")
	// Output:
	// after a second: 1 fragment
	// closed: 2 fragments
}

// What an encoder adds before and after the sound is told to the player.
func ExampleNewOggWriter() {
	var b bytes.Buffer
	w, err := file.NewOggWriter(&b, file.Track{Codec: file.Opus, Channels: 1, PreSkip: 312})
	if err != nil {
		fmt.Println(err)
		return
	}
	const early = 6500 * time.Microsecond // 312 samples
	w.WritePacket(&file.Packet{Time: -early, Data: talk})
	w.WritePacket(&file.Packet{Time: 20*time.Millisecond - early, Duration: 15 * time.Millisecond, Data: talk})
	w.Close()

	r, err := file.NewOggReader(&b)
	if err != nil {
		fmt.Println(err)
		return
	}
	var p file.Packet
	for {
		if err := r.ReadPacket(&p); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Time, p.Duration)
	}
	// Output:
	// -6.5ms 20ms
	// 13.5ms 15ms
	// EOF
}

// An H.264 stream without times becomes a file with them.
func ExampleNewAnnexBReader() {
	stream := bytes.NewReader([]byte("\x00\x00\x01\x65\x88\x80key\x00\x00\x01\x41\x9A\x80one\x00\x00\x01\x41\x9A\x80two"))
	r, err := file.NewAnnexBReader(stream)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.FrameDuration = 20 * time.Millisecond
	var p file.Packet
	for r.ReadPacket(&p) != io.EOF {
		fmt.Println(p.Time, p.Key)
	}
	// Output:
	// 0s true
	// 20ms false
	// 40ms false
}

// Frames of video by themselves, as test programs and codecs exchange them.
func ExampleNewIVFWriter() {
	var b bytes.Buffer
	w, err := file.NewIVFWriter(&b, file.Track{Codec: file.VP8})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.WritePacket(&file.Packet{Key: true, Data: keyFrame})
	w.WritePacket(&file.Packet{Time: 40 * time.Millisecond, Data: deltaFrame})
	w.Close()

	r, err := file.NewIVFReader(&b)
	if err != nil {
		fmt.Println(err)
		return
	}
	var p file.Packet
	for r.ReadPacket(&p) == nil {
		fmt.Println(p.Time, p.Key, len(p.Data))
	}
	// Output:
	// 0s true 13
	// 40ms false 5
}
