package parrot

import (
	"context"
	"fmt"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// A voice says one answer at a time.
type voice struct {
	call    *parley.Call
	answer  func(context.Context, audio.Frame) (audio.Reader, error)
	said    func(audio.Reader, stream.Played, error) // may be nil
	cancel  context.CancelFunc                       // nil: nothing was said yet
	talking sync.WaitGroup
}

// say answers, without waiting for it.
func (v *voice) say(ctx context.Context, heard audio.Frame) {
	v.hush()
	ctx, v.cancel = context.WithCancel(ctx)
	v.talking.Go(func() {
		defer func() {
			if p := recover(); p != nil { // in the answer
				v.call.EndWith(&parley.EndError{Reason: parley.Panicked, Detail: fmt.Sprint(p)})
			}
		}()
		r, err := v.answer(ctx, heard)
		if err == nil {
			var p stream.Played
			p, err = v.call.Audio().Say(ctx, r)
			if v.said != nil {
				v.said(r, p, err)
			}
		}
		if err != nil && ctx.Err() == nil && v.call.Err() == nil {
			v.call.Emit(parley.Event{Kind: Speechless, Media: "audio", Detail: err.Error()})
		}
	})
}

// hush ends what is said.
func (v *voice) hush() {
	if v.cancel != nil {
		v.cancel()
	}
}
