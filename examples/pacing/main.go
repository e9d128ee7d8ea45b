// Command pacing writes two seconds of audio at once, as a speech synthesiser
// does. They leave on the media clock. After half a second the listener
// interrupts, and what is left is dropped.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/session"
)

func main() {
	ctx := context.Background()
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	listener, err := session.Open(ctx, &session.Config{Local: anyPort})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	speaker, err := session.Open(ctx, &session.Config{Local: anyPort, Remote: listener.LocalAddr()})
	if err != nil {
		log.Fatal(err)
	}
	defer speaker.Close()

	time.AfterFunc(500*time.Millisecond, func() {
		played := speaker.Audio().Flush(8 * time.Millisecond)
		fmt.Printf("interrupted: %v were said\n", played.Sent.Round(10*time.Millisecond))
	})

	// A frame may have any length and rate; writing blocks while the queue of 200
	// ms is full, and Flush ends that.
	f := audio.Frame{Format: audio.Format{Rate: 24000, Channels: 1}, Samples: make([]int16, 48000)}
	begin := time.Now()
	if err := speaker.Audio().WriteFrame(&f); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("written in %v\n", time.Since(begin).Round(100*time.Millisecond))
	if err := speaker.Audio().Drain(ctx); err != nil {
		log.Fatal(err)
	}
}
