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

// Both are a line of each kind; nil: none.
type Both struct {
	Sound    *parley.Audio
	Pictures *parley.Video
}

// Incoming returns the lines on which the far end sends.
func Incoming(c *parley.Call) Both {
	a, v := c.Incoming()
	return Both{a, v}
}

// First returns the first lines of the call.
func First(c *parley.Call) Both { return Both{c.Audio(), c.Video()} }

// Changes returns a channel that tells when of, which is about the lines of the call,
// gives something else than before, until ctx or the call ends.
func Changes[T comparable](ctx context.Context, c *parley.Call, of func(*parley.Call) T) <-chan struct{} {
	changes := make(chan struct{}, 1)
	before := of(c)
	go func() {
		for n := 0; ; {
			var err error
			if n, err = c.WaitLines(ctx, n); err != nil {
				return
			}
			now := of(c)
			if now == before {
				continue
			}
			before = now
			select {
			case changes <- struct{}{}:
			default: // one is waiting
			}
		}
	}()
	return changes
}

var errChanged = errors.New("the call has other lines")

// Anew runs serve, and after each of [Changes] again, for which its context is cancelled,
// until it returns without one, or ctx or the call ends.
func Anew[T comparable](ctx context.Context, c *parley.Call, of func(*parley.Call) T, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := Changes(ctx, c, of)
	for {
		begun := of(c)
		during, stop := context.WithCancelCause(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-changes:
				stop(errChanged)
			case <-during.Done():
			}
		}()
		err := serve(during)
		stop(nil)
		<-watched
		changed := context.Cause(during) == errChanged || of(c) != begun // its line may have ended before the event of that
		if !changed || ctx.Err() != nil || c.Err() != nil {
			return err
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
	for n := 0; ; {
		for a := range c.Audios() {
			start(a, func() error { return sound(a) })
		}
		for v := range c.Videos() {
			start(v, func() error { return pictures(v) })
		}
		var err error
		if n, err = c.WaitLines(ctx, n); err != nil {
			return err
		}
	}
}
