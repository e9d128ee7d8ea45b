package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLateness(t *testing.T) {
	const ms = time.Millisecond
	l := newLateness([]time.Duration{105 * ms, 100 * ms, 101 * ms}, nil, []time.Duration{-7 * ms})
	if want := (Lateness{0, 1, 1}); *l != want {
		t.Errorf("%+v, want %+v", *l, want)
	}
	var many []time.Duration
	for i := range 2001 {
		many = append(many, time.Duration(2000-i)*ms)
	}
	if l := newLateness(many); *l != (Lateness{1000, 1980, 1998}) {
		t.Errorf("%+v", *l)
	}
	if newLateness() != nil || newLateness(nil, nil) != nil || medianLateness([]*Lateness{nil}) != nil {
		t.Error("a lateness of nothing")
	}
	if l := medianLateness([]*Lateness{{1, 2, 9}, nil, {3, 1, 8}, {2, 3, 7}}); *l != (Lateness{2, 2, 8}) {
		t.Errorf("%+v", *l)
	}
}

// loadRows returns one row of each kind.
func loadRows() []LoadRow {
	stat := func(median, low, high float64) *Stat { return &Stat{median, low, high} }
	row := LoadRow{
		Work: "calls on the loop", AtOnce: 1000, FarEnds: "here",
		Comparison: Comparison{Reference: "C epoll", Rounds: 5, Ours: stat(4900.4, 4800, 5100), Theirs: stat(4000, 3900, 4100), Ratio: stat(1.23, 1.2, 1.3), Goal: 1.25},
		CPU:        24.6, KiB: 11.8, Goroutines: 0, Sent: 100, Lost: 3,
		Late: &Lateness{0.5, 1, 2}, ReferenceLate: &Lateness{0.4, 0.8, 1.6},
	}
	extra, late, none, ticks := row, row, row, row
	extra.Goal, extra.ExtraGoal, extra.Extra = 0, 600, stat(-12, -20, 601)
	late.LateGoal, late.Sent, late.Silent = 1.2, 52.14, 7
	none.Ours, none.Ratio, none.Missing, none.Late = nil, nil, "gcc", nil
	drift, theirs := 0.4, 40.0
	ticks.FarEnds, ticks.KiB, ticks.Drift, ticks.TheirDrift = "", 0, &drift, &theirs
	return []LoadRow{row, extra, late, none, ticks}
}

func TestLoadRow(t *testing.T) {
	rows := loadRows()
	for i, want := range []struct {
		met        bool
		line, json string
	}{
		{
			true, "calls on the loop 1000 4900 (4800..5100) 25 % C epoll 4000 (3900..4100) 1.23 (1.20..1.30) ≤ 1.25 met 0.00 11.8 0.0 3 0.50 / 1.00 / 2.00 0.40 / 0.80 / 1.60",
			`{"work":"calls on the loop","at_once":1000,"far_ends":"here","reference":"C epoll","rounds":5,"ours_ns":{"median":4900.4,"min":4800,"max":5100},"reference_ns":{"median":4000,"min":3900,"max":4100},"ratio":{"median":1.23,"min":1.2,"max":1.3},"goal":1.25,"cpu_pct":24.6,"allocs":0,"kib_per_call":11.8,"sent_pct":100,"packets_lost":3,"late":{"p50_ms":0.5,"p99_ms":1,"p999_ms":2},"reference_late":{"p50_ms":0.4,"p99_ms":0.8,"p999_ms":1.6}}`,
		},
		{true, "1.23 (1.20..1.30) -12 ≤ +600 met 0.00", `"extra_ns":{"median":-12,"min":-20,"max":601},"extra_goal_ns":600,`},
		{false, "1.23 (1.20..1.30) ≤ 1.25 0.00 11.8 0.0 3 0.50 / 1.00 / 2.00 0.40 / 0.80 / 1.60 only 52.1 % of what was due; 7 calls sent nothing; late 99 %: 1.25 × ≤ 1.20", `"sent_pct":52.14,"packets_lost":3,"silent_calls":7,`},
		{false, "1000 - - C epoll 4000 (3900..4100) - ≤ 1.25 - - - - - 0.40 / 0.80 / 1.60 missing: gcc", `"reference_late":{"p50_ms":0.4,"p99_ms":0.8,"p999_ms":1.6},"missing":"gcc"}`},
		{true, "0.00 - - - 0.50 / 1.00 / 2.00 0.40 / 0.80 / 1.60 drift 0 ms, reference 40 ms", `"drift_ms":0.4,"reference_drift_ms":40}`},
	} {
		r := rows[i]
		if got := strings.Join(strings.Fields(r.String()), " "); !strings.Contains(got, want.line) {
			t.Errorf("%q has no %q", got, want.line)
		}
		if got, err := json.Marshal(r); err != nil || !strings.Contains(string(got), want.json) {
			t.Errorf("%s, %v, has no %s", got, err, want.json)
		}
		if r.Met() != want.met {
			t.Errorf("%s: met is %v", &r, r.Met())
		}
	}
	if r := (LoadRow{Comparison: Comparison{Ratio: &Stat{}}}); r.Met() {
		t.Error("met without a goal")
	}
}

func TestLoadReport(t *testing.T) {
	var b bytes.Buffer
	if err := WriteLoadReport(&b, "Many <calls>", "at once", loadRows()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for text, n := range map[string]int{
		"Many &lt;calls&gt;": 2, "<svg": 2, "<rect": 9 + 9, "missing: gcc": 1, "<td>1.23 (1.20..1.30)</td>": 4, "≤ &#43;600 met": 1, "NaN": 0,
	} {
		if got := strings.Count(page, text); got != n {
			t.Errorf("%d times %q, want %d", got, text, n)
		}
	}
	if err := WriteLoadReport(&b, "", "", nil); err != nil {
		t.Error(err)
	}
}

func TestTicks(t *testing.T) {
	progress := 0
	o := TickOptions{Options: Options{Rounds: 1, Progress: func(string, int, int) { progress++ }}, Tasks: 50, Length: 300 * time.Millisecond}
	r, err := Ticks(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.AtOnce != 50 || r.Ours.Min <= 0 || r.Theirs.Min <= 0 || r.CPU <= 0 || r.Sent <= 0 || progress != 2 ||
		r.Late == nil || r.ReferenceLate == nil || r.Late.P50 < 0 || *r.Drift < 0 || *r.TheirDrift < 0 || r.Missing != "" {
		t.Errorf("%+v", r)
	}
	if _, err := Ticks(t.Context(), TickOptions{Tasks: MaxTasks + 1}); err == nil {
		t.Error("too many tasks were taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(string, int, int) { cancel() }
	if _, err := Ticks(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
