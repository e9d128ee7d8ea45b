package parrot_test

import (
	"context"
	"fmt"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/server"
)

// An agent that answers everything with a tone, as long as what was said. A real one
// sends what it heard to a recogniser, and returns a reader of what its voice makes
// meanwhile.
func ExampleHandler() {
	agent := parrot.Handler{Answer: func(_ context.Context, heard audio.Frame) (audio.Reader, error) {
		return tone.NewGenerator(audio.Format{Rate: 24000, Channels: 1}, tone.Signal{
			Segments: []tone.Segment{{Sines: []tone.Sine{{Frequency: 440, Level: -10}}, Duration: heard.Duration()}},
			Count:    1,
		})
	}}
	s, err := server.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Handle("/offer", agent)
	s.Handle("/counted", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		turns := 0 // of this call
		mine := agent
		mine.Answer = func(ctx context.Context, heard audio.Frame) (audio.Reader, error) {
			turns++
			return agent.Answer(ctx, heard)
		}
		return mine.ServeCall(ctx, c)
	}))

	reply, err := agent.Answer(context.Background(), audio.Frame{Format: audio.Format{Rate: parrot.Rate, Channels: 1}, Samples: make([]int16, 320)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var f audio.Frame
	fmt.Println(reply.ReadFrame(&f), f.Duration(), f.Format)
	fmt.Println(s.Shutdown(context.Background()))
	// Output:
	// <nil> 20ms 24000 Hz mono
	// <nil>
}
