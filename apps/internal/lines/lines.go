// Package lines serves each line of a call alike, in a goroutine of its own.
package lines

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/parley-media/parley"
)

// Until makes reading from a line end with ctx. The function that it returns lets
// others read the line afterwards.
func Until(ctx context.Context, line interface{ SetReadDeadline(time.Time) }) (release func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		line.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-over
			line.SetReadDeadline(time.Time{})
		}
	}
}

// Serve runs sound for each line of audio that the call has or gets, and pictures for
// each line of video, until the call has ended and all have returned. If one of them
// fails, not because its line or the call has ended, so does the call.
func Serve(ctx context.Context, c *parley.Call, sound func(*parley.Audio) error, pictures func(*parley.Video) error) error {
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
			start(a, func() error { return sound(a) })
		}
		for v := range c.Videos() {
			start(v, func() error { return pictures(v) })
		}
		if _, err := c.ReadEvent(ctx); err != nil {
			return err
		}
	}
}
