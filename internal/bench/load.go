package bench

import (
	"context"
	"time"
)

// A loader is one way to do much at once, which takes part in each round.
type loader struct {
	name    string
	rounds  []loadRound
	missing string // what it takes to measure
}

// A loadRound is what was measured once.
type loadRound struct {
	ns         float64 // of CPU for a packet sent and one received
	cpu        float64 // of one core, 0..
	sent       float64 // of what was due, 0..1
	lost       int64
	silent     int
	late       *Lateness
	allocs     float64 // for a packet
	kib        float64 // for a call
	goroutines float64 // for a call
}

// fill puts in what was measured.
func (r *LoadRow) fill(ours, theirs *loader) {
	r.compare(ours.each(nanoseconds), theirs.each(nanoseconds))
	r.Late, r.ReferenceLate = ours.late(), theirs.late()
	if len(ours.rounds) == 0 {
		return
	}
	median := func(of func(*loadRound) float64) float64 { return newStat(ours.each(of)).Median }
	r.CPU = 100 * median(func(r *loadRound) float64 { return r.cpu })
	r.Allocs = newStat(ours.each(func(r *loadRound) float64 { return r.allocs })).Min // others allocate too
	r.KiB = median(func(r *loadRound) float64 { return r.kib })
	r.Goroutines = median(func(r *loadRound) float64 { return r.goroutines })
	r.Sent = 100 * median(func(r *loadRound) float64 { return r.sent })
	for _, round := range ours.rounds {
		r.Lost += round.lost
		r.Silent += round.silent
	}
}

func nanoseconds(r *loadRound) float64 { return r.ns }

// each returns a measure of each round.
func (c *loader) each(of func(*loadRound) float64) []float64 {
	values := make([]float64, len(c.rounds))
	for i := range c.rounds {
		values[i] = of(&c.rounds[i])
	}
	return values
}

func (c *loader) late() *Lateness {
	rounds := make([]*Lateness, len(c.rounds))
	for i, r := range c.rounds {
		rounds[i] = r.late
	}
	return medianLateness(rounds)
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
