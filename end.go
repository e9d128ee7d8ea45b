package parley

import (
	"fmt"
	"net"
)

// A Reason says in a word why a call ended. It is what logs, events and metrics
// show.
type Reason string

const (
	Closed       Reason = "closed"        // by this program
	Finished     Reason = "finished"      // the handler returned
	Failed       Reason = "failed"        // the handler returned an error
	Canceled     Reason = "canceled"      // the context of the handler was cancelled
	Bye          Reason = "bye"           // the far end said goodbye
	Disconnected Reason = "disconnected"  // the connection to the far end was lost
	NotConnected Reason = "not-connected" // no connection within its deadline
	NoMedia      Reason = "no-media"      // no media within its deadline
	Silent       Reason = "silence"       // nothing heard within its deadline
	Panicked     Reason = "panic"         // the handler panicked, or left its goroutine

	Removed Reason = "removed" // not a call, but one of its lines: the far end goes on without it
)

// An EndError is why a call ended. It matches [net.ErrClosed] with errors.Is
// when this program closed the call.
type EndError struct {
	Reason Reason
	Detail string // in words; may be empty
	Err    error  // the cause, if there is one
}

func (e *EndError) Error() string {
	if d := e.detail(); d != "" {
		return fmt.Sprintf("call ended: %s: %s", e.Reason, d)
	}
	return fmt.Sprintf("call ended: %s", e.Reason)
}

func (e *EndError) detail() string {
	if e.Detail == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause, or [net.ErrClosed] for a call that this program
// closed.
func (e *EndError) Unwrap() error {
	if e.Err == nil && e.Reason == Closed {
		return net.ErrClosed
	}
	return e.Err
}

// exited is the end of a call whose function has left its goroutine.
func exited() *EndError {
	return &EndError{Reason: Panicked, Detail: "runtime.Goexit, as by FailNow of a test"}
}
