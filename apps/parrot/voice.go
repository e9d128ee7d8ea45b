package parrot

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
)

// fade is how long what is said takes to end when it is interrupted.
const fade = 8 * time.Millisecond

// A voice says one answer at a time.
type voice struct {
	call    *parley.Call
	line    *parley.Audio
	answer  func(context.Context, audio.Frame) (audio.Reader, error)
	cancel  context.CancelFunc // nil: nothing was said yet
	talking sync.WaitGroup
	writing sync.Mutex // held while it writes, so that nothing comes behind the Flush of hush
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
		err := v.speak(ctx, heard)
		if err != nil && err != io.EOF && ctx.Err() == nil && v.call.Err() == nil {
			v.call.Emit(parley.Event{Kind: Speechless, Media: "audio", Detail: err.Error()})
		}
	})
}

func (v *voice) speak(ctx context.Context, heard audio.Frame) error {
	r, err := v.answer(ctx, heard)
	if err != nil {
		return err
	}
	var f audio.Frame
	for ctx.Err() == nil {
		if err := r.ReadFrame(&f); err != nil {
			return err
		}
		if err := f.Check(); err != nil {
			return err
		}
		piece := audio.Frame{Format: f.Format, Time: f.Time}
		for piece.Samples = range slices.Chunk(f.Samples, f.Format.Samples(20*time.Millisecond)) {
			if err := v.write(ctx, &piece); err != nil {
				return err
			}
			piece.Time += piece.Duration()
		}
	}
	return nil
}

// write writes a piece that is short enough for hush to wait for.
func (v *voice) write(ctx context.Context, f *audio.Frame) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return v.line.WriteFrame(f)
}

// hush ends what is said. The first Flush frees a write that waits for room, the
// second one drops what such a write has added behind the first.
func (v *voice) hush() {
	if v.cancel == nil {
		return
	}
	v.cancel()
	v.line.Flush(fade)
	v.writing.Lock()
	defer v.writing.Unlock()
	v.line.Flush(fade)
}
