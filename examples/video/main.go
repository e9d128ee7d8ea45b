// Command video makes two calls with each other on this machine: one films, the
// other one watches, and asks for a key frame in the midst, as for a recording
// that begins. The pictures are noise behind the header of a VP8 frame; a real
// camera brings an encoder.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

const frames = 30

func main() {
	ctx := context.Background()
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	format := session.VideoConfig{
		Codecs: []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}},
		RTCP:   parley.RTCPConfig{NACK: true},
	}

	watching := format
	watcher, err := session.Open(ctx, &session.Config{Local: anyPort, Video: &watching})
	if err != nil {
		log.Fatal(err)
	}
	defer watcher.Close()
	filming := format
	filming.Remote = watcher.LocalVideo()
	camera, err := session.Open(ctx, &session.Config{Local: anyPort, Remote: watcher.LocalAddr(), Video: &filming})
	if err != nil {
		log.Fatal(err)
	}

	go func() {
		// An encoder asks before each frame whether it shall be a key frame.
		clock := time.NewTicker(time.Second / 30)
		defer clock.Stop()
		for n := range frames {
			key := camera.Video().KeyframeRequested() || n == 0
			if err := camera.Video().WriteFrame(encode(n, key)); err != nil {
				log.Fatal(err)
			}
			<-clock.C
		}
		camera.Video().Drain(ctx)
		camera.Close()
	}()

	var f video.Frame
	seen, keys := 0, 0
	for watcher.Video().ReadFrame(&f) == nil { // until io.EOF
		seen++
		if f.Key {
			keys++
		}
		if seen == frames/2 {
			watcher.Video().RequestKeyframe()
		}
	}
	fmt.Printf("saw %d frames of %dx%d, of these %d key frames, then: %v\n", seen, f.Width, f.Height, keys, watcher.Err())
}

// encode returns the nth frame of 320 by 240.
func encode(n int, key bool) *video.Frame {
	data := make([]byte, 3000)
	data[0] = 1 // between key frames
	if key {
		copy(data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0})
	}
	return &video.Frame{Data: data, Key: key, Time: time.Duration(n) * time.Second / 30}
}
