package parley

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
)

// Say writes what r has until its end, as an answer, an announcement or music, with
// [Audio.WriteFrame], and returns when it has been said. When ctx is cancelled, the far
// end hears no more of it, but for a fade of 8 ms and what the network and the far end
// hold: what is queued is dropped, also while r takes its time, and so is whatever r
// gives after that.
//
// The error is that of ctx, of r unless it is [io.EOF], or of WriteFrame.
func (a *Audio) Say(ctx context.Context, r audio.Reader) error {
	defer a.call.watch(ctx)()
	defer context.AfterFunc(ctx, func() { a.Flush(sayFade) })()
	var f audio.Frame
	for ctx.Err() == nil {
		if err := r.ReadFrame(&f); err == io.EOF {
			return a.Drain(ctx)
		} else if err != nil {
			return err
		}
		if err := f.Check(); err != nil {
			return err
		}
		// However long the frame is, its first sound need not wait until all of it was
		// converted.
		piece := audio.Frame{Format: f.Format, Time: f.Time}
		for piece.Samples = range slices.Chunk(f.Samples, f.Format.Samples(20*time.Millisecond)) {
			if err := a.writeFrame(ctx, &piece, false); err != nil {
				return err
			}
			piece.Time += piece.Duration()
		}
	}
	return ctx.Err()
}

// sayFade is how long what is said takes to end.
const sayFade = 8 * time.Millisecond
