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

type benchRelayCommand struct {
	Rounds    int           `default:"7" placeholder:"N" help:"How often the relays take turns; the median counts."`
	Calls     int           `default:"300" placeholder:"N" help:"Calls at once, each of two telephones."`
	Turn      time.Duration `default:"2s" placeholder:"D" help:"How long each relay works in a round."`
	HTML      string        `name:"html" placeholder:"FILE" help:"Write a web page with the table and plots."`
	RTPEngine string        `name:"rtpengine" placeholder:"FILE" help:"Program to compare with. The default is the rtpengine that is installed, if there is one."`
	Serve     bool          `hidden:"" help:"Be the relay that is measured: ports are read, and the program ends with its input."`
}

func (c *benchRelayCommand) Run(ctx context.Context, out *output) error {
	switch {
	case c.Rounds < 1 || c.Rounds > maxRounds:
		return useError{fmt.Errorf("--rounds %d is not between 1 and %d", c.Rounds, maxRounds)}
	case c.Calls < 1 || c.Calls > 4000:
		return useError{fmt.Errorf("--calls %d is not between 1 and 4000", c.Calls)}
	case c.Turn < 100*time.Millisecond || c.Turn > time.Minute:
		return useError{fmt.Errorf("--turn %v is not between 100ms and 1m", c.Turn)}
	case c.Serve:
		return bench.ServeRelay(ctx, c.Calls, os.Stdin, out.stdout)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	page, err := createPage(c.HTML)
	if err != nil {
		return err
	}
	defer page.Close()
	start := time.Now()
	options := bench.RelayOptions{
		Options: bench.Options{Rounds: c.Rounds, Progress: func(relay string, round, rounds int) {
			out.bar(time.Since(start), 0, fmt.Sprintf("%s, round %d of %d", relay, round, rounds))
		}},
		Calls: c.Calls, Turn: c.Turn,
		Ours:      []string{program, "bench", "relay", "--serve", "--calls"},
		RTPEngine: c.RTPEngine,
	}
	if !out.json {
		out.emit(event{}, bench.RelayHeader())
	}
	var rows []bench.RelayRow
	err = bench.Relay(ctx, options, func(r bench.RelayRow) {
		rows = append(rows, r)
		out.object(r.String(), struct {
			Event string `json:"event"`
			bench.RelayRow
		}{"bench", r})
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	return writePage(page, func(w io.Writer) error { return bench.WriteRelays(w, rows) })
}
