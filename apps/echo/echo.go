// Package echo is the application that lets callers hear and see themselves.
package echo

import (
	"context"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
	"github.com/parley-media/parley/audio"
)

// Handler sends back what it hears and sees, on each line that the call has or
// gets. Audio that the build can decode takes the whole way: played out on a
// steady clock, and encoded again. Anything else, and Opus always, goes back
// coded as it came, as video does.
type Handler struct{}

// ServeCall serves one call.
func (Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	return lines.Serve(ctx, c,
		func(a *parley.Audio) error { return echoAudio(ctx, a) },
		func(v *parley.Video) error { return parley.CopyVideo(ctx, v, v) })
}

func echoAudio(ctx context.Context, line *parley.Audio) error {
	if !line.Decodes() || strings.EqualFold(line.Codec().Name, "opus") {
		return parley.CopyAudio(ctx, line, line)
	}
	defer lines.Until(ctx, line)()
	var f audio.Frame
	for {
		if err := line.ReadFrame(&f); err != nil {
			return err
		}
		if f.Kind == audio.Silence {
			continue
		}
		if err := line.WriteLive(&f); err != nil {
			return err
		}
	}
}
