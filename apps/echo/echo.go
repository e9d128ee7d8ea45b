// Package echo is the application that lets callers hear themselves.
package echo

import (
	"context"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
)

// Handler sends back what it hears. What the build can decode takes the whole
// way: played out on a steady clock, and encoded again. Anything else, and Opus
// always, goes back coded as it came.
type Handler struct{}

// ServeCall serves one call.
func (Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	line := c.Audio()
	if !line.Decodes() || strings.EqualFold(line.Codec().Name, "opus") {
		return parley.Copy(ctx, c, c)
	}
	var f audio.Frame
	for {
		if err := line.ReadFrame(&f); err != nil {
			return err
		}
		if f.Kind == audio.Silence {
			continue
		}
		if err := line.WriteFrame(&f); err != nil {
			return err
		}
	}
}
