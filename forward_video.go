package parley

import (
	"context"
	"errors"

	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/video"
)

// CopyVideo sends to dst the pictures that src shows, until either line or its call
// ends, or ctx is cancelled. It returns nil when the far end of src has ended its
// call, else why it stopped. dst and src may be the same line.
//
// Pictures stay coded. They go on whole, as soon as they are: what is lost on one side
// is repaired on that side, and the other one never sees a broken picture. When the
// far end of dst wants a key frame, that of src is asked for one. Pictures in a
// codec that the far end of dst does not take are left out: see [Video.WriteFrame]. An
// update, or the far end of src, may change that.
func CopyVideo(ctx context.Context, dst, src *Video) error {
	given := ctx
	ctx, stop := dst.within(ctx)
	defer stop()
	defer dst.call.watch(ctx)()
	defer src.call.watch(ctx)()
	src.RequestKeyframe() // the far end of dst begins to see
	var f video.Frame
	for {
		if err := src.readFrame(ctx, &f); err != nil {
			return dst.whyStopped(given, err)
		}
		if !f.Key && dst.KeyframeRequested() {
			src.RequestKeyframe()
		}
		if err := dst.writeFrame(ctx, &f); err != nil && !errors.Is(err, payload.ErrFrame) {
			return dst.whyStopped(given, err)
		}
	}
}
