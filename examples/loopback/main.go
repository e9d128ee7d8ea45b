// Command loopback makes two calls with each other on this machine: one speaks,
// the other one listens.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
)

func main() {
	ctx := context.Background()
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")

	// The listener does not know who will call: it learns that from the first
	// valid packets.
	listener, err := session.Open(ctx, &session.Config{Local: anyPort})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	speaker, err := session.Open(ctx, &session.Config{Local: anyPort, Remote: listener.LocalAddr()})
	if err != nil {
		log.Fatal(err)
	}

	go func() {
		// Half a second at once: it leaves on the media clock, a packet each
		// 20 ms. Close says goodbye, which ends the listener's call too.
		f := audio.Frame{Format: audio.Format{Rate: 8000, Channels: 1}, Samples: make([]int16, 4000)}
		for i := range f.Samples {
			f.Samples[i] = int16(i % 40 * 200) // a sawtooth of 200 Hz
		}
		if err := speaker.Audio().WriteFrame(&f); err != nil {
			log.Fatal(err)
		}
		speaker.Audio().Drain(ctx)
		speaker.Close()
	}()

	var f audio.Frame
	frames := 0
	for listener.Audio().ReadFrame(&f) == nil { // until io.EOF
		if f.Kind == audio.Media {
			frames++
		}
	}
	fmt.Printf("heard %d frames of 20 ms, then: %v\n", frames, listener.Err())
}
