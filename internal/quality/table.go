package quality

import "fmt"

const columns = "%-12s %8s %5s %5s %5s %9s %6s %5s %5s %7s %9s %10s %8s"

// Header returns the names of the columns of [Result.String].
func Header() string {
	return fmt.Sprintf(columns, "trace", "delay ms", "95 %", "99 %", "most", "concealed", "events", "> 60", "≥ 150",
		"late", "stretched", "compressed", "catch-up")
}

// String returns the result as a line of a table.
func (r *Result) String() string {
	catchUp := "-"
	if r.CatchUp != nil {
		catchUp = fmt.Sprintf("%.1f s", *r.CatchUp/1000)
	}
	ms := func(x float64) string { return fmt.Sprintf("%.0f", x) }
	share := func(x float64) string { return fmt.Sprintf("%.2f %%", x) }
	return fmt.Sprintf(columns, r.Trace, fmt.Sprintf("%.1f", r.DelayMean), ms(r.DelayP95), ms(r.DelayP99), ms(r.DelayMax),
		share(r.Concealed), fmt.Sprint(r.Events), fmt.Sprint(r.Over60), fmt.Sprint(r.Over150),
		share(r.LatePct), share(r.Stretched), share(r.Compressed), catchUp)
}
