package bench

import (
	"fmt"
	"io"
)

// WriteRelays writes a web page with a table of the rows, and plots of times and of
// delays. It needs nothing but itself.
func WriteRelays(w io.Writer, rows []RelayRow) error {
	page := report{
		Title: "Packets forwarded",
		Head:  []string{"reference", "ours, ns a packet", "reference, ns", "ratio", "goal", "allocations", "heap a call", "lost", "delay, µs: 50/99/99.9 %", "reference’s delay"},
		Note:  "CPU is that of the whole process that relays, with that of the kernel. Medians, with the least and the most of all rounds.",
	}
	var times, delays [][]measure
	for _, r := range rows {
		page.Subtitle = fmt.Sprintf("%d calls of two telephones at once, %d rounds", r.Calls, r.Rounds)
		times = append(times, pair("parley", r.Reference, r.Ours, r.Theirs))
		var group []measure
		if r.Ours != nil {
			group = append(group, r.Ways[0].measure("parley", true))
		}
		if r.Theirs != nil {
			group = append(group, r.Ways[1].measure(r.Reference, false))
		}
		delays = append(delays, group)
		line := reportLine{Cells: []string{r.Reference}, Missing: r.Missing}
		if r.Missing == "" {
			line.Cells = append(line.Cells, r.cells()...)
		}
		page.Lines = append(page.Lines, line)
	}
	page.Plots = []plot{
		newPlot("CPU, ns a packet", 0, times),
		newPlot("Delay from end to end, µs: bars to 99 %, whiskers from 50 to 99.9 %", 0, delays),
	}
	return page.write(w)
}

func (p RelayPath) measure(name string, ours bool) measure {
	return measure{name, ours, p.P99, p.Median, p.P999}
}
