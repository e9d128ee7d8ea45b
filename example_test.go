package parley_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/echo"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/session"
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

// A handler that plays a prompt from a WAV file of any format.
func ExampleHandler() {
	prompt := parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
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
