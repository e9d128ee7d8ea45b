package netem

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseTrace(t *testing.T) {
	want := []Arrival{{Delay: 33 * ms}, {Delay: 31 * ms}, {Lost: true}, {Lost: true}, {Delay: 20500 * ms / 1000}}
	for _, header := range []string{"", "seq,arrival_ms\n", "seq,arrival_ms\r\n"} {
		got, err := ParseTrace(strings.NewReader(header+"5,33\n6,51\n7,\n\n9,100.5\n"), 0)
		if err != nil || !slices.Equal(got.Arrivals, want) {
			t.Errorf("%q: %v, %v", header, got, err)
		}
	}
	got, err := ParseTrace(strings.NewReader("0,5\n1,15"), 0)
	if err != nil || !slices.Equal(got.Arrivals, []Arrival{{Delay: 10 * ms}, {}}) {
		t.Errorf("another origin: %v, %v", got, err)
	}
	for _, bad := range []string{"", "seq,arrival_ms", "a,1", "-1,1", "1", "1,x", "1,NaN", "1,-1", "1,1e10", "2,1\n1,1", "1,1\n1,1", "0,1\n2000000,1", "0," + strings.Repeat("1", 300), "0,4000000"} {
		if _, err := ParseTrace(strings.NewReader(bad), 0); !errors.Is(err, ErrTrace) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add("seq,arrival_ms\n0,33.01\n1,51.92\n2,\n3,103.2\n")
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := ParseTrace(strings.NewReader(text), 0)
		if err != nil {
			return
		}
		if _, err := New(Config{Trace: trace}); err != nil {
			t.Fatalf("a trace that was read is refused: %v", err)
		}
	})
}
