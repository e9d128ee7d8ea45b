package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// DefaultLoadRounds and DefaultLength are for [Calls] and [Ticks].
	DefaultLoadRounds = 5
	DefaultLength     = 2 * time.Second

	MaxCalls = 20000

	callPeriod = 20 * time.Millisecond // and that of tasks
)

// CallOptions of [Calls].
type CallOptions struct {
	Options // of Rounds, 0 or less means DefaultLoadRounds

	Calls  []int         // how many at once, each an even number from 4 to MaxCalls; nil: 1000
	Length time.Duration // of what is measured in a round; 0: DefaultLength

	// Other is the command of a process that runs [FarEnds], which then has the far
	// ends of all calls. Without it calls talk to each other in this process.
	Other []string

	Aiortp bool // beside calls of aiortp too

	// For tests: measure before the calls are settled, and how rare reports are.
	hurry   bool
	reports time.Duration
}

// Calls measures what whole calls of PCMU cost over loopback, many at once, beside bare
// sockets that send and receive as many packets: it opens them, waits until all have
// talked for a second and playout and senders have settled, and measures for a while, and
// so with each way to have calls by turns, round by round. It reports the rows of each
// number of calls as soon as they are known, and returns the error of ctx when that ends
// before. A round takes about half a minute with the default options.
//
// A few of the calls have bare far ends that note when packets come, by the clock of
// the kernel: that is how late packets leave. What these far ends send and receive
// counts as the packets of all others do.
func Calls(ctx context.Context, o CallOptions, report func(LoadRow)) error {
	o.fill(DefaultLoadRounds)
	o.Length = cmp.Or(max(o.Length, 0), DefaultLength)
	if len(o.Calls) == 0 {
		o.Calls = []int{1000}
	}
	for _, n := range o.Calls {
		if n < 4 || n > MaxCalls || n%2 != 0 {
			return fmt.Errorf("bench: %d calls: not an even number from 4 to %d", n, MaxCalls)
		}
		if err := files(n, farEndsOf(n, o.Other != nil)); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b := &callBench{bench: &workbench{dir: dir, options: o.Options, built: make(map[*yardstick]build)}, options: o}
	for _, n := range o.Calls {
		b.calls, b.far = n, farEndsOf(n, o.Other != nil)
		rows, err := b.compare(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("bench: %d calls: %w", n, err)
		}
		for _, r := range rows {
			report(r)
		}
	}
	return nil
}

// farEndsOf returns how many of n calls have bare far ends.
func farEndsOf(n int, other bool) int {
	if other {
		return n
	}
	return min(n/4*2, 16)
}

type callBench struct {
	bench      *workbench
	options    CallOptions
	calls, far int
}

// A callContestant is a way to have calls.
type callContestant struct {
	loader
	measure func(context.Context, *callBench) (loadRound, error)
}

// Until calls are settled: a second of packets, and time for the playout to have found
// its delay, and for what is written live to leave at once. More calls than the machine
// can carry never are.
const (
	settledPackets = int64(time.Second / callPeriod)
	settledTime    = 4 * time.Second
	settledLimit   = 10 * time.Second
)

// A callPair is a row to be: one contestant beside another.
type callPair struct {
	ours, theirs *callContestant
	goal         float64 // largest ratio of times
	extraGoal    float64 // most nanoseconds more
	lateGoal     float64 // largest ratio of the lateness of 99 %
}

// Goals. Those beside aiortp are the densities that we want, 9 and 7 times its own.
const (
	loopGoal   = 1.25
	readGoal   = 1.15
	secretGoal = 600 // ns
	lateGoal   = 1.5
	aiortpLoop = 1 / 9.
	aiortpRead = 1 / 7.
)

func (b *callBench) pairs() (all []*callContestant, pairs []callPair) {
	loop := &callContestant{loader{name: "calls on the loop"}, loopCalls}
	read := &callContestant{loader{name: "calls, blocking reads"}, readCalls}
	drained := &callContestant{loader{name: "Go sockets at the tick"}, drainedSockets}
	if b.options.Other != nil {
		all = []*callContestant{drained, loop, read}
		return all, []callPair{{ours: loop, theirs: drained, lateGoal: lateGoal}, {ours: read, theirs: drained}}
	}
	c := &callContestant{loader{name: "C epoll"}, inC}
	blocking := &callContestant{loader{name: "Go sockets, a goroutine each"}, blockingSockets}
	secret := &callContestant{loader{name: "calls on the loop, SRTP"}, secretCalls}
	all = []*callContestant{c, loop, secret, drained, blocking, read}
	pairs = []callPair{
		{ours: loop, theirs: c, goal: loopGoal},
		{ours: read, theirs: blocking, goal: readGoal},
		{ours: secret, theirs: loop, extraGoal: secretGoal},
		{ours: drained, theirs: c},
	}
	if b.options.Aiortp {
		aiortp := &callContestant{loader{name: "aiortp"}, inAiortp}
		all = append(all, aiortp)
		pairs = append(pairs, callPair{ours: loop, theirs: aiortp, goal: aiortpLoop}, callPair{ours: read, theirs: aiortp, goal: aiortpRead})
	}
	return all, pairs
}

// compare lets all take turns.
func (b *callBench) compare(ctx context.Context) ([]LoadRow, error) {
	all, pairs := b.pairs()
	for round := range b.options.Rounds {
		for _, c := range all {
			if c.missing != "" {
				continue
			}
			b.options.Progress(fmt.Sprintf("%d %s", b.calls, c.name), round+1, b.options.Rounds)
			r, err := c.measure(ctx, b)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if m, ok := errors.AsType[missing](err); ok {
				c.missing, c.rounds = string(m), nil
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			} else {
				c.rounds = append(c.rounds, r)
			}
		}
	}
	rows := make([]LoadRow, len(pairs))
	for i, p := range pairs {
		rows[i] = b.row(&p)
	}
	return rows, nil
}

func (b *callBench) row(p *callPair) LoadRow {
	row := LoadRow{
		Work: p.ours.name, AtOnce: b.calls, FarEnds: "here", ExtraGoal: p.extraGoal, LateGoal: p.lateGoal,
		Comparison: Comparison{Reference: p.theirs.name, Rounds: b.options.Rounds, Goal: p.goal},
		Missing:    cmp.Or(p.ours.missing, p.theirs.missing),
	}
	if b.options.Other != nil {
		row.FarEnds = "other"
	}
	row.fill(&p.ours.loader, &p.theirs.loader)
	if row.Ratio != nil && p.extraGoal > 0 {
		extra := newDifference(p.ours.each(nanoseconds), p.theirs.each(nanoseconds))
		row.Extra = &extra
	}
	return row
}
