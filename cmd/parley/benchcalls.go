package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/parley-media/parley/internal/bench"
)

// loadFlags are those of benchmarks that do much at once.
type loadFlags struct {
	Rounds  int     `default:"5" placeholder:"N" help:"How often all take turns; the median counts."`
	Seconds float64 `default:"2" placeholder:"S" help:"How long to measure in each round, once everything is settled."`
	HTML    string  `name:"html" placeholder:"FILE" help:"Write a web page with the table and plots."`
}

func (f *loadFlags) check() error {
	if f.Rounds < 1 || f.Rounds > maxRounds {
		return useError{fmt.Errorf("--rounds %d is not between 1 and %d", f.Rounds, maxRounds)}
	}
	if !(f.Seconds >= 0.1 && f.Seconds <= 60) {
		return useError{fmt.Errorf("--seconds %g is not between 0.1 and 60", f.Seconds)}
	}
	return nil
}

func (f *loadFlags) length() time.Duration { return time.Duration(f.Seconds * float64(time.Second)) }

func (f *loadFlags) options(out *output) bench.Options {
	start := time.Now()
	return bench.Options{Rounds: f.Rounds, Progress: func(task string, round, rounds int) {
		out.bar(time.Since(start), 0, fmt.Sprintf("%s, round %d of %d", task, round, rounds))
	}}
}

// report writes the web page, if one is wanted.
func (f *loadFlags) report(page *os.File, title string, rows []bench.LoadRow) error {
	subtitle := fmt.Sprintf("medians of %d rounds of %g s, with the extremes of single rounds", f.Rounds, f.Seconds)
	return writePage(page, func(w io.Writer) error { return bench.WriteLoadReport(w, title, subtitle, rows) })
}

// loadRow writes a line of a table.
func (o *output) loadRow(r bench.LoadRow) {
	o.object(r.String(), struct {
		Event string `json:"event"`
		bench.LoadRow
	}{"bench", r})
}

type benchCallsCommand struct {
	Calls []int `default:"1000" placeholder:"N,…" help:"How many calls at once; several numbers are measured one after the other."`
	loadFlags
	Ends string `enum:"here,other" default:"here" help:"here: calls talk to each other. other: the far ends are bare sockets in a second process, so that the machine has twice as many packets."`
	Peer string `enum:",aiortp" default:"" help:"aiortp: calls of aiortp too, where a python3 has it."`
}

func (*benchCallsCommand) Help() string {
	return `Calls are whole ones: session, RTCP, playout, decoding and encoding of PCMU, every 20 ms. Bare sockets send and receive as many packets of the same size. All take turns, and are opened anew for each turn.

ours and reference are the CPU, with that of the kernel, for a packet sent and one received. late is how much later packets leave than on a steady clock, for 50, 99 and 99.9 % of them, as the kernel sees them come at the other end. lost are packets of all rounds. KiB (heap and stacks) and goroutines are those of each call.`
}

func (c *benchCallsCommand) Run(ctx context.Context, out *output) error {
	if err := c.check(); err != nil {
		return err
	}
	for _, n := range c.Calls {
		if n < 4 || n > bench.MaxCalls || n%2 != 0 {
			return useError{fmt.Errorf("--calls %d is not an even number from 4 to %d", n, bench.MaxCalls)}
		}
	}
	o := bench.CallOptions{Options: c.options(out), Calls: c.Calls, Length: c.length(), Aiortp: c.Peer == "aiortp"}
	if c.Ends == "other" {
		if o.Aiortp {
			return useError{errors.New("--peer aiortp has its own far ends; leave out --ends other")}
		}
		program, err := os.Executable()
		if err != nil {
			return err
		}
		o.Other = []string{program, "bench", "far-ends"}
	}
	if !out.json {
		out.emit(event{}, bench.LoadHeader())
	}
	page, err := createPage(c.HTML)
	if err != nil {
		return err
	}
	defer page.Close()
	var rows []bench.LoadRow
	err = bench.Calls(ctx, o, func(r bench.LoadRow) {
		rows = append(rows, r)
		out.loadRow(r)
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	return c.report(page, "Many calls at once", rows)
}

// benchFarEndsCommand is what "bench calls --ends other" starts.
type benchFarEndsCommand struct{}

func (benchFarEndsCommand) Run() error { return bench.FarEnds(os.Stdin, os.Stdout) }
