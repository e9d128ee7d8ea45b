package bench

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// Without a compiler our side is measured all the same, and the rows say what is
// missing.
func TestVideoWithoutCompiler(t *testing.T) {
	emptied(t)
	t.Setenv("PATH", t.TempDir())
	rows := 0
	err := Video(t.Context(), Options{Rounds: 1}, func(r VideoRow) {
		rows++
		if r.Ours == nil || r.Ours.Min <= 0 || r.Theirs != nil || r.Ratio != nil || !strings.Contains(r.Missing, "gcc") || r.Met() {
			t.Errorf("%+v", r)
		}
		if r.Allocs != 0 {
			t.Errorf("%s: %d allocations a packet", r.Path, r.Allocs)
		}
	})
	if err != nil || rows != len(videoTasks()) {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestVideoEnds(t *testing.T) {
	emptied(t)
	t.Setenv("PATH", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows := 0
	err := Video(ctx, Options{Rounds: 1}, func(VideoRow) { rows++; cancel() })
	if rows != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// Neither way to send and to receive a frame allocates.
func TestVideoAllocatesNothing(t *testing.T) {
	for _, task := range videoTasks() {
		way, err := task.open(t.Context(), task.packets)
		if err != nil {
			t.Fatal(err)
		}
		burst := videoBurst / task.packets
		if err := way.run(20 * burst); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if err := way.run(burst); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s, %d packets a frame: %v allocations in %d packets", task.path, task.packets, n, videoBurst)
		}
		if err := way.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestVideoRow(t *testing.T) {
	stat := func(median, low, high float64) *Stat { return &Stat{median, low, high} }
	row := VideoRow{
		Path: "calls", Packets: 8, Bytes: 1212,
		Comparison: Comparison{
			Reference: "C sendto, recv", Rounds: 7,
			Ours: stat(542.4, 524, 557), Theirs: stat(917, 911, 919), Ratio: stat(0.59, 0.57, 0.61), Goal: 0.65,
		},
	}
	slow, free, none := row, row, row
	slow.Ratio, slow.Allocs = stat(0.651, 0.6, 0.7), 2
	free.Goal = 0
	none.Theirs, none.Ratio, none.Missing = nil, nil, "a C compiler"
	for _, c := range []struct {
		row  VideoRow
		met  bool
		want string // with runs of spaces made one
		json string // beginning of its end
	}{
		{row, true, "calls 8 542 (524..557) C sendto, recv 917 (911..919) 0.59 (0.57..0.61) ≤ 0.65 met 0", `,"goal":0.65,"allocs_per_packet":0}`},
		{slow, false, "calls 8 542 (524..557) C sendto, recv 917 (911..919) 0.65 (0.60..0.70) ≤ 0.65 missed 2", `,"goal":0.65,"allocs_per_packet":2}`},
		{free, false, "calls 8 542 (524..557) C sendto, recv 917 (911..919) 0.59 (0.57..0.61) - 0", `"max":0.61},"allocs_per_packet":0}`},
		{none, false, "calls 8 542 (524..557) C sendto, recv - - ≤ 0.65 0 missing: a C compiler", `"max":557},"goal":0.65,"allocs_per_packet":0,"missing":"a C compiler"}`},
	} {
		line := c.row.String()
		if got := strings.Join(strings.Fields(line), " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := c.row.Met(); got != c.met {
			t.Errorf("%s: met is %v", c.want, got)
		}
		if text, err := json.Marshal(c.row); err != nil || !strings.HasSuffix(string(text), c.json) {
			t.Errorf("%s, %v, want %s at its end", text, err, c.json)
		}
		column := utf8.RuneCountInString(strings.TrimSuffix(VideoHeader(), "allocations"))
		if cell := []rune(line)[column-1:]; cell[0] != ' ' || cell[1] == ' ' {
			t.Errorf("%q is not in step with the header", line)
		}
	}
}
