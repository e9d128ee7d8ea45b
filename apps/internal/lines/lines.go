// Package lines serves each line of a call alike, in a goroutine of its own.
package lines

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/parley-media/parley"
)

// Serve runs audio for each line of audio that the call has or gets, and video for
// each line of video, and event for each event, until the call has ended and all have
// returned. If one of them fails, not because its line or the call has ended, so does
// the call. A nil event is none.
func Serve(ctx context.Context, c *parley.Call, audio func(*parley.Audio) error, video func(*parley.Video) error, event func(parley.Event)) error {
	var served sync.WaitGroup
	defer served.Wait()
	known := map[any]bool{}
	start := func(line any, serve func() error) {
		if known[line] {
			return
		}
		known[line] = true
		served.Go(func() {
			err := serve()
			_, ended := errors.AsType[*parley.EndError](err) // the line, or the call
			if err != nil && err != io.EOF && !ended && ctx.Err() == nil {
				c.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
			}
		})
	}
	for {
		for a := range c.Audios() {
			start(a, func() error { return audio(a) })
		}
		for v := range c.Videos() {
			start(v, func() error { return video(v) })
		}
		e, err := c.ReadEvent(ctx)
		if err != nil {
			return err
		}
		if event != nil {
			event(e)
		}
	}
}
