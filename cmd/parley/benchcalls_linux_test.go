package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loadRows runs a benchmark with --json, and returns its rows.
func loadRows(t *testing.T, args ...string) (rows []map[string]any) {
	t.Helper()
	text, _ := invoke(t, statusDone, append([]string{"--json", "bench"}, args...)...)
	for line := range strings.Lines(text) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if row["event"] != "bench" || row["work"] == "" || row["reference"] == "" {
			t.Error(line)
		}
		rows = append(rows, row)
	}
	return rows
}

// read returns the row of calls that goroutines read, of which all is there.
func read(t *testing.T, rows []map[string]any) map[string]any {
	t.Helper()
	for _, row := range rows {
		if row["work"] == "calls, blocking reads" && row["missing"] == nil {
			return row
		}
	}
	t.Fatalf("no such row in %v", rows)
	return nil
}

func TestBenchCalls(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no compiler
	page := filepath.Join(t.TempDir(), "page.html")
	rows := loadRows(t, "calls", "--calls", "4", "--rounds", "1", "--seconds", "0.3", "--html", page)
	if len(rows) != 4 || rows[0]["at_once"] != 4. {
		t.Errorf("%v", rows)
	}
	row := read(t, rows)
	for _, name := range []string{"ours_ns", "reference_ns", "ratio", "goal", "cpu_pct", "allocs", "kib_per_call", "goroutines_per_call", "sent_pct", "packets_lost"} {
		if row[name] == nil {
			t.Errorf("no %s in %v", name, row)
		}
	}
	if row["far_ends"] != "here" || row["rounds"] != 1. {
		t.Errorf("%v", row)
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("Many calls at once")) || !bytes.Contains(html, []byte("<rect")) {
		t.Errorf("the page is %d bytes, %v", len(html), err)
	}
}

func TestBenchCallsWithFarEndsInAnotherProcess(t *testing.T) {
	t.Setenv(asParley, "1")
	if row := read(t, loadRows(t, "calls", "--calls", "4", "--rounds", "1", "--seconds", "0.3", "--ends", "other")); row["far_ends"] != "other" {
		t.Errorf("%v", row)
	}
}

func TestBenchTicks(t *testing.T) {
	text, _ := invoke(t, statusDone, "bench", "ticks", "--tasks", "20", "--rounds", "1", "--seconds", "0.2")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "20 ms of ") || !strings.HasPrefix(lines[1], "tasks on the loop ") || !strings.Contains(lines[1], " drift ") {
		t.Errorf("it prints %q", text)
	}
	if rows := loadRows(t, "ticks", "--tasks", "20", "--rounds", "1", "--seconds", "0.2"); len(rows) != 1 || rows[0]["drift_ms"] == nil || rows[0]["far_ends"] != nil {
		t.Errorf("%v", rows)
	}
}
