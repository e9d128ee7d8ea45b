package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPeersRow(t *testing.T) {
	stat := func(median, low, high float64) *Stat { return &Stat{median, low, high} }
	row := PeersRow{
		Work: "forward Opus", Unit: nsPacket, Reference: "pion/webrtc alone", Calls: 20, Rounds: 5,
		Ours: stat(18000, 17000, 19000), Theirs: stat(16000, 15000, 17000), Ratio: stat(1.125, 1.1, 1.2), Goal: 1.15, Lost: Lost{0, 0.1},
	}
	slow, free, none, half := row, row, row, row
	slow.Ratio = stat(1.151, 1.1, 1.2)
	free.Goal, free.Unit, free.Ours, free.Theirs = 0, goroutines, stat(18, 18, 19.5), stat(16, 16, 16)
	none.Theirs, none.Ratio, none.Missing = nil, nil, "aiortc"
	half.Ours, half.Theirs, half.Ratio, half.Missing = nil, nil, nil, "libopus"
	for _, c := range []struct {
		row  PeersRow
		met  bool
		want string // with runs of spaces made one
		json string // end of it
	}{
		{row, true, "forward Opus ns a packet 18000 (17000..19000) pion/webrtc alone 16000 (15000..17000) 1.125 (1.100..1.200) ≤ 1.15 met 0.0, 0.1", `"goal":1.15,"lost_pct":{"ours":0,"reference":0.1}}`},
		{slow, false, "forward Opus ns a packet 18000 (17000..19000) pion/webrtc alone 16000 (15000..17000) 1.151 (1.100..1.200) ≤ 1.15 missed 0.0, 0.1", `"goal":1.15,"lost_pct":{"ours":0,"reference":0.1}}`},
		{free, false, "forward Opus goroutines a call 18.0 (18.0..19.5) pion/webrtc alone 16.0 (16.0..16.0) 1.125 (1.100..1.200) - 0.0, 0.1", `"max":1.2},"lost_pct":{"ours":0,"reference":0.1}}`},
		{none, false, "forward Opus ns a packet 18000 (17000..19000) pion/webrtc alone - - ≤ 1.15 missing: aiortc", `"goal":1.15,"lost_pct":{"ours":0,"reference":0.1},"missing":"aiortc"}`},
		{half, false, "forward Opus ns a packet - pion/webrtc alone - - ≤ 1.15 missing: libopus", `"rounds":5,"goal":1.15,"lost_pct":{"ours":0,"reference":0.1},"missing":"libopus"}`},
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
		column := utf8.RuneCountInString(strings.TrimSuffix(PeersHeader(), "lost, %"))
		if cell := []rune(line)[column-1:]; cell[0] != ' ' || cell[1] == ' ' {
			t.Errorf("%q is not in step with the header", line)
		}
	}
	var page bytes.Buffer
	if err := WritePeers(&page, []PeersRow{row, none, half}); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{"<svg": 2, `<rect class="ours"`: 2, "<rect x": 1, "1.125 (1.100..1.200)": 1, "missing: aiortc": 1, "20 calls at a time, 5 rounds": 1} {
		if got := strings.Count(page.String(), text); got != n {
			t.Errorf("%q is %d times in the page, want %d", text, got, n)
		}
	}
}
