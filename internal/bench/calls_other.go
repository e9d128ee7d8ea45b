//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
)

var errNotHere = errors.New("calls are measured on Linux only")

func files(int, int) error { return errNotHere }

// FarEnds is the work of a process that has the far ends of [Calls].
func FarEnds(io.Reader, io.Writer) error { return errNotHere }

func notHere(context.Context, *callBench) (loadRound, error) { return loadRound{}, errNotHere }

var loopCalls, readCalls, secretCalls, drainedSockets, blockingSockets, inC, inAiortp = notHere, notHere, notHere, notHere, notHere, notHere, notHere
