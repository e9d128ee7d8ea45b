package server

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Counters go up by what is new, and stay where they are when a line has gone or a
// lost packet comes after all.
func TestLedger(t *testing.T) {
	m := newMetrics(nil)
	read := func(c prometheus.Counter) float64 {
		var d dto.Metric
		if err := c.Write(&d); err != nil {
			t.Fatal(err)
		}
		return d.Counter.GetValue()
	}
	drops := func(late, digits int64) (d [len(dropReasons)]int64) {
		d[0], d[len(d)-1] = late, digits
		return d
	}
	var before ledger
	for _, step := range []struct {
		now  ledger
		want [8]float64 // in, out, bytes in and out, lost in and out, late, digits
	}{
		{ledger{10, 20, 100, 200, 1, 2, drops(3, 4)}, [8]float64{10, 20, 100, 200, 1, 2, 3, 4}},
		{ledger{10, 20, 100, 200, 1, 2, drops(3, 4)}, [8]float64{10, 20, 100, 200, 1, 2, 3, 4}},
		{ledger{15, 21, 150, 210, -3, 0, drops(4, 4)}, [8]float64{15, 21, 150, 210, 1, 2, 4, 4}},
		{ledger{1, 0, 10, 0, -2, 1, drops(0, 5)}, [8]float64{15, 21, 150, 210, 2, 3, 4, 5}},
		{ledger{3, 1, 30, 10, -2, 1, drops(1, 5)}, [8]float64{17, 22, 170, 220, 2, 3, 5, 5}},
	} {
		m.add("audio", &before, step.now)
		got := [8]float64{
			read(m.packets.WithLabelValues("audio", "in")), read(m.packets.WithLabelValues("audio", "out")),
			read(m.bytes.WithLabelValues("audio", "in")), read(m.bytes.WithLabelValues("audio", "out")),
			read(m.lost.WithLabelValues("audio", "in")), read(m.lost.WithLabelValues("audio", "out")),
			read(m.drops.WithLabelValues("audio", dropReasons[0])), read(m.drops.WithLabelValues("audio", dropReasons[len(dropReasons)-1])),
		}
		if got != step.want {
			t.Errorf("after %v: %v, want %v", step.now, got, step.want)
		}
	}
}
