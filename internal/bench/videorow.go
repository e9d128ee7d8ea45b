package bench

import "fmt"

// A VideoRow compares one way of sending and receiving frames with one system call
// for each packet. Times are nanoseconds of CPU for a packet that is sent and
// received, of the whole program and in the kernel.
type VideoRow struct {
	Path      string  `json:"path"`
	Packets   int     `json:"packets_per_frame"`
	Bytes     int     `json:"bytes_per_packet"`
	Reference string  `json:"reference"`
	Rounds    int     `json:"rounds"`
	Ours      *Stat   `json:"ours_ns"`
	Theirs    *Stat   `json:"reference_ns,omitempty"` // nil: Missing says why
	Ratio     *Stat   `json:"ratio,omitempty"`        // of the medians, and the extremes of single rounds
	Goal      float64 `json:"goal,omitempty"`         // largest ratio that we want; 0: none
	Allocs    int     `json:"allocs_per_packet"`      // rounded down as testing.AllocsPerRun does
	Missing   string  `json:"missing,omitempty"`      // what it takes to measure
}

// Met reports whether the goal is reached; without one, or a yardstick, it is not.
func (r *VideoRow) Met() bool { return r.Ratio != nil && r.Goal > 0 && r.Ratio.Median <= r.Goal }

const videoColumns = "%-18s %7s %20s  %-14s %20s  %18s  %-14s %s"

// VideoHeader returns the names of the columns of [VideoRow.String].
func VideoHeader() string {
	return fmt.Sprintf(videoColumns, "frames through", "packets", "ours, ns a packet", "reference", "reference, ns", "ratio", "goal", "allocations")
}

// String returns the row as a line of a table.
func (r VideoRow) String() string {
	packets, allocs, goal := fmt.Sprint(r.Packets), fmt.Sprint(r.Allocs), "-"
	switch {
	case r.Met():
		goal = fmt.Sprintf("≤ %.2f met", r.Goal)
	case r.Goal > 0 && r.Ratio != nil:
		goal = fmt.Sprintf("≤ %.2f missed", r.Goal)
	case r.Goal > 0:
		goal = fmt.Sprintf("≤ %.2f", r.Goal)
	}
	if r.Theirs == nil {
		return fmt.Sprintf(videoColumns, r.Path, packets, r.Ours.format(0), r.Reference, "-", "-", goal, allocs+"  missing: "+r.Missing)
	}
	return fmt.Sprintf(videoColumns, r.Path, packets, r.Ours.format(0), r.Reference, r.Theirs.format(0), r.Ratio.format(2), goal, allocs)
}
