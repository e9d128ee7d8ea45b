package bench

import "fmt"

// A Row compares one piece of our work with one yardstick. Times are
// nanoseconds of CPU for a frame of 20 ms.
type Row struct {
	Codec string `json:"codec"`
	Comparison
	Allocs  int    `json:"allocs_per_frame"`  // of ours, rounded down as testing.AllocsPerRun does
	Missing string `json:"missing,omitempty"` // what it takes to measure
	Differs bool   `json:"output_differs,omitempty"`
}

const columns = "%-20s %26s  %-15s %26s  %18s  %-14s %s"

// Header returns the names of the columns of [Row.String].
func Header() string {
	return fmt.Sprintf(columns, "20 ms of", "ours, ns", "reference", "reference, ns", "ratio", "goal", "allocations")
}

// String returns the row as a line of a table.
func (r Row) String() string {
	ours, theirs, ratio, goal := r.cells()
	allocs := "-"
	if r.Ours != nil {
		allocs = fmt.Sprint(r.Allocs)
	}
	switch {
	case r.Theirs == nil:
		allocs += "  missing: " + r.Missing
	case r.Differs:
		allocs += "  the outputs differ"
	}
	return fmt.Sprintf(columns, r.Codec, ours, r.Reference, theirs, ratio, goal, allocs)
}
