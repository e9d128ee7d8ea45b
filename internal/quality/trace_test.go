package quality

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-media/parley/transport/netem"
)

func ms(x float64) time.Duration { return time.Duration(math.Round(x*1e3)) * time.Microsecond }

func TestReadTrace(t *testing.T) {
	got, err := ReadTrace("x", strings.NewReader("seq,arrival_ms\n7,50.25\n8,\n9,150\n11,130\n12,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Trace{Name: "x", Sent: 6, Arrivals: []Arrival{{0, ms(50.25)}, {4, ms(130)}, {2, ms(150)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadTrace("x", strings.NewReader("seq,arrival_ms\n1,x\n")); !errors.Is(err, netem.ErrTrace) || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if _, err := ReadTrace("x", strings.NewReader("seq,arrival_ms\n1,5\n2,\n")); !errors.Is(err, ErrTrace) {
		t.Error(err)
	}
	broken := errors.New("broken")
	if _, err := ReadTrace("x", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// A packet of another ptime has the fate of the packet of the trace that was
// sent at its time.
func TestOtherPTimes(t *testing.T) {
	trace, err := ReadTrace("x", strings.NewReader("seq,arrival_ms\n0,31\n1,52\n2,\n3,94\n4,150\n5,131\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ptime time.Duration
		sent  int
		want  []Arrival
	}{
		{20 * time.Millisecond, 6, []Arrival{{0, ms(31)}, {1, ms(52)}, {3, ms(94)}, {5, ms(131)}, {4, ms(150)}}},
		{10 * time.Millisecond, 12, []Arrival{{0, ms(31)}, {1, ms(41)}, {2, ms(52)}, {3, ms(62)}, {6, ms(94)}, {7, ms(104)}, {10, ms(131)}, {11, ms(141)}, {8, ms(150)}, {9, ms(160)}}},
		{30 * time.Millisecond, 4, []Arrival{{0, ms(31)}, {1, ms(62)}, {2, ms(94)}, {3, ms(160)}}},
		{60 * time.Millisecond, 2, []Arrival{{0, ms(31)}, {1, ms(94)}}},
	} {
		sent, got := trace.arrivals(c.ptime)
		if sent != c.sent || !slices.Equal(got, c.want) {
			t.Errorf("%v: %d packets, %v, want %d, %v", c.ptime, sent, got, c.sent, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	trace := Generate(1)[0]
	if got := trace.limit(Length); got != trace {
		t.Error("a trace was limited to its own length")
	}
	got := trace.limit(time.Second)
	if got.Sent != 50 || len(got.Arrivals) != 50 || len(trace.Arrivals) != 3000 {
		t.Errorf("%d packets sent, %d arrive", got.Sent, len(got.Arrivals))
	}
}
