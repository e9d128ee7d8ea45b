package bench

import (
	"fmt"
	"io"
)

// WriteLoadReport writes a web page with a table of the rows, and plots of times and of
// lateness, ours beside the reference. It needs nothing but itself.
func WriteLoadReport(w io.Writer, title, subtitle string, rows []LoadRow) error {
	page := report{Title: title, Subtitle: subtitle, Head: []string{
		"20 ms of", "at once", "ours, ns", "reference", "reference, ns", "ratio", "goal",
		"allocs", "KiB", "goroutines", "lost", "late, ms: 50 / 99 / 99.9 %", "reference late",
	}}
	var times, late [][]measure
	for _, r := range rows {
		name := fmt.Sprintf("%d %s", r.AtOnce, r.Work)
		times = append(times, pair(name, r.Reference, r.Ours, r.Theirs))
		late = append(late, append(r.Late.measure(name, true), r.ReferenceLate.measure(r.Reference, false)...))
		line := reportLine{Cells: []string{r.Work, fmt.Sprint(r.AtOnce)}, Missing: r.Missing}
		if r.Ours != nil {
			ours, theirs, ratio, _ := r.cells()
			line = reportLine{Cells: append(line.Cells, ours, r.Reference, theirs, ratio, r.goal(),
				fmt.Sprintf("%.2f", r.Allocs), fmt.Sprintf("%.1f", r.KiB), fmt.Sprintf("%.1f", r.Goroutines), fmt.Sprint(r.Lost),
				r.Late.format(), r.ReferenceLate.format())}
		}
		page.Lines = append(page.Lines, line)
	}
	page.Plots = []plot{
		newPlot("CPU, ns for a packet sent and one received, or a tick", 0, times),
		newPlot("Late by, ms: bars to 99 %, whiskers from 50 to 99.9 %", 2, late),
	}
	return page.write(w)
}

func (l *Lateness) measure(name string, ours bool) []measure {
	if l == nil {
		return nil
	}
	return []measure{{name, ours, l.P99, l.P50, l.P999}}
}
