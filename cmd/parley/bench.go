package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parley-media/parley/internal/bench"
)

type benchCommand struct {
	Calls   benchCallsCommand   `cmd:"" help:"Whole calls over loopback, many at once, in turns with bare sockets in C and Go."`
	Codecs  benchCodecsCommand  `cmd:"" help:"Codecs and resamplers, a frame of 20 ms at a time, in turns with C that does the same."`
	Conceal benchConcealCommand `cmd:"" help:"How gaps are filled that lost packets leave, beside silence and repetition, in simulated time."`
	Peers   benchPeersCommand   `cmd:"" help:"Calls with browsers over loopback, forwarded and echoed, in turns with plain pion and with aiortc."`
	Quality benchQualityCommand `cmd:"" help:"Delay, gaps and repairs of what is heard behind a network that follows a trace, in simulated time."`
	Relay   benchRelayCommand   `cmd:"" help:"Calls of two telephones that are joined packet by packet, in turns with a relay in C and with rtpengine."`
	Ticks   benchTicksCommand   `cmd:"" help:"The clock of calls: many tasks every 20 ms, in turns with a time.Ticker each."`
	Video   benchVideoCommand   `cmd:"" help:"Frames of video that are sent and received over loopback, in turns with a system call for each packet in C."`

	FarEnds   benchFarEndsCommand   `cmd:"" hidden:"" help:"The far ends of calls."`
	PeersPart benchPeersPartCommand `cmd:"" hidden:"" help:"One of the programs of peers."`
}

type benchCodecsCommand struct {
	Rounds int `default:"7" placeholder:"N" help:"How often the two take turns; the median counts."`
}

// maxRounds keeps a slip of the finger from running for days.
const maxRounds = 1000

func (c *benchCodecsCommand) Run(ctx context.Context, out *output) error {
	if c.Rounds < 1 || c.Rounds > maxRounds {
		return useError{fmt.Errorf("--rounds %d is not between 1 and %d", c.Rounds, maxRounds)}
	}
	start := time.Now()
	options := bench.Options{Rounds: c.Rounds, Progress: func(task string, round, rounds int) {
		out.bar(time.Since(start), 0, fmt.Sprintf("%s, round %d of %d", task, round, rounds))
	}}
	if !out.json {
		out.emit(event{}, bench.Header())
	}
	err := bench.Codecs(ctx, options, out.row)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

// row writes a line of a table.
func (o *output) row(r bench.Row) {
	if !o.json {
		o.emit(event{}, r.String())
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearProgress()
	json.NewEncoder(o.stdout).Encode(struct { //nolint:errcheck // nobody is left to tell
		Event string `json:"event"`
		bench.Row
	}{"bench", r})
}
