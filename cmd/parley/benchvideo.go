package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-media/parley/internal/bench"
)

type benchVideoCommand struct {
	Rounds int `default:"7" placeholder:"N" help:"How often the two take turns; the median counts."`
}

func (c *benchVideoCommand) Run(ctx context.Context, out *output) error {
	if c.Rounds < 1 || c.Rounds > maxRounds {
		return useError{fmt.Errorf("--rounds %d is not between 1 and %d", c.Rounds, maxRounds)}
	}
	start := time.Now()
	options := bench.Options{Rounds: c.Rounds, Progress: func(task string, round, rounds int) {
		out.bar(time.Since(start), 0, fmt.Sprintf("%s, round %d of %d", task, round, rounds))
	}}
	if !out.json {
		out.emit(event{}, bench.VideoHeader())
	}
	err := bench.Video(ctx, options, func(r bench.VideoRow) {
		out.object(r.String(), struct {
			Event string `json:"event"`
			bench.VideoRow
		}{"bench", r})
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}
