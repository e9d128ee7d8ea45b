package parley

import (
	"context"
	"errors"
	"io"
)

// Copy sends to dst what src hears, until either call ends or ctx is cancelled.
// It returns nil when the far end of src has ended its call, else why it
// stopped. dst and src may be the same call.
//
// Where both ends agree on the codec the packets stay coded and leave at once;
// this needs no decoder for them. Otherwise they are decoded, played out and
// encoded again, live as [Audio.WriteLive] does it. Either way pauses stay pauses:
// nothing is sent for them. Only the first audio is copied, which both calls must
// have.
func Copy(ctx context.Context, dst, src *Call) error {
	to, from := dst.Audio(), src.Audio()
	if to == nil || from == nil {
		return errors.New("parley: a call to be copied has no audio")
	}
	return CopyAudio(ctx, to, from)
}

// CopyAudio does what [Copy] does with one line of audio, until either line or its
// call ends. dst and src may be the same line. See [Forwarder].
func CopyAudio(ctx context.Context, dst, src *Audio) error {
	return NewForwarder(dst, src).Run(ctx)
}

// whyStopped turns the error with which copying to the line stopped into that for the
// caller, whose context is ctx: the end of the line cancels the one within which it copies.
func (l *line) whyStopped(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == context.Canceled && ctx.Err() == nil:
		return l.ended()
	}
	return err
}
