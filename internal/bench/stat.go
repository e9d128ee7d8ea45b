package bench

import "slices"

// A Stat sums up one number over all rounds.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// newStat sums up values, of which there is at least one, and which it leaves
// alone.
func newStat(values []float64) Stat {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Stat{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// newRatio returns the ratio of the medians of a and b, with the smallest and
// the largest ratio of one round.
func newRatio(a, b []float64) Stat {
	each := make([]float64, len(a))
	for i := range a {
		each[i] = a[i] / b[i]
	}
	r := newStat(each)
	r.Median = newStat(a).Median / newStat(b).Median
	return r
}

// newDifference returns by how much the median of a is more than that of b, with the
// least and the most of one round.
func newDifference(a, b []float64) Stat {
	each := make([]float64, len(a))
	for i := range a {
		each[i] = a[i] - b[i]
	}
	d := newStat(each)
	d.Median = newStat(a).Median - newStat(b).Median
	return d
}
