package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRow(t *testing.T) {
	stat := func(median, low, high float64) *Stat { return &Stat{median, low, high} }
	row := Row{Codec: "PCMU encode", Comparison: Comparison{
		Reference: "C table loop", Rounds: 7,
		Ours: stat(73.4, 72.6, 87), Theirs: stat(61, 59, 91), Ratio: stat(1.2, 0.8, 1.43), Goal: 1.5,
	}}
	slow, other, none := row, row, row
	slow.Ratio = stat(1.501, 1.4, 2)
	slow.Allocs = 3
	other.Differs = true
	none.Theirs, none.Ratio, none.Missing = nil, nil, "libx.so.1 (Debian package libx1)"
	neither := none
	neither.Ours, neither.Missing = nil, "liby"
	for _, c := range []struct {
		row  Row
		met  bool
		want string // with runs of spaces made one
		json string
	}{
		{
			row, true,
			"PCMU encode 73 (73..87) C table loop 61 (59..91) 1.20 (0.80..1.43) ≤ 1.50 met 0",
			`{"codec":"PCMU encode","reference":"C table loop","rounds":7,"ours_ns":{"median":73.4,"min":72.6,"max":87},"reference_ns":{"median":61,"min":59,"max":91},"ratio":{"median":1.2,"min":0.8,"max":1.43},"goal":1.5,"allocs_per_frame":0}`,
		},
		{
			slow, false,
			"PCMU encode 73 (73..87) C table loop 61 (59..91) 1.50 (1.40..2.00) ≤ 1.50 missed 3",
			`{"codec":"PCMU encode","reference":"C table loop","rounds":7,"ours_ns":{"median":73.4,"min":72.6,"max":87},"reference_ns":{"median":61,"min":59,"max":91},"ratio":{"median":1.501,"min":1.4,"max":2},"goal":1.5,"allocs_per_frame":3}`,
		},
		{
			other, true,
			"PCMU encode 73 (73..87) C table loop 61 (59..91) 1.20 (0.80..1.43) ≤ 1.50 met 0 the outputs differ",
			`{"codec":"PCMU encode","reference":"C table loop","rounds":7,"ours_ns":{"median":73.4,"min":72.6,"max":87},"reference_ns":{"median":61,"min":59,"max":91},"ratio":{"median":1.2,"min":0.8,"max":1.43},"goal":1.5,"allocs_per_frame":0,"output_differs":true}`,
		},
		{
			none, false,
			"PCMU encode 73 (73..87) C table loop - - ≤ 1.50 0 missing: libx.so.1 (Debian package libx1)",
			`{"codec":"PCMU encode","reference":"C table loop","rounds":7,"ours_ns":{"median":73.4,"min":72.6,"max":87},"goal":1.5,"allocs_per_frame":0,"missing":"libx.so.1 (Debian package libx1)"}`,
		},
		{
			neither, false,
			"PCMU encode - C table loop - - ≤ 1.50 - missing: liby",
			`{"codec":"PCMU encode","reference":"C table loop","rounds":7,"goal":1.5,"allocs_per_frame":0,"missing":"liby"}`,
		},
	} {
		line := c.row.String()
		if got := strings.Join(strings.Fields(line), " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := c.row.Met(); got != c.met {
			t.Errorf("%s: met is %v", c.want, got)
		}
		text, err := json.Marshal(c.row)
		if err != nil || string(text) != c.json {
			t.Errorf("%s, %v, want %s", text, err, c.json)
		}
		// The last column begins below its heading.
		column := utf8.RuneCountInString(strings.TrimSuffix(Header(), "allocations"))
		if cell := []rune(line)[column-1:]; cell[0] != ' ' || cell[1] == ' ' {
			t.Errorf("%q is not in step with the header", line)
		}
	}
}
