package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-media/parley/internal/quality"
)

type benchConcealCommand struct {
	In string `placeholder:"FILE" help:"WAV file to send, over and over. The default is speech that comes with the program."`
	codecFlags
	Duration time.Duration `default:"60s" placeholder:"D" help:"How long to send, 1s to 1h."`
	Seed     uint64        `default:"1" placeholder:"N" help:"Loses other packets."`
	OutDir   string        `placeholder:"DIR" help:"Write what is heard to WAV files, one for each loss and each way of filling the gaps, and what was sent."`
}

func (c *benchConcealCommand) Run(ctx context.Context, out *output) error {
	if c.Duration < time.Second || c.Duration > time.Hour {
		return useError{fmt.Errorf("--duration %v is not between 1s and 1h", c.Duration)}
	}
	config, err := benchConfig(c.codecFlags, c.In)
	if err != nil {
		return err
	}
	config.Duration = c.Duration
	if c.OutDir != "" {
		if err := os.MkdirAll(c.OutDir, 0o777); err != nil {
			return err
		}
	}
	if !out.json {
		out.emit(event{}, quality.ConcealHeader())
	}
	wrote := false
	err = quality.Conceal(ctx, config, c.Seed, func(r *quality.Concealment) error {
		out.object(r.String(), struct {
			Event string `json:"event"`
			*quality.Concealment
		}{"concealment", r})
		if c.OutDir == "" {
			return nil
		}
		if !wrote {
			wrote = true
			if err := writeWAV(filepath.Join(c.OutDir, "sent.wav"), r.Rate, r.Sent); err != nil {
				return err
			}
		}
		return writeWAV(filepath.Join(c.OutDir, r.Channel+"-"+r.Method+".wav"), r.Rate, r.Heard)
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}
