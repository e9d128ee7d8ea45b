package parley_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/session"
)

// beep returns 200 ms of a tone.
func beep() audio.Reader {
	g, err := tone.NewGenerator(audio.Format{Rate: 8000, Channels: 1}, tone.Signal{
		Segments: []tone.Segment{{Sines: []tone.Sine{{Frequency: 440, Level: -10}}, Duration: 200 * time.Millisecond}},
		Count:    1,
	})
	if err != nil {
		log.Fatal(err)
	}
	return g
}

// An announcement, which would end at once if its context were cancelled.
func ExampleAudio_Say() {
	ctx := context.Background()
	s, err := session.Open(ctx, &session.Config{Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: netip.MustParseAddrPort("127.0.0.1:4002")})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	said, err := s.Audio().Say(ctx, beep())
	fmt.Println(said.Sent, err)
	// Output: 200ms <nil>
}

// An application gives its caller, such as a browser, one more line of sound, and
// takes it away again.
func ExampleCall_AddAudio() {
	application := parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		if err := c.WaitConnected(ctx); err != nil {
			return err
		}
		line, err := c.AddAudio(ctx)
		if err != nil {
			return err
		}
		fmt.Println("line", line.Mid(), line.Direction())
		if _, err := line.Say(ctx, beep()); err != nil {
			return err
		}
		return c.Remove(line)
	})

	// What follows is done by package server, and by the page at the other end.
	ctx := context.Background()
	here, err := peer.Listen(&peer.Config{Codecs: []codec.Params{{Name: "PCMU", ClockRate: 8000, Channels: 1}}})
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close()
	there, err := peer.Listen(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer there.Close()
	var caller, called *peer.Peer
	if caller, err = there.Dial(ctx, func(ctx context.Context, offer string) (answer string, err error) {
		called, answer, err = here.Answer(ctx, offer, nil)
		return answer, err
	}, nil); err != nil {
		log.Fatal(err)
	}
	defer caller.Close()
	go func() {
		<-called.Negotiate()
		offer, err := called.Offer(ctx, nil)
		if err != nil {
			log.Fatal(err)
		}
		answer, err := caller.Answer(ctx, offer)
		if err != nil {
			log.Fatal(err)
		}
		if err := called.SetAnswer(ctx, answer); err != nil {
			log.Fatal(err)
		}
	}()
	fmt.Println(parley.Serve(ctx, called.Call, application))
	// Output:
	// line a1 sendrecv
	// call ended: finished
}
