package bench

import (
	"slices"
	"time"
)

// Lateness is how late packets leave, or tasks run, in milliseconds: what half of
// them, 99 % and 99.9 % do not exceed.
type Lateness struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
}

// newLateness sums up what was measured of several clocks, each of which has a
// beginning of its own: the earliest time of each counts as on time.
func newLateness(clocks ...[]time.Duration) *Lateness {
	var all []time.Duration
	for _, c := range clocks {
		if len(c) == 0 {
			continue
		}
		earliest := slices.Min(c)
		for _, v := range c {
			all = append(all, v-earliest)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	quantile := func(q float64) float64 {
		return float64(all[int(q*float64(len(all)-1))]) / float64(time.Millisecond)
	}
	return &Lateness{quantile(0.5), quantile(0.99), quantile(0.999)}
}

// medianLateness returns the median of each measure over rounds; nil if there is none.
func medianLateness(rounds []*Lateness) *Lateness {
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(l *Lateness) bool { return l == nil })
	if len(rounds) == 0 {
		return nil
	}
	median := func(of func(*Lateness) float64) float64 {
		values := make([]float64, len(rounds))
		for i, l := range rounds {
			values[i] = of(l)
		}
		return newStat(values).Median
	}
	return &Lateness{
		median(func(l *Lateness) float64 { return l.P50 }),
		median(func(l *Lateness) float64 { return l.P99 }),
		median(func(l *Lateness) float64 { return l.P999 }),
	}
}

// touched returns room for n values whose pages are there, so that the first use of
// them does not look like a stall.
func touched(n int) []time.Duration {
	s := make([]time.Duration, n)
	for i := range s {
		s[i] = 1
	}
	return s[:0]
}
