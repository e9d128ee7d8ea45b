package parley_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
	"github.com/parley-media/parley/video"
)

// A telephone echo: whoever sends RTP to port 4000 hears themselves.
func Example() {
	s, err := session.Open(context.Background(), &session.Config{
		Local:     netip.MustParseAddrPort("127.0.0.1:4000"),
		Deadlines: parley.Deadlines{FirstMedia: 100e6}, // give up after 100 ms
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(parley.Serve(context.Background(), s.Call, echo.Handler{}))
	// Output: call ended: no-media: no media within 100ms
}

// A handler that plays a prompt from a WAV file, once the caller can hear it.
func ExampleHandler() {
	prompt := parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		if err := c.WaitConnected(ctx); err != nil {
			return err
		}
		in, err := file.OpenWAV("prompt.wav")
		if err != nil {
			return err
		}
		defer in.Close()
		for f := new(audio.Frame); ; {
			if err := in.ReadFrame(f); err != nil {
				return err
			}
			if err := c.Audio().WriteFrame(f); err != nil {
				return err
			}
		}
	})
	_ = prompt
}

// Video beside the audio of a call: key frames of VP8 from one end to the other.
func ExampleVideo() {
	ctx := context.Background()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	vp8 := []codec.Params{{Name: "VP8", PayloadType: 96, ClockRate: 90000}}
	a, err := session.Open(ctx, &session.Config{Local: local, Video: &session.VideoConfig{Codecs: vp8}})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := session.Open(ctx, &session.Config{Local: local, Video: &session.VideoConfig{Codecs: vp8, Remote: a.LocalVideo()}})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	// a does not know who will call, and hears whoever sends for a while.
	go func() {
		picture := append([]byte{0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}, make([]byte, 4000)...)
		for n := range 10 {
			f := video.Frame{Data: picture, Key: true, Time: time.Duration(n) * time.Second / 30}
			if err := b.Video().WriteFrame(&f); err != nil {
				log.Fatal(err)
			}
		}
	}()
	var f video.Frame
	if err := a.Video().ReadFrame(&f); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, %dx%d, key frame: %v\n", len(f.Data), f.Width, f.Height, f.Key)
	// Output: 4010 bytes, 320x240, key frame: true
}
