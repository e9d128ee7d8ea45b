package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBenchVideo(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no compiler
	text, _ := invoke(t, statusDone, "bench", "video", "--rounds", "1")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "frames through ") || !strings.Contains(lines[1], "missing: a C compiler") {
		t.Errorf("it prints %q", text)
	}
	text, _ = invoke(t, statusDone, "--json", "bench", "video", "--rounds", "1")
	lines = strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 4 {
		t.Errorf("it prints %q", text)
	}
	for _, line := range lines {
		var row struct {
			Event   string
			Path    string
			Packets int                      `json:"packets_per_frame"`
			Ours    struct{ Median float64 } `json:"ours_ns"`
			Missing string
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Event != "bench" || row.Path == "" ||
			row.Packets == 0 || row.Ours.Median <= 0 || row.Missing == "" {
			t.Errorf("%s, %v", line, err)
		}
	}
}
