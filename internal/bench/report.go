package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
)

//go:embed report.html
var reportPage string

// A report is a web page with a table and plots, which needs nothing but itself.
type report struct {
	Title, Subtitle, Note string
	Head                  []string
	Lines                 []reportLine
	Plots                 []plot
}

// A reportLine is a row of the table.
type reportLine struct {
	Cells   []string
	Missing string // stands for the rest of the cells
}

// A plot has groups of bars.
type plot struct {
	Title  string
	Height int
	Bars   []bar
}

// A bar is what a measure looks like, in pixels.
type bar struct {
	Y, Width, TextX float64
	Low, High       float64
	Ours            bool
	Name, Text      string
}

// A measure is a figure with what it lies between.
type measure struct {
	name         string
	ours         bool
	v, low, high float64
}

// Geometry of the plots, in pixels.
const (
	barLeft, barRight = 300, 940
	barHeight         = 22
	barGap            = 14 // between groups
)

// newPlot draws groups of figures with so many decimals on one scale.
func newPlot(title string, decimals int, groups [][]measure) plot {
	top := math.SmallestNonzeroFloat64
	for _, g := range groups {
		for _, m := range g {
			top = max(top, m.high)
		}
	}
	x := func(v float64) float64 { return math.Round(barLeft + (barRight-60-barLeft)*max(v, 0)/top) }
	p := plot{Title: title}
	for _, g := range groups {
		for _, m := range g {
			p.Bars = append(p.Bars, bar{
				Y: float64(p.Height), Width: x(m.v) - barLeft, Low: x(m.low), High: x(m.high), TextX: x(max(m.v, m.high)) + 6,
				Ours: m.ours, Name: m.name, Text: fmt.Sprintf("%.*f", decimals, m.v),
			})
			p.Height += barHeight
		}
		p.Height += barGap
	}
	return p
}

// pair returns the figures of ours and of what it is compared with, as far as there are
// any.
func pair(name, reference string, ours, theirs *Stat) (g []measure) {
	if ours != nil {
		g = append(g, measure{name, true, ours.Median, ours.Min, ours.Max})
	}
	if theirs != nil {
		g = append(g, measure{reference, false, theirs.Median, theirs.Min, theirs.Max})
	}
	return g
}

func (r *report) write(w io.Writer) error {
	page, err := template.New("report").Parse(reportPage)
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		*report
		Columns, Left, LabelX int
	}{r, len(r.Head), barLeft, barLeft - 8})
}
