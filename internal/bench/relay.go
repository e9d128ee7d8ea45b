package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

// RelayOptions of a run.
type RelayOptions struct {
	Options

	Calls int           // that go through a relay at once; 0: 300
	Turn  time.Duration // how long each relay works in a round; 0: 2 s

	// Ours is the command that runs [ServeRelay] with the number of calls as its last
	// argument, as a process of its own.
	Ours []string

	// RTPEngine is the program to compare with; "": rtpengine, wherever it is found.
	RTPEngine string
}

// Goals for what it costs us to forward a packet.
const (
	relayGoalC         = 1.35
	relayGoalRTPEngine = 0.8
)

var (
	cRelay     = &yardstick{source: "relay.c"}
	cRelayLoad = &yardstick{source: "relayload.c"}
)

// A relayContestant is a relay at work, with the ends of its calls.
type relayContestant struct {
	name    string
	open    func(ctx context.Context, ends [][2]int) (relay, [][2]int, error)
	relay   relay
	load    *relayLoad
	missing string // why there is none
	times   []float64
	results []relayTurn
	memory  relayMemory
}

// A relay is a process that forwards packets.
type relay interface {
	pid() int
	stop() string
}

// Relay measures what it costs to forward the packets of calls, each of two telephones
// that send a packet each 20 ms, and reports each row as soon as all rounds are done.
// The relays take turns; each is a process of its own, of which all CPU time counts,
// and all have ended when Relay returns. It takes about a minute with the default
// options, and returns the error of ctx when that ends before.
func Relay(ctx context.Context, o RelayOptions, report func(RelayRow)) error {
	o.Rounds = cmp.Or(max(o.Rounds, 0), DefaultRounds)
	o.Calls = cmp.Or(max(o.Calls, 0), 300)
	o.Turn = cmp.Or(max(o.Turn, 0), 2*time.Second)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b := &relayBench{
		workbench: workbench{dir: dir, options: o.Options, built: make(map[*yardstick]build)},
		options:   o,
	}
	all := []*relayContestant{
		{name: "parley", open: b.openOurs},
		{name: "C, epoll", open: b.openC},
		{name: "rtpengine", open: b.openRTPEngine},
	}
	defer func() {
		for _, c := range all {
			c.close()
		}
	}()
	for _, c := range all {
		b.options.Progress(c.name, 0, o.Rounds)
		b.begin(ctx, c)
	}
	ours := all[0]
	before := ours.remember()
	for round := range o.Rounds {
		for _, c := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.options.Progress(c.name, round+1, o.Rounds)
			c.turn(o.Turn)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ours.memory = ours.remember()
	ours.memory.objects -= before.objects
	for i, goal := range []float64{relayGoalC, relayGoalRTPEngine} {
		report(newRelayRow(&b.options, ours, all[1+i], goal))
	}
	return nil
}

// A relayBench is a workbench for relays.
type relayBench struct {
	workbench
	options RelayOptions
}

// begin starts a relay and what sends through it, and warms both up.
func (b *relayBench) begin(ctx context.Context, c *relayContestant) {
	program, err := b.build(ctx, cRelayLoad)
	if err == nil {
		c.load, err = startRelayLoad(ctx, program, b.options.Calls)
	}
	var ports [][2]int
	if err == nil {
		c.relay, ports, err = c.open(ctx, c.load.ends)
	}
	if err == nil {
		err = c.load.sendTo(ports)
	}
	if err == nil {
		_, err = c.load.run(500 * time.Millisecond)
	}
	if err != nil {
		c.fail(err)
	}
}

// turn has the relay work for a while.
func (c *relayContestant) turn(d time.Duration) {
	if c.missing != "" {
		return
	}
	before, err := cpuOf(c.relay.pid())
	if err != nil {
		c.fail(err)
		return
	}
	r, err := c.load.run(d)
	if err != nil {
		c.fail(err)
		return
	}
	after, err := cpuOf(c.relay.pid())
	if err == nil && r.Received == 0 {
		err = errors.New("nothing was forwarded")
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.times = append(c.times, float64(after-before)/float64(r.Received))
	c.results = append(c.results, r)
}

// A relayMemory is what a relay of ours says of its memory.
type relayMemory struct{ objects, bytes int64 }

// remember asks for it.
func (c *relayContestant) remember() (m relayMemory) {
	if c.missing != "" {
		return m
	}
	p := c.relay.(*relayProcess).process
	_, err := fmt.Fprintln(p.stdin, "memory")
	if err == nil && !p.replies.Scan() {
		err = errors.Join(p.replies.Err(), io.ErrUnexpectedEOF)
	}
	if err == nil {
		_, err = fmt.Sscan(p.replies.Text(), &m.objects, &m.bytes)
	}
	if err != nil {
		c.fail(err)
	}
	return m
}

// fail takes the contestant out.
func (c *relayContestant) fail(err error) {
	said := c.close()
	if m, ok := errors.AsType[missing](err); ok {
		c.missing = string(m)
		return
	}
	c.missing = fmt.Sprintf("a relay that works: %s", cmp.Or(said, err.Error()))
}

func (c *relayContestant) close() (said string) {
	if c.load != nil {
		said = c.load.process.stop()
		c.load = nil
	}
	if c.relay != nil {
		said = cmp.Or(c.relay.stop(), said)
		c.relay = nil
	}
	return said
}

func (b *relayBench) openC(ctx context.Context, ends [][2]int) (relay, [][2]int, error) {
	program, err := b.build(ctx, cRelay)
	if err != nil {
		return nil, nil, err
	}
	return openRelay(ctx, []string{program}, ends)
}

func (b *relayBench) openOurs(ctx context.Context, ends [][2]int) (relay, [][2]int, error) {
	return openRelay(ctx, b.options.Ours, ends)
}

// openRelay runs a relay that reads the ports of the ends and answers with its own.
func openRelay(ctx context.Context, command []string, ends [][2]int) (relay, [][2]int, error) {
	p, err := launchCommand(ctx, append(slices.Clone(command), strconv.Itoa(len(ends)))...)
	if err != nil {
		return nil, nil, err
	}
	r := &relayProcess{p}
	for _, e := range ends {
		if _, err := fmt.Fprintf(p.stdin, "%d %d\n", e[0], e[1]); err != nil {
			return r, nil, err
		}
	}
	ports, err := readPorts(p, len(ends))
	return r, ports, err
}

type relayProcess struct{ process *process }

func (r *relayProcess) pid() int     { return r.process.cmd.Process.Pid }
func (r *relayProcess) stop() string { return r.process.stop() }
