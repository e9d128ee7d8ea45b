package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// invoke runs a command that ends by itself.
func invoke(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if got := run(args, &out, &err); got != status {
		t.Fatalf("%q: exit status %d, want %d\n%s", args, got, status, &err)
	}
	return out.String(), err.String()
}

// tinyTrace writes ten packets of which the third is lost.
func tinyTrace(t *testing.T) string {
	t.Helper()
	const text = "seq,arrival_ms\n0,30\n1,50\n2,\n3,90\n4,110\n5,130\n6,150\n7,170\n8,190\n9,210\n"
	name := filepath.Join(t.TempDir(), "tiny.csv")
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBenchQuality(t *testing.T) {
	dir := t.TempDir()
	heard, page := filepath.Join(dir, "heard.wav"), filepath.Join(dir, "page.html")
	args := []string{"bench", "quality", "--trace", tinyTrace(t), "--playout", "fixed", "--min-delay", "60ms", "--out", heard, "--html", page}
	text, _ := invoke(t, statusDone, args...)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "trace ") || !strings.HasPrefix(lines[1], "tiny  ") {
		t.Errorf("it prints %q", text)
	}
	if s := readSound(t, heard); s.format != mono8k || s.duration() != 140*time.Millisecond {
		t.Errorf("%v of %v were heard", s.duration(), s.format)
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("<svg")) || !bytes.Contains(html, []byte("PCMU/8000 in packets of 20ms, fixed playout")) {
		t.Errorf("the page is %d bytes, %v", len(html), err)
	}

	text, _ = invoke(t, statusDone, append([]string{"--json"}, args...)...)
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	want := []string{
		"clicks_pct", "compressed_pct", "concealed_pct", "delay_max_ms", "delay_mean_ms", "delay_p95_ms", "delay_p99_ms", "event", "events",
		"gaps", "late_pct", "longest_run_ms", "lost_pct", "lsd_db", "packets", "runs_over_150ms", "runs_over_60ms", "segsnr_db", "stretched_pct", "trace",
	}
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		t.Errorf("fields %q, want %q", got, want)
	}
	if fields["event"] != "quality" || fields["trace"] != "tiny" || fields["packets"] != 10. || fields["delay_mean_ms"] != 60. || fields["events"] != 1. {
		t.Error(text)
	}
}

// Our own traces, by name and all of them, are the same in every run.
func TestBenchQualityOfOwnTraces(t *testing.T) {
	all, _ := invoke(t, statusDone, "bench", "quality", "--duration", "5s")
	if n := strings.Count(all, "\n"); n < 11 {
		t.Errorf("%d lines", n)
	}
	if again, _ := invoke(t, statusDone, "bench", "quality", "--duration", "5s"); again != all {
		t.Errorf("%s\nand then\n%s", all, again)
	}
	if other, _ := invoke(t, statusDone, "bench", "quality", "--duration", "5s", "--seed", "2"); other == all {
		t.Error("another seed makes the same traces")
	}
	two, _ := invoke(t, statusDone, "bench", "quality", "--duration", "5s", "--trace", "wifi", "--trace", "lan")
	lines := strings.Split(strings.TrimSpace(two), "\n")
	if len(lines) != 3 || !strings.Contains(all, lines[1]) || !strings.Contains(all, lines[2]) || !strings.HasPrefix(lines[1], "wifi") {
		t.Errorf("%s\nis not in\n%s", two, all)
	}
	for _, codec := range []string{"pcma", "g722", "l16", "l16/48000"} {
		if text, _ := invoke(t, statusDone, "bench", "quality", "--duration", "2s", "--trace", "lan", "--codec", codec, "--ptime", "10ms"); strings.Count(text, "\n") != 2 {
			t.Errorf("%s: %q", codec, text)
		}
	}
	in := toneWAV(t, audio.Format{Rate: 44100, Channels: 2}, 700*time.Millisecond)
	invoke(t, statusDone, "bench", "quality", "--duration", "2s", "--trace", "lan", "--in", in)
}

