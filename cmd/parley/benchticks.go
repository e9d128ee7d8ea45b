package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-media/parley/internal/bench"
)

type benchTicksCommand struct {
	Tasks int `default:"10000" placeholder:"N" help:"How many tasks at once."`
	loadFlags
}

func (*benchTicksCommand) Help() string {
	return `ours and reference are the CPU for a tick, core its share of one core. late is how much later tasks run than on a steady clock, for 50, 99 and 99.9 % of all ticks. drift is by how much the slowest of these clocks has become slow.`
}

func (c *benchTicksCommand) Run(ctx context.Context, out *output) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Tasks < 1 || c.Tasks > bench.MaxTasks {
		return useError{fmt.Errorf("--tasks %d is not between 1 and %d", c.Tasks, bench.MaxTasks)}
	}
	if !out.json {
		out.emit(event{}, bench.LoadHeader())
	}
	page, err := createPage(c.HTML)
	if err != nil {
		return err
	}
	defer page.Close()
	row, err := bench.Ticks(ctx, bench.TickOptions{Options: c.options(out), Tasks: c.Tasks, Length: c.length()})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	out.loadRow(row)
	return c.report(page, "Many tasks at once", []bench.LoadRow{row})
}
