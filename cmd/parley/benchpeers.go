package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/parley-media/parley/internal/bench"
)

type benchPeersCommand struct {
	Calls   int     `default:"20" placeholder:"N" help:"Calls at a time, 2 to 200."`
	Rounds  int     `default:"5" placeholder:"N" help:"How often all take turns; the median counts."`
	Seconds float64 `default:"2" placeholder:"S" help:"How long the far ends talk to each in a round, 0.1 to 60."`
	Python  string  `placeholder:"FILE" help:"Python that has aiortc. The default is the first of the path, and then that of the system."`
	HTML    string  `name:"html" placeholder:"FILE" help:"Write a web page with plots."`
}

func (c *benchPeersCommand) Run(ctx context.Context, out *output) error {
	switch {
	case c.Calls < 2 || c.Calls > 200:
		return useError{fmt.Errorf("--calls %d is not between 2 and 200", c.Calls)}
	case c.Rounds < 1 || c.Rounds > maxRounds:
		return useError{fmt.Errorf("--rounds %d is not between 1 and %d", c.Rounds, maxRounds)}
	case !(c.Seconds >= 0.1 && c.Seconds <= 60):
		return useError{fmt.Errorf("--seconds %v is not between 0.1 and 60", c.Seconds)}
	}
	page, err := createPage(c.HTML)
	if err != nil {
		return err
	}
	defer page.Close()
	start := time.Now()
	options := bench.PeersOptions{
		Calls:   c.Calls,
		Rounds:  c.Rounds,
		Turn:    time.Duration(c.Seconds * float64(time.Second)),
		Command: peersProgram,
		Progress: func(task string, round, rounds int) {
			note := fmt.Sprintf("%s, round %d of %d", task, round, rounds)
			if round == 0 {
				note = task + ", making calls"
			}
			out.bar(time.Since(start), 0, note)
		},
	}
	if c.Python != "" {
		options.Python = []string{c.Python}
	}
	if !out.json {
		out.emit(event{}, bench.PeersHeader())
	}
	var rows []bench.PeersRow
	err = bench.Peers(ctx, options, func(r bench.PeersRow) {
		rows = append(rows, r)
		out.object(r.String(), struct {
			Event string `json:"event"`
			bench.PeersRow
		}{"bench", r})
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	return writePage(page, func(w io.Writer) error { return bench.WritePeers(w, rows) })
}

// peersProgram returns this program in the part of one that is measured.
func peersProgram(ctx context.Context, role string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, self, "bench", "peers-part", role), nil
}

type benchPeersPartCommand struct {
	Role string `arg:""`
}

func (c *benchPeersPartCommand) Run(ctx context.Context) error {
	return bench.ServePeers(ctx, c.Role, os.Stdin, os.Stdout)
}
