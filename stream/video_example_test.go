package stream_test

import (
	"fmt"
	"log"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

// Frames of VP8 become packets, and packets frames.
func ExampleVideoReceiver() {
	vp8 := codec.Params{Name: "VP8", PayloadType: 96, ClockRate: 90000}
	sender, err := stream.NewVideoSender(stream.VideoSenderConfig{Codec: vp8, SSRC: 1})
	if err != nil {
		log.Fatal(err)
	}
	receiver, err := stream.NewVideoReceiver(stream.VideoReceiverConfig{Codecs: []codec.Params{vp8}})
	if err != nil {
		log.Fatal(err)
	}

	now := time.Now()
	picture := append([]byte{0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}, make([]byte, 4000)...) // a key frame of 320 by 240
	if err := sender.Write(now, &video.Frame{Data: picture, Key: true}); err != nil {
		log.Fatal(err)
	}
	packets := 0
	for {
		b, ok := sender.AppendPacket(nil, now)
		if !ok {
			break
		}
		packets++
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			log.Fatal(err)
		}
		receiver.Push(now, &p)
	}
	var f video.Frame
	for receiver.Pull(now, &f) {
		fmt.Printf("%d packets, %d bytes, %dx%d, key frame: %v\n", packets, len(f.Data), f.Width, f.Height, f.Key)
	}
	// Output: 4 packets, 4010 bytes, 320x240, key frame: true
}