func TestBenchQualityCost(t *testing.T) {
	text, _ := invoke(t, statusDone, "--json", "bench", "quality", "--cost", "--duration", "5s", "--trace", "lan")
	var costs []string
	for line := range strings.Lines(text) {
		var c struct {
			Event, Frame string
			Frames       int
			Median       float64 `json:"median_ns"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Event != "cost" || c.Frame == "ordinary" && (c.Frames < 100 || c.Median <= 0) {
			t.Error(line)
		}
		costs = append(costs, c.Frame)
	}
	if want := []string{"ordinary", "stretched", "concealed"}; !slices.Equal(costs, want) {
		t.Errorf("costs of %q, want %q", costs, want)
	}
}

func TestBenchConceal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "listen")
	text, _ := invoke(t, statusDone, "bench", "conceal", "--duration", "3s", "--out-dir", dir)
	if n := strings.Count(text, "\n"); n != 17 {
		t.Errorf("it prints %d lines\n%s", n, text)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 17 {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, name := range []string{"sent.wav", "random-5-silence.wav", "bursty-10-two-sided.wav"} {
		if s := readSound(t, filepath.Join(dir, name)); s.duration() != 3*time.Second {
			t.Errorf("%s lasts %v", name, s.duration())
		}
	}
	text, _ = invoke(t, statusDone, "--json", "bench", "conceal", "--duration", "1s", "--seed", "4")
	if n := strings.Count(text, `{"event":"concealment","channel":`); n != 16 {
		t.Errorf("it prints %d events\n%s", n, text)
	}
}

func TestBenchWrongUse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const lan = "--trace=lan"
	for _, c := range []struct {
		args    []string
		status  int
		message string
	}{
		{[]string{"quality", "--trace", "home"}, statusUse, "--trace home is none of our own, lan, wifi,"},
		{[]string{"quality", "--trace", filepath.Join(dir, "no.csv")}, statusFailed, "no.csv"},
		{[]string{"quality", "--trace", dir + "/."}, statusFailed, dir},
		{[]string{"quality", "--trace", write("text.csv", "hello\n")}, statusFailed, "text.csv: "},
		{[]string{"quality", "--trace", write("empty.csv", "")}, statusFailed, "empty.csv: "},
		{[]string{"quality", "--trace", write("time.csv", "seq,arrival_ms\n0,30\n1,soon\n")}, statusFailed, `time.csv: netem: bad trace: line 3: "soon"`},
		{[]string{"quality", "--trace", write("lost.csv", "seq,arrival_ms\n0,30\n1,\n")}, statusFailed, "1 of 2 packets arrive"},
		{[]string{"quality", "--trace", write("short.csv", "seq,arrival_ms\n0,30\n9,210\n")}, statusFailed, "nothing is heard"},
		{[]string{"quality", lan, "--in", filepath.Join(dir, "no.wav")}, statusFailed, "no.wav"},
		{[]string{"quality", lan, "--in", write("text.wav", "this is no audio at all")}, statusFailed, "text.wav"},
		{[]string{"quality", lan, "--in", toneWAV(t, mono8k, 0)}, statusFailed, "nothing to send"},
		{[]string{"quality", lan, "--codec", "mp3"}, statusUse, "l16, pcma, pcmu"},
		{[]string{"quality", lan, "--codec", "l16/8000/2"}, statusUse, "mono"},
		{[]string{"quality", lan, "--ptime", "0s"}, statusUse, "--ptime 0s"},
		{[]string{"quality", lan, "--ptime", "1s"}, statusUse, "--ptime 1s"},
		{[]string{"quality", lan, "--duration=-1s"}, statusUse, "--duration -1s"},
		{[]string{"quality", lan, "--duration", "1ms"}, statusUse, "--duration 1ms"},
		{[]string{"quality", lan, "--min-delay=-1ms"}, statusUse, "--min-delay -1ms"},
		{[]string{"quality", lan, "--max-delay", "11s"}, statusUse, "--max-delay 11s"},
		{[]string{"quality", lan, "--playout", "in-order"}, statusUse, "--playout"},
		{[]string{"quality", lan, "--seed", "-1"}, statusUse, "--seed"},
		{[]string{"quality", "--out", filepath.Join(dir, "x.wav")}, statusUse, "--out needs one --trace"},
		{[]string{"quality", lan, "--cost", "--html", filepath.Join(dir, "x.html")}, statusUse, "--cost"},
		{[]string{"quality", lan, "--duration", "1s", "--out", dir}, statusFailed, dir},
		{[]string{"quality", lan, "--duration", "1s", "--html", dir}, statusFailed, dir},
		{[]string{"calls", "--calls", "2"}, statusUse, "--calls 2"},
		{[]string{"calls", "--calls", "1000,1001"}, statusUse, "--calls 1001"},
		{[]string{"calls", "--calls", "20002"}, statusUse, "--calls 20002"},
		{[]string{"calls", "--calls", "many"}, statusUse, "--calls"},
		{[]string{"calls", "--rounds", "0"}, statusUse, "--rounds 0"},
		{[]string{"calls", "--seconds", "0"}, statusUse, "--seconds 0"},
		{[]string{"calls", "--seconds", "NaN"}, statusUse, "--seconds NaN"},
		{[]string{"calls", "--ends", "nowhere"}, statusUse, "--ends"},
		{[]string{"calls", "--peer", "nobody"}, statusUse, "--peer"},
		{[]string{"calls", "--ends", "other", "--peer", "aiortp"}, statusUse, "--peer aiortp"},
		{[]string{"ticks", "--tasks", "0"}, statusUse, "--tasks 0"},
		{[]string{"ticks", "--tasks", "100001"}, statusUse, "--tasks 100001"},
		{[]string{"ticks", "--seconds", "61"}, statusUse, "--seconds 61"},
		{[]string{"ticks", "--tasks", "4", "--rounds", "1", "--seconds", "0.1", "--html", dir}, statusFailed, dir},
		{[]string{"video", "--rounds", "0"}, statusUse, "--rounds 0"},
		{[]string{"video", "--rounds", "1001"}, statusUse, "--rounds 1001"},
		{[]string{"conceal", "--duration", "0s"}, statusUse, "--duration 0s"},
		{[]string{"conceal", "--duration", "2h"}, statusUse, "--duration 2h"},
		{[]string{"conceal", "--duration", "1s", "--out-dir", write("file", "x")}, statusFailed, "file"},
	} {
		_, message := invoke(t, c.status, append([]string{"bench"}, c.args...)...)
		first, rest, _ := strings.Cut(message, "\n")
		if !strings.HasPrefix(first, "parley: ") || !strings.Contains(first, c.message) || rest != "" && rest != "Run \"parley --help\" for usage.\n" {
			t.Errorf("%q: it says %q, want %q in it", c.args, message, c.message)
		}
	}
}
