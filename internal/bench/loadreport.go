package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
)

//go:embed loadreport.html
var loadReport string

// Geometry of the plots, in pixels.
const (
	barLeft, barRight = 300, 940
	barHeight         = 22
	barGroup          = 58
)

// A bar is a time in a plot, with the extremes of single rounds.
type bar struct {
	Y, Width, TextX float64
	Low, High       float64
	Ours            bool
	Name, Text      string
}

// WriteLoadReport writes a web page with a table of the rows, and plots of times and of
// lateness, ours beside the reference. It needs nothing but itself.
func WriteLoadReport(w io.Writer, title, subtitle string, rows []LoadRow) error {
	page, err := template.New("report").Parse(loadReport)
	if err != nil {
		return err
	}
	type line struct {
		LoadRow
		Cells []string
	}
	lines := make([]line, len(rows))
	for i, r := range rows {
		ours, theirs, ratio, _ := r.cells()
		lines[i] = line{r, []string{
			fmt.Sprint(r.AtOnce), ours, r.Reference, theirs, ratio, r.goal(),
			fmt.Sprintf("%.2f", r.Allocs), fmt.Sprintf("%.1f", r.KiB), fmt.Sprintf("%.1f", r.Goroutines), fmt.Sprint(r.Lost),
			r.Late.format(), r.ReferenceLate.format(),
		}}
	}
	times, late := timeBars(rows), lateBars(rows)
	return page.Execute(w, map[string]any{
		"Title": title, "Subtitle": subtitle, "Lines": lines, "Plots": []any{
			map[string]any{"Title": "CPU, ns for a packet sent and one received, or a tick", "Bars": times, "Height": barGroup * len(rows)},
			map[string]any{"Title": "Late by, ms: bars to 99 %, whiskers from 50 to 99.9 %", "Bars": late, "Height": barGroup * len(rows)},
		},
		"Left": barLeft, "LabelX": barLeft - 8,
	})
}

func timeBars(rows []LoadRow) []bar {
	top := 0.0
	for _, r := range rows {
		for _, s := range []*Stat{r.Ours, r.Theirs} {
			if s != nil {
				top = max(top, s.Max)
			}
		}
	}
	var bars []bar
	for i, r := range rows {
		for k, s := range []*Stat{r.Ours, r.Theirs} {
			if s != nil {
				bars = append(bars, newBar(&rows[i], i, k, s.Median, s.Min, s.Max, top, 0))
			}
		}
	}
	return bars
}

func lateBars(rows []LoadRow) []bar {
	top := 0.0
	for _, r := range rows {
		for _, l := range []*Lateness{r.Late, r.ReferenceLate} {
			if l != nil {
				top = max(top, l.P999)
			}
		}
	}
	var bars []bar
	for i, r := range rows {
		for k, l := range []*Lateness{r.Late, r.ReferenceLate} {
			if l != nil {
				bars = append(bars, newBar(&rows[i], i, k, l.P99, l.P50, l.P999, top, 2))
			}
		}
	}
	return bars
}

func newBar(r *LoadRow, row, k int, v, low, high, top float64, decimals int) bar {
	x := func(v float64) float64 {
		return math.Round(barLeft + (barRight-60-barLeft)*v/max(top, math.SmallestNonzeroFloat64))
	}
	name := fmt.Sprintf("%d %s", r.AtOnce, r.Work)
	if k == 1 {
		name = r.Reference
	}
	return bar{
		Y: float64(row*barGroup + k*barHeight), Width: x(v) - barLeft, Low: x(low), High: x(high), TextX: x(max(v, high)) + 6,
		Ours: k == 0, Name: name, Text: fmt.Sprintf("%.*f", decimals, v),
	}
}
