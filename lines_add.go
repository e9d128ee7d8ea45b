package parley

import (
	"context"
	"errors"
	"fmt"
)

// Lines adds lines to a call, and takes them away, by an agreement with the far end.
// Packages that make legs implement it, for calls in which this end can ask for one.
type Lines interface {
	// AddAudio and AddVideo return the line once both ends have agreed on it, by the
	// rules of those of [Call].
	AddAudio(ctx context.Context) (*Audio, error)
	AddVideo(ctx context.Context) (*Video, error)

	// Remove takes a line of the call away, by the rules of that of [Call].
	Remove(of Line) error
}

// A Line is an [*Audio] or a [*Video] of a call.
type Line interface {
	Mid() string
	Direction() Direction
}

var (
	// ErrNotAgreed is wrapped by the error for a line that the far end does not take,
	// or about which it could not be asked.
	ErrNotAgreed = errors.New("parley: there is no agreement on the line")

	// ErrNoLine is returned for a line that is not in the call, or not any more.
	ErrNoLine = errors.New("parley: the call does not have the line")
)

// AddAudio asks the far end for one more line of audio, and returns it when both ends
// have agreed. What is written to it is heard beside the others. [LineAdded] tells of
// it too.
//
// The error wraps [errors.ErrUnsupported] if this end cannot ask, as in calls with
// telephones, [ErrManyLines], or [ErrNotAgreed]: the far end may turn the line down, or
// take no offers of this end, which is clear after a while. It is that of ctx, or an
// [*EndError] after the end of the call.
func (c *Call) AddAudio(ctx context.Context) (*Audio, error) {
	if err := c.mayAdd(); err != nil {
		return nil, err
	}
	return c.adder.AddAudio(ctx)
}

// AddVideo does for video what [Call.AddAudio] does.
func (c *Call) AddVideo(ctx context.Context) (*Video, error) {
	if err := c.mayAdd(); err != nil {
		return nil, err
	}
	return c.adder.AddVideo(ctx)
}

// Remove takes a line out of the call, at once for this end, where reading it ends
// with [io.EOF], and for the far end as soon as it can be told. The error is
// [ErrNoLine], or as that of [Call.AddAudio].
func (c *Call) Remove(of Line) error {
	if err := c.mayAdd(); err != nil {
		return err
	}
	return c.adder.Remove(of)
}

func (c *Call) mayAdd() error {
	if c.adder == nil {
		return fmt.Errorf("parley: the lines of this call stay as they are: %w", errors.ErrUnsupported)
	}
	return c.Err()
}
