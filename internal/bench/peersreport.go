package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
)

//go:embed peers.html
var peersPage string

// Geometry of a plot, in pixels.
const (
	peersWidth = 960
	peersLeft  = 210
	peersRight = 830
	peersBar   = 26
)

// WritePeers writes a web page with a table of the rows and a plot of each: what
// was measured of both programs, with the extremes of all rounds. It needs nothing
// but itself.
func WritePeers(w io.Writer, rows []PeersRow) error {
	page, err := template.New("peers").Parse(peersPage)
	if err != nil {
		return err
	}
	plots := make([]peersPlot, len(rows))
	for i, r := range rows {
		plots[i] = newPeersPlot(r)
	}
	subtitle := ""
	if len(rows) > 0 {
		subtitle = fmt.Sprintf("%d calls at a time, %d rounds", rows[0].Calls, rows[0].Rounds)
	}
	return page.Execute(w, map[string]any{"Subtitle": subtitle, "Plots": plots})
}

// A peersPlot is a row as it is shown.
type peersPlot struct {
	PeersRow
	OursText, TheirsText, RatioText, GoalText, LostText string

	Width, Height, Left int
	Bars                []peersBarOf
}

// A peersBarOf is the figure of one program. X and Y are pixels.
type peersBarOf struct {
	Name, Text            string
	Class                 string
	Y, Middle, TextY      int
	Length, Min, Max, End float64
}

func newPeersPlot(r PeersRow) peersPlot {
	p := peersPlot{PeersRow: r, OursText: "–", TheirsText: "–", RatioText: "–", GoalText: r.goal(), LostText: "–", Width: peersWidth, Left: peersLeft}
	if r.Theirs != nil {
		p.RatioText = r.Ratio.format(3)
		p.LostText = fmt.Sprintf("%.1f %%, %.1f %%", r.Lost.Ours, r.Lost.Theirs)
	}
	most := 0.
	for _, s := range []*Stat{r.Ours, r.Theirs} {
		if s != nil {
			most = max(most, s.Max)
		}
	}
	if most == 0 {
		most = 1
	}
	x := func(v float64) float64 {
		return math.Round(10*(peersLeft+(peersRight-peersLeft)*max(v, 0)/most)) / 10
	}
	add := func(name, class string, s *Stat) {
		y := 8 + len(p.Bars)*(peersBar+8)
		p.Bars = append(p.Bars, peersBarOf{
			Name: name, Class: class, Text: strconv.FormatFloat(s.Median, 'f', r.decimals(), 64),
			Y: y, Middle: y + peersBar/2, TextY: y + peersBar/2 + 4,
			Length: x(s.Median) - peersLeft, Min: x(s.Min), Max: x(s.Max), End: x(s.Max) + 8,
		})
	}
	if r.Ours != nil {
		p.OursText = r.Ours.format(r.decimals())
		add("parley", "ours", r.Ours)
	}
	if r.Theirs != nil {
		p.TheirsText = r.Theirs.format(r.decimals())
		add(r.Reference, "theirs", r.Theirs)
	}
	p.Height = 8 + len(p.Bars)*(peersBar+8)
	return p
}
