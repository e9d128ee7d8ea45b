package loop

import (
	"sync/atomic"
	"time"
)

// A Load says whether the loops keep up with what the calls of the process want of
// them. The zero value is a process that has nothing to do.
type Load struct {
	// Runs is how many runs began in the last second, and Late how many of them
	// more than [Tardy] after their deadline.
	Runs, Late int64

	// Lateness is for how long what is due now has been, on the loop that is
	// furthest behind. It tells of a loop that stands still, when nothing is run
	// that could be counted.
	Lateness time.Duration
}

// Tardy is how late a run is that counts as late: the length of a usual packet.
const Tardy = 20 * time.Millisecond

// Share returns the part of the runs that was late, 0 to 1.
func (l Load) Share() float64 {
	if l.Runs == 0 {
		return 0
	}
	return float64(l.Late) / float64(l.Runs)
}

// CurrentLoad returns the load of all loops. It is cheap enough for every new call.
func CurrentLoad() Load {
	group.Lock()
	defer group.Unlock()
	var all Load
	now := time.Now()
	for _, l := range group.loops {
		one := l.gauge.load(int64(now.Sub(l.epoch)))
		all.Runs += one.Runs
		all.Late += one.Late
		all.Lateness = max(all.Lateness, one.Lateness)
	}
	return all
}

const (
	terms    = 8  // of which a second consists
	termBits = 27 // a term is 2^27 ns, some 134 ms
)

// A gauge is what a loop says of itself. The loop writes and anybody reads; times
// are in nanoseconds since the epoch of the loop.
type gauge struct {
	due   atomic.Int64 // when what is run now, or next, was to begin
	terms [terms]term

	rested int64 // when the loop had nothing to do last; for its goroutine only
}

// A term is what happened in an eighth of the last second.
type term struct{ number, runs, late atomic.Int64 }

// ran counts runs that began at now.
func (g *gauge) ran(now, runs, late int64) {
	number := now >> termBits
	t := &g.terms[number%terms]
	if t.number.Load() != number {
		t.runs.Store(0)
		t.late.Store(0)
		t.number.Store(number)
	}
	t.runs.Store(t.runs.Load() + runs)
	if late > 0 {
		t.late.Store(t.late.Load() + late)
	}
}

// begin notes that what was due then is about to be run. It may be asked for long
// after its time, and then it has waited only since the loop rested.
func (g *gauge) begin(due int64) { g.due.Store(max(due, g.rested)) }

// rest notes that there is nothing to do from now until due.
func (g *gauge) rest(now, due int64) {
	g.rested = now
	g.due.Store(due)
}

// load returns what is known at now.
func (g *gauge) load(now int64) (l Load) {
	newest := now >> termBits
	for i := range g.terms {
		t := &g.terms[i]
		if age := newest - t.number.Load(); age >= 0 && age < terms {
			l.Runs += t.runs.Load()
			l.Late += t.late.Load()
		}
	}
	l.Late = min(l.Late, l.Runs) // a term may begin between the two
	l.Lateness = max(0, time.Duration(now-g.due.Load()))
	return l
}
