package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchRelay(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no compiler
	dir := t.TempDir()
	page := filepath.Join(dir, "relay.html")
	text, _ := invoke(t, statusDone, "bench", "relay", "--rounds", "1", "--html", page)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || !strings.HasPrefix(strings.TrimSpace(lines[0]), "calls ") || !strings.Contains(lines[1], "missing: a C compiler") {
		t.Errorf("it prints %q", text)
	}
	if html, err := os.ReadFile(page); err != nil || strings.Count(string(html), "missing: a C compiler") != 2 {
		t.Errorf("%v, page %q", err, html)
	}
	if _, said := invoke(t, statusFailed, "bench", "relay", "--html", dir); !strings.Contains(said, "is a directory") {
		t.Errorf("it says %q", said)
	}
	text, _ = invoke(t, statusDone, "--json", "bench", "relay", "--rounds", "1", "--calls", "5")
	lines = strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		t.Errorf("it prints %q", text)
	}
	for _, line := range lines {
		var row struct {
			Event, Reference, Missing string
			Calls                     int
			Goal                      float64
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Event != "bench" || row.Reference == "" || row.Missing == "" || row.Calls != 5 || row.Goal == 0 {
			t.Errorf("%s, %v", line, err)
		}
	}
	for _, args := range [][]string{{"--rounds", "0"}, {"--calls", "0"}, {"--calls", "4001"}, {"--turn", "1ms"}} {
		invoke(t, statusUse, append([]string{"bench", "relay"}, args...)...)
	}
}
