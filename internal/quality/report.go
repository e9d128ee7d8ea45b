package quality

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"time"
)

//go:embed report.html
var reportText string

// Geometry of a plot, in pixels.
const (
	plotWidth, plotHeight = 960, 220
	plotLeft, plotRight   = 44, 952
	plotTop, plotBottom   = 10, 178
	gapTop                = plotBottom + 4
	columnLine            = plotHeight - 6
)

// WriteReport writes a web page with a table of the results and a plot of each:
// the delay, what the receiver aims at, and what was concealed, over time. It
// needs nothing but itself. The subtitle says what was measured.
func WriteReport(w io.Writer, subtitle string, results []*Result) error {
	page, err := template.New("report").Parse(reportText)
	if err != nil {
		return err
	}
	plots := make([]*plot, len(results))
	for i, r := range results {
		plots[i] = newPlot(r, "t"+strconv.Itoa(i))
	}
	return page.Execute(w, map[string]any{
		"Subtitle": subtitle, "Plots": plots,
		"Left": plotLeft, "Right": plotRight, "LabelX": plotLeft - 6,
		"GapY": gapTop, "ColumnY": columnLine,
	})
}

// A plot is the picture of one result. X and Y are pixels.
type plot struct {
	*Result
	Anchor        string
	Width, Height int
	Rows, Columns []label
	Gaps          []mark
	Delay, Target string // of an SVG path

	span time.Duration // of the x axis
	top  time.Duration // of the y axis
}

type label struct {
	X, Y, LabelY float64
	Text         string
}

type mark struct {
	X, Width float64
	Text     string
}

func newPlot(r *Result, anchor string) *plot {
	p := &plot{Result: r, Anchor: anchor, Width: plotWidth, Height: plotHeight, span: time.Second}
	top := 50 * time.Millisecond
	for _, point := range r.Points {
		top = max(top, point.Delay, point.Target)
		p.span = max(p.span, point.At)
	}
	step := niceStep(top, 5)
	p.top = (top + step - 1) / step * step
	for d := time.Duration(0); d <= p.top; d += step {
		p.Rows = append(p.Rows, label{Y: p.y(d), LabelY: p.y(d) + 4, Text: strconv.FormatInt(d.Milliseconds(), 10)})
	}
	step = niceStep(p.span, 12)
	for d := time.Duration(0); d <= p.span; d += step {
		p.Columns = append(p.Columns, label{X: p.x(d), Text: strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"})
	}
	p.Delay = p.path(func(point Point) time.Duration { return point.Delay })
	p.Target = p.path(func(point Point) time.Duration { return point.Target })
	p.mark()
	return p
}

func (p *plot) x(d time.Duration) float64 {
	return round(plotLeft+(plotRight-plotLeft)*float64(d)/float64(p.span), 1)
}

func (p *plot) y(d time.Duration) float64 {
	return round(plotBottom-(plotBottom-plotTop)*float64(d)/float64(p.top), 1)
}

// path returns the line of a value, with a break wherever it is negative. Of
// points at one height only the ends are kept.
func (p *plot) path(value func(Point) time.Duration) string {
	var d []byte
	down, flat := false, false
	var lastX, lastY float64
	point := func(command byte, x, y float64) {
		d = fmt.Appendf(d, "%c%g %g", command, x, y)
	}
	lift := func() {
		if down && flat {
			point('L', lastX, lastY)
		}
		down, flat = false, false
	}
	for _, sample := range p.Points {
		v := value(sample)
		if v < 0 {
			lift()
			continue
		}
		x, y := p.x(sample.At), p.y(v)
		switch {
		case !down:
			point('M', x, y)
		case y == lastY:
			flat = true
		default:
			if flat {
				point('L', lastX, lastY)
			}
			point('L', x, y)
			flat = false
		}
		down, lastX, lastY = true, x, y
	}
	lift()
	return string(d)
}

// mark makes a block for each run of output that was not sent.
func (p *plot) mark() {
	for i := 0; i < len(p.Points); i++ {
		first, length := i, time.Duration(0)
		for ; i < len(p.Points) && p.Points[i].Concealed > 0; i++ {
			length += p.Points[i].Concealed
		}
		if length > 0 {
			at := p.Points[first].At
			p.Gaps = append(p.Gaps, mark{
				X:     p.x(at),
				Width: max(1, round(p.x(length)-plotLeft, 1)),
				Text:  fmt.Sprintf("%.2f s: %d ms", at.Seconds(), length.Milliseconds()),
			})
		}
	}
}

// niceStep returns 1, 2 or 5 times a power of ten of nanoseconds that divides d
// into no more than n parts.
func niceStep(d time.Duration, n float64) time.Duration {
	least := float64(d) / n
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= least {
			return time.Duration(m * power)
		}
	}
	return time.Duration(10 * power)
}
