package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// asFarEnds as the first argument makes this test binary be the process of the far ends.
const asFarEnds = "far-ends"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asFarEnds {
		if err := FarEnds(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func inHurry(n int) CallOptions {
	return CallOptions{Options: Options{Rounds: 1}, Calls: []int{n}, Length: 300 * time.Millisecond, hurry: true}
}

// sane looks at a row for which nothing was missing.
func sane(t *testing.T, r *LoadRow) {
	t.Helper()
	t.Log(r)
	if r.Ours.Min <= 0 || r.Theirs.Min <= 0 || r.Ratio.Min <= 0 || r.CPU <= 0 || r.Rounds != 1 {
		t.Errorf("no time has passed: %+v", r)
	}
	if r.Sent <= 0 || r.Sent > 200 || r.Lost < 0 || r.Allocs < 0 {
		t.Errorf("sent %.1f %%, lost %d, %.2f allocations", r.Sent, r.Lost, r.Allocs)
	}
	for _, l := range []*Lateness{r.Late, r.ReferenceLate} {
		if l != nil && (l.P50 < 0 || l.P99 < l.P50 || l.P999 < l.P99) { // nil: the machine stalled
			t.Errorf("lateness %+v", l)
		}
	}
}

func TestCallsWithFarEndsInAnotherProcess(t *testing.T) {
	emptied(t)
	o := inHurry(4)
	o.Other = []string{os.Args[0], asFarEnds}
	var rows []LoadRow
	if err := Calls(t.Context(), o, func(r LoadRow) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || !slices.ContainsFunc(rows, func(r LoadRow) bool { return r.Late != nil || r.ReferenceLate != nil }) {
		t.Fatalf("%+v", rows)
	}
	for _, r := range rows {
		if r.Missing != "" {
			t.Log(r.Missing)
			continue
		}
		sane(t, &r)
		if r.FarEnds != "other" || r.AtOnce != 4 {
			t.Errorf("%+v", r)
		}
	}
}

func TestCallsWithoutCompiler(t *testing.T) {
	emptied(t)
	t.Setenv("PATH", t.TempDir())
	o := inHurry(4)
	o.Calls = []int{4, 6}
	o.Aiortp = true
	byName := make(map[string]LoadRow)
	var sizes []int
	if err := Calls(t.Context(), o, func(r LoadRow) {
		byName[r.Work+" / "+r.Reference] = r
		sizes = append(sizes, r.AtOnce)
	}); err != nil {
		t.Fatal(err)
	}
	if len(byName) != 6 || !slices.Equal(slices.Compact(sizes), []int{4, 6}) {
		t.Errorf("%d kinds of rows, of %v calls", len(byName), sizes)
	}
	read := byName["calls, blocking reads / Go sockets, a goroutine each"]
	sane(t, &read)
	if read.Goroutines < 1 || read.FarEnds != "here" {
		t.Errorf("%+v", read)
	}
	for name, want := range map[string]string{"Go sockets at the tick / C epoll": "gcc", "calls, blocking reads / aiortp": "aiortp"} {
		if r := byName[name]; !strings.Contains(r.Missing, want) || r.Theirs != nil || r.Ratio != nil || r.Met() || r.Ours == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestCallsEnds(t *testing.T) {
	emptied(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := inHurry(4)
	o.Rounds = 1000
	o.Progress = func(string, int, int) { cancel() }
	if err := Calls(ctx, o, func(r LoadRow) { t.Error(r) }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCallsRefused(t *testing.T) {
	for _, n := range []int{0, 2, 5, MaxCalls + 2} {
		if err := Calls(t.Context(), inHurry(n), func(r LoadRow) { t.Error(r) }); err == nil || !strings.Contains(err.Error(), "calls: not an even number") {
			t.Errorf("%d: %v", n, err)
		}
	}
	if err := files(math.MaxInt32, 0); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Error(err)
	}
}

// header returns the header of a packet, as far as a watch looks at it.
func header(ssrc uint32, seq uint16, timestamp uint32) []byte {
	b := []byte{0x80, 0, byte(seq >> 8), byte(seq), 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

func TestWatch(t *testing.T) {
	const ms = time.Millisecond
	w := newWatch(3, time.Second)
	at := func(d time.Duration, ssrc uint32, n int) {
		w.packet(5*time.Hour+d, header(ssrc, uint16(65534+n), uint32(160*n)-160))
	}
	at(-20*ms, 1, -1)
	w.measuring.Store(true)
	// One that leaves on time, late by 3 ms, and after one is lost by 7 ms too early,
	// which is what counts as on time.
	at(0, 1, 0)
	at(23*ms, 1, 1)
	at(53*ms, 1, 3)
	at(500*ms, 2, 0)
	w.packet(0, header(0, 1, 1))
	w.packet(0, header(4, 1, 1))
	w.packet(0, []byte{0x80, 0, 1})
	report := header(1, 9, 9)
	report[1] = 200
	w.packet(0, report)
	w.measuring.Store(false)
	at(99*ms, 2, 1)
	r := w.result()
	// Late by 7, 10, 0 and 0 ms.
	if want := (Lateness{0, 7, 7}); r.Lost != 1 || r.Silent != 1 || *r.Late != want {
		t.Errorf("%+v, %+v", r, r.Late)
	}
	if n := w.received(); n != 6 {
		t.Errorf("%d packets", n)
	}
}

func TestReceptionWraps(t *testing.T) {
	r := reception{ssrc: 1}
	if r.lost() != 0 {
		t.Error("lost before the first packet")
	}
	for _, seq := range []uint16{65533, 65535, 65534, 1, 3} {
		r.packet(header(1, seq, 0))
		r.packet(header(2, seq+100, 0))
	}
	if r.lost() != 2 || r.count.Load() != 5 {
		t.Errorf("%d lost of %d", r.lost(), r.count.Load())
	}
}

func TestParseCalls(t *testing.T) {
	r, err := parseCalls("4056.5 390 2 0.100 1.250 3.000\n", 4, 2*time.Second)
	if err != nil || r.ns != 4056.5 || r.lost != 2 || r.sent != 0.975 || *r.late != (Lateness{0.1, 1.25, 3}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, line := range []string{"", "4056.5 390 2 0.1 1.2", "0.0 0 0 0 0 0", "nan 1 1 1 1 1", "fast"} {
		if _, err := parseCalls(line, 4, time.Second); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

func TestFarEndsOrders(t *testing.T) {
	for _, orders := range []string{`{"Ends":0}`, `{"Calls":[1]}`, `{"Measure":true}`, `{"Ends":1000000}`, `{"Ends":4}{"Calls":[1,2]}`, "hello"} {
		if err := FarEnds(strings.NewReader(orders), io.Discard); err == nil {
			t.Errorf("%s was taken", orders)
		}
	}
	if err := FarEnds(strings.NewReader(`{"Ends":4,"Measured":1000000}`), io.Discard); err != nil {
		t.Error(err)
	}
}
