package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley/internal/loop"
)

// TickOptions of [Ticks].
type TickOptions struct {
	Options // of Rounds, 0 or less means DefaultLoadRounds

	Tasks  int           // 0: 10000
	Length time.Duration // of what is measured in a round; 0: DefaultLength
}

// MaxTasks of [Ticks].
const MaxTasks = 100_000

// maxTicks is for how many ticks of each task is known how late they were.
const maxTicks = 1000

// tickGoal is 1.5 times what a bare wheel takes of the CPU that tickers take.
const tickGoal = 0.21

// Ticks measures the clock of calls: many tasks, each of which wants to run every 20
// ms, on the loops of package loop, in turns with a goroutine with a time.Ticker each.
// It returns the error of ctx when that ends before.
func Ticks(ctx context.Context, o TickOptions) (LoadRow, error) {
	o.fill(DefaultLoadRounds)
	o.Length = cmp.Or(max(o.Length, 0), DefaultLength)
	o.Tasks = cmp.Or(max(o.Tasks, 0), 10000)
	row := LoadRow{Work: "tasks on the loop", AtOnce: o.Tasks, Comparison: Comparison{
		Reference: "goroutine, time.Ticker each", Rounds: o.Rounds, Goal: tickGoal,
	}}
	if o.Tasks > MaxTasks {
		return row, fmt.Errorf("bench: more than %d tasks", MaxTasks)
	}
	ours := &tickContestant{loader: loader{name: row.Work}, start: startTasks}
	theirs := &tickContestant{loader: loader{name: "tickers"}, start: startTickers}
	for round := range o.Rounds {
		for _, c := range []*tickContestant{theirs, ours} {
			o.Progress(fmt.Sprintf("%d %s", o.Tasks, c.name), round+1, o.Rounds)
			r, err := c.round(ctx, &o)
			if err != nil {
				return row, err
			}
			c.rounds = append(c.rounds, r)
		}
	}
	row.fill(&ours.loader, &theirs.loader)
	row.Drift, row.TheirDrift = &ours.drift, &theirs.drift
	return row, nil
}

type tickContestant struct {
	loader
	start func(all []ticker) (stop func())
	drift float64 // the worst of all rounds, in milliseconds
}

// A ticker is what has to run every 20 ms.
type ticker struct {
	due     time.Time
	ticks   atomic.Int64
	late    []time.Duration
	count   atomic.Int64 // of those in late
	measure *atomic.Bool
	task    *loop.Task
}

// tick runs the ticker. Its clock is steady: what it does not run for stays missing.
func (t *ticker) tick() {
	t.ticks.Add(1)
	if n := t.count.Load(); t.measure.Load() && int(n) < len(t.late) {
		t.late[n] = time.Since(t.due)
		t.count.Store(n + 1)
	}
	t.due = t.due.Add(callPeriod)
}

// Run implements [loop.Runner].
func (t *ticker) Run(time.Time, []byte) time.Time {
	t.tick()
	return t.due
}

func startTasks(all []ticker) (stop func()) {
	for i := range all {
		t := &all[i]
		t.task = loop.Add(t)
		t.task.Wake(t.due)
	}
	return func() {
		for i := range all {
			all[i].task.Stop()
		}
	}
}

func startTickers(all []ticker) (stop func()) {
	var stopped atomic.Bool
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			t := &all[i]
			time.Sleep(time.Until(t.due.Add(-callPeriod)))
			clock := time.NewTicker(callPeriod)
			defer clock.Stop()
			for range clock.C {
				if stopped.Load() {
					return
				}
				t.tick()
			}
		})
	}
	return func() {
		stopped.Store(true)
		running.Wait()
	}
}

// round measures once.
func (c *tickContestant) round(ctx context.Context, o *TickOptions) (r loadRound, err error) {
	var measuring atomic.Bool
	all, room := make([]ticker, o.Tasks), min(int(o.Length/callPeriod)+10, maxTicks)
	begin := time.Now().Add(100 * time.Millisecond)
	for i := range all {
		all[i].due = begin.Add(time.Duration(i) * callPeriod / time.Duration(o.Tasks))
		all[i].late = touched(room)[:room]
		all[i].measure = &measuring
	}
	runtime.GC()
	stop := c.start(all)
	defer stop()
	if err := pause(ctx, time.Until(begin.Add(500*time.Millisecond))); err != nil {
		return r, err
	}
	measuring.Store(true)
	ticks, allocated, used, start := ticksOf(all), mallocs(), processTime(), time.Now()
	if err := pause(ctx, o.Length); err != nil {
		return r, err
	}
	used, length := processTime()-used, time.Since(start)
	allocated, ticks = mallocs()-allocated, ticksOf(all)-ticks
	measuring.Store(false)
	if ticks == 0 {
		return r, errors.New("bench: nothing ran")
	}
	r.ns, r.cpu = float64(used)/float64(ticks), float64(used)/float64(length)
	r.allocs = float64(allocated) / float64(ticks)
	r.sent = float64(ticks) * float64(callPeriod) / float64(o.Tasks) / float64(length)
	clocks := make([][]time.Duration, len(all))
	for i := range all {
		late := all[i].late[:all[i].count.Load()]
		if n := len(late) / 2; n > 0 { // what is late for a moment is no drift
			slow := slices.Min(late[n:]) - slices.Min(late[:n])
			c.drift = max(c.drift, float64(slow)/float64(time.Millisecond))
		}
		clocks[i] = late
	}
	r.late = newLateness(clocks...)
	return r, nil
}

func ticksOf(all []ticker) (n int64) {
	for i := range all {
		n += all[i].ticks.Load()
	}
	return n
}
