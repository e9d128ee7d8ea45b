package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchPeers(t *testing.T) {
	t.Setenv(asParley, "1") // for the programs that it starts
	page := filepath.Join(t.TempDir(), "page.html")
	text, _ := invoke(t, statusDone, "--json", "bench", "peers", "--calls", "2", "--rounds", "1", "--seconds", "0.2", "--html", page, "--python", "/nowhere/python3")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 6 {
		t.Errorf("it prints %q", text)
	}
	for _, line := range lines {
		var row struct {
			Event, Work, Unit, Reference string
			Calls, Rounds                int
			Ours                         *struct{ Median float64 }
			Missing                      string
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Event != "bench" || row.Work == "" || row.Unit == "" || row.Reference == "" ||
			row.Calls != 2 || row.Rounds != 1 || (row.Reference == "aiortc, echo") != (row.Missing != "") ||
			row.Ours != nil && row.Ours.Median <= 0 {
			t.Errorf("%s, %v", line, err)
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("<svg")) || !bytes.Contains(html, []byte("2 calls at a time, 1 rounds")) {
		t.Errorf("the page is %d bytes, %v", len(html), err)
	}
}

func TestBenchPeersWrongUse(t *testing.T) {
	for _, c := range []struct {
		args    []string
		status  int
		message string
	}{
		{[]string{"--calls", "1"}, statusUse, "--calls 1 is not between 2 and 200"},
		{[]string{"--calls", "201"}, statusUse, "--calls 201"},
		{[]string{"--rounds", "0"}, statusUse, "--rounds 0"},
		{[]string{"--rounds", "1001"}, statusUse, "--rounds 1001"},
		{[]string{"--seconds", "0"}, statusUse, "--seconds 0"},
		{[]string{"--seconds", "NaN"}, statusUse, "--seconds NaN"},
		{[]string{"--seconds", "61"}, statusUse, "--seconds 61"},
		{[]string{"--html", t.TempDir()}, statusFailed, "is a directory"},
	} {
		_, message := invoke(t, c.status, append([]string{"bench", "peers"}, c.args...)...)
		if !strings.HasPrefix(message, "parley: ") || !strings.Contains(message, c.message) {
			t.Errorf("%q: it says %q, want %q in it", c.args, message, c.message)
		}
	}
	if help, _ := invoke(t, statusDone, "bench", "--help"); strings.Contains(help, "peers-part") {
		t.Error("a program of the bench is told to people")
	}
}
