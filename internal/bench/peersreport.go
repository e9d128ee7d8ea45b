package bench

import (
	"fmt"
	"io"
)

// WritePeers writes a web page with a table of the rows and a plot of each: what
// was measured of both programs, with the extremes of all rounds. It needs nothing
// but itself.
func WritePeers(w io.Writer, rows []PeersRow) error {
	page := report{
		Title: "Calls with browsers",
		Head:  []string{"work", "unit", "reference", "ours", "reference’s", "ratio", "goal", "lost, %"},
		Note:  "Medians, with the least and the most of all rounds. A ratio is ours to the reference’s of the same run: less is better, and of CPU 0.05 is twenty times as many calls on a core.",
	}
	for _, r := range rows {
		page.Subtitle = fmt.Sprintf("%d calls at a time, %d rounds", r.Calls, r.Rounds)
		line := reportLine{Cells: []string{r.Work, r.Unit, r.Reference}, Missing: r.Missing}
		if r.Missing == "" {
			line.Cells = append(line.Cells, r.cells()...)
		}
		page.Lines = append(page.Lines, line)
		if figures := pair("parley", r.Reference, r.Ours, r.Theirs); figures != nil {
			page.Plots = append(page.Plots, newPlot(r.Work+", "+r.Unit, r.decimals(), [][]measure{figures}))
		}
	}
	return page.write(w)
}
