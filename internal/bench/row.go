package bench

import "fmt"

// A Row compares one piece of our work with one yardstick. Times are
// nanoseconds of CPU for a frame of 20 ms.
type Row struct {
	Codec     string  `json:"codec"`
	Reference string  `json:"reference"`
	Rounds    int     `json:"rounds"`
	Ours      *Stat   `json:"ours_ns,omitempty"`      // nil: Missing says why
	Theirs    *Stat   `json:"reference_ns,omitempty"` // likewise
	Ratio     *Stat   `json:"ratio,omitempty"`        // of the medians, and the extremes of single rounds
	Goal      float64 `json:"goal"`                   // largest ratio that we want
	Allocs    int     `json:"allocs_per_frame"`       // of ours, rounded down as testing.AllocsPerRun does
	Missing   string  `json:"missing,omitempty"`      // what it takes to measure
	Differs   bool    `json:"output_differs,omitempty"`
}

// Met reports whether the goal is reached; without a yardstick it is not.
func (r *Row) Met() bool { return r.Ratio != nil && r.Ratio.Median <= r.Goal }

const columns = "%-20s %26s  %-15s %26s  %18s  %-14s %s"

// Header returns the names of the columns of [Row.String].
func Header() string {
	return fmt.Sprintf(columns, "20 ms of", "ours, ns", "reference", "reference, ns", "ratio", "goal", "allocations")
}

// String returns the row as a line of a table.
func (r Row) String() string {
	ours, allocs := "-", "-"
	if r.Ours != nil {
		ours, allocs = r.Ours.format(0), fmt.Sprint(r.Allocs)
	}
	if r.Theirs == nil {
		return fmt.Sprintf(columns, r.Codec, ours, r.Reference, "-", "-", fmt.Sprintf("≤ %.2f", r.Goal), allocs+"  missing: "+r.Missing)
	}
	goal := fmt.Sprintf("≤ %.2f missed", r.Goal)
	if r.Met() {
		goal = fmt.Sprintf("≤ %.2f met", r.Goal)
	}
	if r.Differs {
		allocs += "  the outputs differ"
	}
	return fmt.Sprintf(columns, r.Codec, ours, r.Reference, r.Theirs.format(0), r.Ratio.format(2), goal, allocs)
}

func (s Stat) format(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f..%.*f)", decimals, s.Median, decimals, s.Min, decimals, s.Max)
}
