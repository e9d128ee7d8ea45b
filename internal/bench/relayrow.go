package bench

import "fmt"

// A RelayRow compares our relay with another one. Times are nanoseconds of CPU of the
// relay, all its threads and the kernel's part in it, for a packet that is forwarded.
type RelayRow struct {
	Calls     int          `json:"calls"`
	Reference string       `json:"reference"`
	Rounds    int          `json:"rounds"`
	Ours      *Stat        `json:"ours_ns,omitempty"`      // nil: Missing says why
	Theirs    *Stat        `json:"reference_ns,omitempty"` // likewise
	Ratio     *Stat        `json:"ratio,omitempty"`        // of the medians, and the extremes of single rounds
	Goal      float64      `json:"goal"`                   // largest ratio that we want
	Ways      [2]RelayPath `json:"paths"`                  // through our relay, and through the other
	Allocs    int64        `json:"allocs_per_packet"`      // of ours, rounded down as testing.AllocsPerRun does
	Heap      int64        `json:"heap_per_call"`          // of ours, bytes in use for a call, which has two ends
	Missing   string       `json:"missing,omitempty"`      // what it takes to measure
}

// A RelayPath is what became of the packets of all rounds.
type RelayPath struct {
	Sent int64 `json:"sent"`
	Lost int64 `json:"lost"`

	// From one end to the other, in microseconds: medians over the rounds. What the
	// ends themselves take is in it.
	Median float64 `json:"delay_us"`
	P99    float64 `json:"delay_p99_us"`
	P999   float64 `json:"delay_p999_us"`
}

// Met reports whether the goal is reached; without a reference it is not.
func (r *RelayRow) Met() bool { return r.Ratio != nil && r.Ratio.Median <= r.Goal }

const relayColumns = "%5s %22s  %-10s %22s  %18s  %-13s %11s  %11s %10s  %-24s %s"

// RelayHeader returns the names of the columns of [RelayRow.String].
func RelayHeader() string {
	return fmt.Sprintf(relayColumns, "calls", "ours, ns a packet", "reference", "reference, ns", "ratio", "goal", "allocations", "heap a call", "lost", "delay 50/99/99.9 %, µs", "reference, µs")
}

// String returns the row as a line of a table.
func (r RelayRow) String() string {
	c := r.cells()
	if r.Missing != "" {
		c[len(c)-1] = "missing: " + r.Missing
	}
	return fmt.Sprintf(relayColumns, fmt.Sprint(r.Calls), c[0], r.Reference, c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8])
}

// cells returns the columns behind the first and without the reference.
func (r *RelayRow) cells() []string {
	ours, theirs, ratio, goal := "-", "-", "-", fmt.Sprintf("≤ %.2f", r.Goal)
	lost, delay, other, allocs, heap := "-", "-", "-", "-", "-"
	if r.Ours != nil {
		ours, delay = r.Ours.format(0), r.Ways[0].delay()
		lost, allocs, heap = fmt.Sprint(r.Ways[0].Lost), fmt.Sprint(r.Allocs), fmt.Sprintf("%.1f KiB", float64(r.Heap)/1024)
	}
	if r.Theirs != nil {
		theirs, other = r.Theirs.format(0), r.Ways[1].delay()
		lost += fmt.Sprintf(" / %d", r.Ways[1].Lost)
	}
	if r.Ratio != nil {
		ratio, goal = r.Ratio.format(2), goal+" "+verdict(r.Met())
	}
	return []string{ours, theirs, ratio, goal, allocs, heap, lost, delay, other}
}

func (p RelayPath) delay() string { return fmt.Sprintf("%.0f/%.0f/%.0f", p.Median, p.P99, p.P999) }

func newRelayRow(o *RelayOptions, ours, theirs *relayContestant, goal float64) RelayRow {
	row := RelayRow{Calls: o.Calls, Reference: theirs.name, Rounds: o.Rounds, Goal: goal, Missing: theirs.missing}
	for i, c := range []*relayContestant{ours, theirs} {
		if c.missing != "" {
			continue
		}
		s := newStat(c.times)
		if i == 0 {
			row.Ours = &s
		} else {
			row.Theirs = &s
		}
		row.Ways[i] = newRelayPath(c.results)
	}
	if row.Ours != nil {
		row.Allocs = ours.memory.objects / max(1, row.Ways[0].Sent-row.Ways[0].Lost)
		row.Heap = ours.memory.bytes / int64(o.Calls)
	}
	switch {
	case row.Ours == nil:
		row.Missing = ours.missing
	case row.Theirs != nil:
		ratio := newRatio(ours.times, theirs.times)
		row.Ratio = &ratio
	}
	return row
}

func newRelayPath(turns []relayTurn) (p RelayPath) {
	var delays [4][]float64
	for _, t := range turns {
		p.Sent += t.Sent
		p.Lost += t.Sent - t.Received
		for i, d := range t.Delay {
			delays[i] = append(delays[i], d)
		}
	}
	p.Median, p.P99, p.P999 = newStat(delays[0]).Median, newStat(delays[1]).Median, newStat(delays[2]).Median
	return p
}
