package bench

import (
	"slices"
	"testing"
)

func TestStat(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Stat
	}{
		{[]float64{3}, Stat{3, 3, 3}},
		{[]float64{5, 1}, Stat{3, 1, 5}},
		{[]float64{9, 2, 4}, Stat{4, 2, 9}},
		{[]float64{8, 1, 4, 2}, Stat{3, 1, 8}},
	} {
		before := slices.Clone(c.values)
		if got := newStat(c.values); got != c.want {
			t.Errorf("newStat(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("newStat has changed %v to %v", before, c.values)
		}
	}
}

// One slow round of either side moves the extremes, and not the ratio.
func TestRatio(t *testing.T) {
	ours, theirs := []float64{10, 12, 90, 11, 10}, []float64{20, 20, 20, 100, 22}
	if got, want := newRatio(ours, theirs), (Stat{Median: 11.0 / 20, Min: 0.11, Max: 4.5}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
