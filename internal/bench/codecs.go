package bench

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// DefaultRounds is the number of rounds if none is asked for.
const DefaultRounds = 7

// Options of a run.
type Options struct {
	// Rounds is how often each yardstick and our work take turns; 0 or less means
	// DefaultRounds.
	Rounds int

	// Progress, if not nil, is told what is measured next.
	Progress func(task string, round, rounds int)
}

// fill puts in what was left out.
func (o *Options) fill(rounds int) {
	o.Rounds = cmp.Or(max(o.Rounds, 0), rounds)
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
}

// warmUp is the number of frames before the first round, two seconds of sound.
const warmUp = 100

// turn is about how long our part of a round is.
const turn = 30 * time.Millisecond

// Codecs measures all codecs and resamplers, and reports each row as soon as it
// is known. It starts processes one at a time or a few, all of which have ended
// when it returns. It takes about ten seconds with the default options, and
// returns the error of ctx when that ends before.
func Codecs(ctx context.Context, o Options, report func(Row)) error {
	o.fill(DefaultRounds)
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpack(dir); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	all, err := tasks()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	b := &workbench{dir: dir, options: o, built: make(map[*yardstick]build)}
	for _, t := range all {
		rows, err := b.measure(ctx, &t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("bench: %s: %w", t.name, err)
		}
		for _, r := range rows {
			report(r)
		}
	}
	return nil
}

type workbench struct {
	dir     string
	options Options
	built   map[*yardstick]build
}

type build struct {
	program string
	err     error
}

// A contestant is a reference at work.
type contestant struct {
	process *process
	missing string // why there is none
	times   []float64
	differs bool
}

// measure returns a row for each reference of t.
func (b *workbench) measure(ctx context.Context, t *task) ([]Row, error) {
	if t.missing != "" {
		rows := make([]Row, len(t.references))
		for i, r := range t.references {
			rows[i] = Row{Codec: t.name, Comparison: Comparison{Reference: r.name, Goal: r.goal}, Missing: t.missing}
		}
		return rows, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.options.Progress(t.name, 0, b.options.Rounds)
	input := filepath.Join(b.dir, "input")
	if err := os.WriteFile(input, t.input, 0o600); err != nil {
		return nil, err
	}
	all := make([]contestant, len(t.references))
	for i, r := range t.references {
		c := &all[i]
		p, err := b.start(ctx, r, input)
		if err != nil {
			c.missing = err.Error()
			continue
		}
		c.process = p
		defer func() {
			if c.process != nil {
				c.process.stop()
			}
		}()
		c.run(warmUp)
	}

	ns := t.run(warmUp)
	n := max(int(float64(turn)/ns), warmUp)
	var times []float64
	allocs := -1
	for round := range b.options.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.options.Progress(t.name, round+1, b.options.Rounds)
		sums := make([]uint32, len(all))
		for i := range all {
			var ns float64
			ns, sums[i] = all[i].run(n)
			all[i].times = append(all[i].times, ns)
		}
		before := mallocs()
		times = append(times, t.run(n))
		perFrame := int((mallocs() - before) / uint64(n))
		if allocs < 0 || perFrame < allocs { // other goroutines allocate too
			allocs = perFrame
		}
		own := t.sum()
		for i := range all {
			all[i].differs = all[i].differs || t.references[i].exact && sums[i] != own
		}
	}

	rows := make([]Row, len(t.references))
	for i, r := range t.references {
		rows[i] = Row{Codec: t.name, Comparison: Comparison{Reference: r.name, Rounds: b.options.Rounds, Goal: r.goal}, Allocs: allocs, Missing: all[i].missing}
		if all[i].missing != "" {
			all[i].times = nil
		}
		rows[i].Differs = all[i].missing == "" && all[i].differs
		rows[i].compare(times, all[i].times)
	}
	return rows, nil
}

// start builds the yardstick of r and runs it.
func (b *workbench) start(ctx context.Context, r reference, input string) (*process, error) {
	program, err := b.build(ctx, r.yard)
	if err != nil {
		return nil, err
	}
	return launch(ctx, program, input, r.args)
}

// build compiles y, if that has not been done yet.
func (b *workbench) build(ctx context.Context, y *yardstick) (string, error) {
	done, ok := b.built[y]
	if !ok {
		done.program, done.err = y.compile(ctx, b.dir)
		b.built[y] = done
	}
	return done.program, done.err
}

// run lets the process do n frames. When that fails the contestant is out, and
// missing says why.
func (c *contestant) run(n int) (float64, uint32) {
	if c.process == nil {
		return 0, 0
	}
	ns, sum, err := c.process.run(n)
	if err != nil {
		c.missing = fmt.Sprintf("a yardstick that works: %s", cmp.Or(c.process.stop(), err.Error()))
		c.process = nil
	}
	return ns, sum
}

// run does n frames, and returns the nanoseconds that each took. The goroutine
// is locked to its thread.
func (t *task) run(n int) float64 {
	start := cpuTime()
	for range n {
		t.frame()
	}
	return float64(cpuTime()-start) / float64(n)
}

// sum returns the checksum of the last output, as the yardsticks do.
func (t *task) sum() uint32 {
	h := fnv.New32a()
	h.Write(t.output())
	return h.Sum32()
}

// mallocs returns how many objects the program has allocated.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
