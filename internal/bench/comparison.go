package bench

import "fmt"

// A Comparison is what all rows have in common: our work beside a reference, by turns.
// Times are nanoseconds of CPU.
type Comparison struct {
	Reference string  `json:"reference"`
	Rounds    int     `json:"rounds"`
	Ours      *Stat   `json:"ours_ns,omitempty"`      // nil: the row says what is missing
	Theirs    *Stat   `json:"reference_ns,omitempty"` // likewise
	Ratio     *Stat   `json:"ratio,omitempty"`        // of the medians, and the extremes of single rounds
	Goal      float64 `json:"goal,omitempty"`         // largest ratio that we want; 0: none
}

// Met reports whether the goal is reached; without one, or a reference, it is not.
func (c *Comparison) Met() bool { return c.Ratio != nil && c.Goal > 0 && c.Ratio.Median <= c.Goal }

// compare takes the times of all rounds, which are empty for what is missing.
func (c *Comparison) compare(ours, theirs []float64) {
	if len(ours) > 0 {
		s := newStat(ours)
		c.Ours = &s
	}
	if len(theirs) > 0 {
		s := newStat(theirs)
		c.Theirs = &s
	}
	if len(ours) > 0 && len(ours) == len(theirs) {
		s := newRatio(ours, theirs)
		c.Ratio = &s
	}
}

// cells returns what stands in a table.
func (c *Comparison) cells() (ours, theirs, ratio, goal string) {
	ours, theirs, ratio, goal = "-", "-", "-", "-"
	if c.Ours != nil {
		ours = c.Ours.format(0)
	}
	if c.Theirs != nil {
		theirs = c.Theirs.format(0)
	}
	if c.Ratio != nil {
		ratio = c.Ratio.format(2)
	}
	if c.Goal > 0 {
		goal = fmt.Sprintf("≤ %.2f", c.Goal)
		if c.Ratio != nil {
			goal += " " + verdict(c.Met())
		}
	}
	return ours, theirs, ratio, goal
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

func (s Stat) format(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f..%.*f)", decimals, s.Median, decimals, s.Min, decimals, s.Max)
}
