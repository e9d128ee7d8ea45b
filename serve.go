package parley

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// A Handler is an application: it serves one call. It returns when it is done
// with the call, or when its context is cancelled, which happens as soon as the
// call has ended; reads and writes fail then too. To return [io.EOF], as at the
// end of a file, is to return nil.
type Handler interface {
	ServeCall(ctx context.Context, c *Call) error
}

// A HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, c *Call) error

// ServeCall calls f.
func (f HandlerFunc) ServeCall(ctx context.Context, c *Call) error { return f(ctx, c) }

// A StuckError is returned by [Serve] for a handler that goes on running after
// its call has ended and its context was cancelled. The call has been released
// all the same.
type StuckError struct {
	After time.Duration // how long it was waited for
	Stack []byte        // where the handler is
	End   error         // why the call ended
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("handler still running %v after the call ended (%v)", e.After, e.End)
}

// Unwrap returns why the call ended.
func (e *StuckError) Unwrap() error { return e.End }

// handlerGrace is how long a handler may take to return after its call ended.
const handlerGrace = 2 * time.Second

// Serve runs h for c, and makes an end of both: when h returns, panics or leaves its
// goroutine, as by FailNow of a test, when ctx is cancelled, or when the call ends for
// any reason of its own, the call is closed, everything that it had is released, and
// Serve returns why. What h has written when it returns nil or [io.EOF] is sent first,
// for a second at most. The reason is an [*EndError], or a [*StuckError] if h does not
// return within two seconds of the end; h is then left behind.
//
// To return the [*EndError] of another call, as bridge.Join does, is to return nil if
// that one has not failed, and is told in Detail. Otherwise it is an error like others.
func Serve(ctx context.Context, c *Call, h Handler) error {
	handlerCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	returned := make(chan *EndError, 1)
	id := make(chan []byte, 1)
	go func() {
		id <- goroutineID()
		end := exited()
		defer func() { returned <- end }()
		end = protect(handlerCtx, c, h)
	}()
	goroutine := <-id

	select {
	case end := <-returned:
		if end.Reason == Failed && errors.Is(end.Err, ctx.Err()) { // the handler was the first to see it
			end = canceled(ctx)
		}
		if end.Reason == Finished {
			// What the handler returns on an ended call is a consequence of
			// that end; its own return is the reason only on a live one.
			drainCtx, stop := context.WithTimeout(ctx, time.Second)
			c.drain(drainCtx)
			stop()
		}
		c.EndWith(end)
		<-c.released
		return c.Err()
	case <-ctx.Done():
		c.EndWith(canceled(ctx))
	case <-c.done:
	}
	cancel()
	<-c.released

	grace := time.NewTimer(handlerGrace)
	defer grace.Stop()
	select {
	case <-returned:
		return c.Err()
	case <-grace.C:
	}
	stuck := &StuckError{After: handlerGrace, Stack: stackOf(goroutine), End: c.Err()}
	c.logger.Error("handler ignores the end of its call", "stack", string(stuck.Stack))
	c.logged()
	return stuck
}

func canceled(ctx context.Context) *EndError {
	return &EndError{Reason: Canceled, Err: context.Cause(ctx)}
}

// protect runs h and says how it ended.
func protect(ctx context.Context, c *Call, h Handler) (end *EndError) {
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			c.logger.Error("handler panicked", "panic", v, "stack", string(stack))
			end = &EndError{Reason: Panicked, Detail: fmt.Sprint(v)}
		}
	}()
	err := h.ServeCall(ctx, c)
	if ended, ok := errors.AsType[*EndError](err); ok {
		switch {
		case error(ended) == c.Err():
			return ended
		case ended.Reason == Removed:
			return &EndError{Reason: Finished, Detail: err.Error()}
		case slices.Contains([]Reason{Bye, Closed, Finished, Canceled}, ended.Reason):
			return &EndError{Reason: Finished, Detail: "another " + ended.Error()}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return &EndError{Reason: Failed, Err: err}
	}
	return &EndError{Reason: Finished}
}

// goroutineID returns the beginning of the present goroutine's stack trace,
// "goroutine 12 [", by which it is found among others.
func goroutineID() []byte {
	buf := make([]byte, 64)
	buf = buf[:runtime.Stack(buf, false)]
	if i := bytes.IndexByte(buf, '['); i > 0 {
		return buf[:i+1]
	}
	return buf
}

// stackOf returns the stack trace of the goroutine, or nil if it has ended.
func stackOf(id []byte) []byte {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for trace := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if bytes.HasPrefix(trace, id) {
			return bytes.Clone(trace)
		}
	}
	return nil
}
