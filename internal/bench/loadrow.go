package bench

import (
	"fmt"
	"strings"
)

// A LoadRow compares one way to do much at once with another: calls over loopback,
// whose times are nanoseconds of CPU for a packet that is sent and one that is
// received, of the whole program and in the kernel; or tasks, whose times are those of
// a tick.
type LoadRow struct {
	Work    string `json:"work"`
	AtOnce  int    `json:"at_once"`            // calls or tasks
	FarEnds string `json:"far_ends,omitempty"` // of calls: "here", in this process, or "other", in another
	Comparison
	Extra     *Stat   `json:"extra_ns,omitempty"` // by how much ours is more than the reference
	ExtraGoal float64 `json:"extra_goal_ns,omitempty"`
	CPU       float64 `json:"cpu_pct"` // of one core, of ours

	// Of ours, for a packet or tick, and for each call. Other goroutines of the program
	// allocate too.
	Allocs     float64 `json:"allocs"`
	KiB        float64 `json:"kib_per_call,omitempty"` // of heap and stacks
	Goroutines float64 `json:"goroutines_per_call,omitempty"`

	Sent   float64 `json:"sent_pct"`               // of the packets, or ticks, that were due
	Lost   int64   `json:"packets_lost"`           // in all rounds, of the times before and behind what is measured too
	Silent int     `json:"silent_calls,omitempty"` // in all rounds, of those whose packets are noted when they come

	Late          *Lateness `json:"late,omitempty"`           // nil: not measured
	ReferenceLate *Lateness `json:"reference_late,omitempty"` // likewise
	LateGoal      float64   `json:"late_goal,omitempty"`      // largest ratio of what 99 % do not exceed
	Drift         *float64  `json:"drift_ms,omitempty"`       // of tasks: by how much the slowest clock is slow at the end
	TheirDrift    *float64  `json:"reference_drift_ms,omitempty"`

	Missing string `json:"missing,omitempty"` // what it takes to measure
}

// Met reports whether all goals are reached; without one, or a reference, they are not,
// nor where much of what was due was not sent.
func (r *LoadRow) Met() bool {
	return r.valid() && (r.Goal == 0 || r.Comparison.Met()) && (r.ExtraGoal == 0 || r.extraMet()) && (r.LateGoal == 0 || r.lateMet()) &&
		r.Goal+r.ExtraGoal+r.LateGoal > 0
}

func (r *LoadRow) valid() bool { return r.Sent >= 99 }

// goal returns what stands in a table.
func (r *LoadRow) goal() string {
	_, _, _, goal := r.cells()
	switch {
	case r.Extra != nil:
		goal = fmt.Sprintf("%+.0f ≤ +%.0f %s", r.Extra.Median, r.ExtraGoal, verdict(r.extraMet()))
	case r.ExtraGoal > 0:
		goal = fmt.Sprintf("≤ +%.0f", r.ExtraGoal)
	}
	if r.Ratio != nil && !r.valid() {
		goal = strings.TrimSuffix(strings.TrimSuffix(goal, " met"), " missed")
	}
	return goal
}

func (r *LoadRow) extraMet() bool { return r.Extra != nil && r.Extra.Median <= r.ExtraGoal }

func (r *LoadRow) lateMet() bool {
	return r.Late != nil && r.ReferenceLate != nil && r.Late.P99 <= r.LateGoal*r.ReferenceLate.P99
}

const loadColumns = "%-23s %7s %20s %6s  %-28s %22s  %18s  %-20s %6s %5s %10s %8s  %-18s %-18s %s"

// LoadHeader returns the names of the columns of [LoadRow.String].
func LoadHeader() string {
	return strings.TrimRight(fmt.Sprintf(loadColumns, "20 ms of", "at once", "ours, ns", "core", "reference", "reference, ns", "ratio", "goal",
		"allocs", "KiB", "goroutines", "lost", "late, ms", "reference late", ""), " ")
}

// String returns the row as a line of a table. Lateness is that of 50, 99 and 99.9 %.
func (r LoadRow) String() string {
	ours, theirs, ratio, _ := r.cells()
	core, allocs, kib, goroutines, lost := "-", "-", "-", "-", "-"
	if r.Ours != nil {
		core, allocs = fmt.Sprintf("%.0f %%", r.CPU), fmt.Sprintf("%.2f", r.Allocs)
		if r.KiB != 0 {
			kib, goroutines = fmt.Sprintf("%.1f", r.KiB), fmt.Sprintf("%.1f", r.Goroutines)
		}
		if r.FarEnds != "" {
			lost = fmt.Sprint(r.Lost)
		}
	}
	line := fmt.Sprintf(loadColumns, r.Work, fmt.Sprint(r.AtOnce), ours, core, r.Reference, theirs, ratio, r.goal(),
		allocs, kib, goroutines, lost, r.Late.format(), r.ReferenceLate.format(), strings.Join(r.notes(), "; "))
	return strings.TrimRight(line, " ")
}

// notes says what is not in a column.
func (r *LoadRow) notes() (notes []string) {
	if r.Missing != "" {
		notes = append(notes, "missing: "+r.Missing)
	}
	if r.Ours != nil && r.Sent < 99.5 {
		notes = append(notes, fmt.Sprintf("only %.1f %% of what was due", r.Sent))
	}
	if r.Silent > 0 {
		notes = append(notes, fmt.Sprintf("%d calls sent nothing", r.Silent))
	}
	if r.LateGoal > 0 && r.Late != nil && r.ReferenceLate != nil {
		note := fmt.Sprintf("late 99 %%: %.2f × ≤ %.2f", r.Late.P99/r.ReferenceLate.P99, r.LateGoal)
		if r.valid() {
			note += " " + verdict(r.lateMet())
		}
		notes = append(notes, note)
	}
	if r.Drift != nil && r.TheirDrift != nil {
		notes = append(notes, fmt.Sprintf("drift %.0f ms, reference %.0f ms", *r.Drift, *r.TheirDrift))
	}
	return notes
}

func (l *Lateness) format() string {
	if l == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f / %.2f / %.2f", l.P50, l.P99, l.P999)
}
