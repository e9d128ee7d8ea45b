// Command keyframes shows how an encoder learns that the far end needs a key
// frame: a viewer comes late to a film of which only the first frame is a key
// frame, and a waiting encoder is told by an event. A program that encodes at a
// steady pace asks KeyframeRequested before each frame instead, as the example
// video does.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

func main() {
	ctx := context.Background()
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	format := session.VideoConfig{Codecs: []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}}}

	watching := format
	viewer, err := session.Open(ctx, &session.Config{Local: anyPort, Video: &watching})
	if err != nil {
		log.Fatal(err)
	}
	defer viewer.Close()
	filming := format
	filming.Remote = viewer.LocalVideo()
	camera, err := session.Open(ctx, &session.Config{Local: anyPort, Remote: viewer.LocalAddr(), Video: &filming})
	if err != nil {
		log.Fatal(err)
	}
	defer camera.Close()

	var force atomic.Bool // what an encoder calls "force intra"
	go func() {
		for {
			e, err := camera.ReadEvent(ctx)
			if err != nil {
				return // the call is over
			}
			if e.Kind == parley.KeyframeRequested {
				force.Store(true)
			}
		}
	}()
	go func() {
		clock := time.NewTicker(time.Second / 30)
		defer clock.Stop()
		for n := 1; ; n++ { // frame 0, the key frame, went to others
			if camera.Video().WriteFrame(encode(n, force.Swap(false))) != nil {
				return
			}
			<-clock.C
		}
	}()

	// The viewer asks by itself: nothing is given out that cannot be decoded.
	var f video.Frame
	if err := viewer.Video().ReadFrame(&f); err != nil {
		log.Fatal(err)
	}
	var stats parley.Stats
	viewer.Stats(&stats)
	fmt.Printf("the first frame that is seen is a key frame: %t\n", f.Key)
	fmt.Printf("asked for: %t\n", stats.Video.KeyframesAsked > 0)
}

// encode returns the nth frame of 320 by 240, as the header of one.
func encode(n int, key bool) *video.Frame {
	data := make([]byte, 300)
	data[0] = 1 // between key frames
	if key {
		copy(data, []byte{0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0})
	}
	return &video.Frame{Data: data, Key: key, Time: time.Duration(n) * time.Second / 30}
}
