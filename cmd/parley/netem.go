package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/parley-media/parley/transport/netem"
)

type netemCommand struct {
	Listen string `required:"" placeholder:"HOST:PORT" help:"Where packets come in. Answers go to whoever sent here last."`
	To     string `required:"" placeholder:"HOST:PORT" help:"The far end. It has to answer to where its packets come from."`
	RTCP   bool   `name:"rtcp" default:"true" negatable:"" help:"Relay the next ports as well, for RTCP."`

	Delay        time.Duration `placeholder:"D" help:"Delay of each packet, in each direction."`
	Jitter       time.Duration `placeholder:"D" help:"How much the delay varies; see --distribution."`
	Distribution netem.Shape   `default:"uniform" placeholder:"NAME" help:"Of the jitter: uniform (up to D less or more), normal (D is the standard deviation), exponential or pareto (added, D is the mean)."`
	Correlation  share         `placeholder:"P" help:"Correlation of the delays of packets 20 ms apart, 0 to below 1."`
	Drift        float64       `placeholder:"PPM" help:"Let the delay grow by so many microseconds in each second, as if the sender's clock were slow."`
	Trace        string        `placeholder:"FILE.csv" help:"Repeat the delays and losses of a file with the columns seq and arrival_ms, of packets sent 20 ms apart."`

	Loss      share         `placeholder:"P" help:"Share of packets that are lost: 0.05, or 5%."`
	Burst     time.Duration `placeholder:"D" help:"Lose packets in bursts of this mean length, such as 60ms."`
	Reorder   share         `placeholder:"P" help:"Share of packets that are held back by 30 ms, while others overtake."`
	Duplicate share         `placeholder:"P" help:"Share of packets that come twice."`
	Rate      bitRate       `placeholder:"R" help:"Bits per second that go through, without headers of IP and UDP: 64000, 64k or 1.5M."`
	Queue     time.Duration `default:"200ms" placeholder:"D" help:"The longest that a packet may wait for --rate."`

	Seed     uint64        `default:"1" placeholder:"N" help:"Of the random numbers. The way back has the next one."`
	Duration time.Duration `placeholder:"D" help:"Stop after this long."`
}

func (c *netemCommand) Run(ctx context.Context, out *output) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	r, err := netem.OpenRelay(*config)
	if errors.Is(err, netem.ErrConfig) {
		return useError{err}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	local := r.LocalAddr().String()
	out.emit(event{Event: "listening", Address: local},
		fmt.Sprintf("Relaying %s to %v and back. Stop with Ctrl-C.", local, config.To))

	reason := c.wait(ctx, r, out)
	stats := r.Stats()
	if err := r.Close(); err != nil {
		return err
	}
	out.emit(newNetemEvent("end", reason, stats), fmt.Sprintf("ended: %s\n  forward   %s\n  back      %s", reason, describe(stats.Forward), describe(stats.Back)))
	return nil
}

// config turns the flags into those of a relay.
func (c *netemCommand) config() (*netem.RelayConfig, error) {
	if c.Duration < 0 {
		return nil, useError{errors.New("--duration cannot be negative")}
	}
	if c.Burst > 0 && c.Loss == 0 {
		return nil, useError{errors.New("--burst needs --loss, which says how much is lost")}
	}
	if c.Queue <= 0 {
		return nil, useError{errors.New("--queue has to be above 0")}
	}
	path := netem.Config{
		Seed:      c.Seed,
		Delay:     c.Delay,
		Jitter:    netem.Jitter{Shape: c.Distribution, Spread: c.Jitter, Correlation: float64(c.Correlation)},
		Drift:     c.Drift,
		Loss:      netem.Loss{Rate: float64(c.Loss), MeanBurst: c.Burst},
		Reorder:   netem.Reorder{Rate: float64(c.Reorder)},
		Duplicate: float64(c.Duplicate),
		Rate:      int64(c.Rate),
		Queue:     c.Queue,
	}
	if c.Trace != "" {
		f, err := os.Open(c.Trace)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if path.Trace, err = netem.ParseTrace(f, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Trace, err)
		}
	}
	config := &netem.RelayConfig{RTCP: c.RTCP, Forward: path, Back: path}
	config.Back.Seed++
	var err error
	if config.Listen, err = parseAddr("listen", c.Listen); err != nil {
		return nil, err
	}
	config.To, err = parseAddr("to", c.To)
	return config, err
}

// wait reports until it is time to stop, and returns why it is.
func (c *netemCommand) wait(ctx context.Context, r *netem.Relay, out *output) string {
	var over <-chan time.Time // never, without a duration
	if c.Duration > 0 {
		timer := time.NewTimer(c.Duration)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return "interrupted"
		case <-over:
			return "duration"
		case <-tick.C:
		}
		stats := r.Stats()
		out.bar(time.Since(start), c.Duration, fmt.Sprintf("forward %d packets, back %d", stats.Forward.Out, stats.Back.Out))
		out.emit(newNetemEvent("stats", "", stats), "")
	}
}

// A netemEvent is an event with the counts of both directions.
type netemEvent struct {
	Event   string          `json:"event"`
	Reason  string          `json:"reason,omitempty"`
	Forward netemStatistics `json:"forward"`
	Back    netemStatistics `json:"back"`
}

// netemStatistics are the fields of [netem.Stats] under their names in JSON.
type netemStatistics struct {
	In         int64 `json:"packets_in"`
	Out        int64 `json:"packets_out"`
	Lost       int64 `json:"packets_lost"`
	Dropped    int64 `json:"packets_dropped"`
	Duplicated int64 `json:"packets_duplicated"`
	Reordered  int64 `json:"packets_reordered"`
	Inside     int64 `json:"packets_inside"`
}

func newNetemEvent(name, reason string, s netem.RelayStats) netemEvent {
	return netemEvent{name, reason, netemStatistics(s.Forward), netemStatistics(s.Back)}
}

func describe(s netem.Stats) string {
	return fmt.Sprintf("%d packets in, %d out, %d lost, %d dropped, %d duplicated, %d out of order",
		s.In, s.Out, s.Lost, s.Dropped, s.Duplicated, s.Reordered)
}

// A share is a part of the whole: 0.05, or 5%.
type share float64

func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	switch {
	case err == nil && v > 1 && !percent:
		return fmt.Errorf("%s is more than everything; %s%% is per cent", text, text)
	case err != nil || !(v >= 0 && v <= 1):
		return fmt.Errorf("%q is not a share from 0 to 1, or from 0%% to 100%%", text)
	}
	*s = share(v)
	return nil
}

// A bitRate is in bits per second: 64000, 64k or 1.5M.
type bitRate int64

func (r *bitRate) UnmarshalText(text []byte) error {
	number, factor := string(text), 1.0
	for suffix, f := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, factor = n, f
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v*factor >= 1 && v*factor <= 1e12) {
		return fmt.Errorf("%q is not a rate, such as 64000, 64k or 1.5M", text)
	}
	*r = bitRate(v * factor)
	return nil
}
