package bench

import "fmt"

// A VideoRow compares one way of sending and receiving frames with one system call
// for each packet. Times are nanoseconds of CPU for a packet that is sent and
// received, of the whole program and in the kernel.
type VideoRow struct {
	Path    string `json:"path"`
	Packets int    `json:"packets_per_frame"`
	Bytes   int    `json:"bytes_per_packet"`
	Comparison
	Allocs  int    `json:"allocs_per_packet"` // rounded down as testing.AllocsPerRun does
	Missing string `json:"missing,omitempty"` // what it takes to measure
}

const videoColumns = "%-18s %7s %20s  %-14s %20s  %18s  %-14s %s"

// VideoHeader returns the names of the columns of [VideoRow.String].
func VideoHeader() string {
	return fmt.Sprintf(videoColumns, "frames through", "packets", "ours, ns a packet", "reference", "reference, ns", "ratio", "goal", "allocations")
}

// String returns the row as a line of a table.
func (r VideoRow) String() string {
	ours, theirs, ratio, goal := r.cells()
	allocs := fmt.Sprint(r.Allocs)
	if r.Theirs == nil {
		allocs += "  missing: " + r.Missing
	}
	return fmt.Sprintf(videoColumns, r.Path, fmt.Sprint(r.Packets), ours, r.Reference, theirs, ratio, goal, allocs)
}
