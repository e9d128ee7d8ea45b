//go:build interop

package bench

import (
	"errors"
	"strings"
	"testing"
)

// Every yardstick is there and makes what we make. Ratios are for people to
// judge, on a quiet machine.
func TestCodecs(t *testing.T) {
	emptied(t)
	t.Log(Header())
	rows := 0
	err := Codecs(t.Context(), Options{Rounds: 2}, func(r Row) {
		rows++
		t.Log(r)
		if r.Missing != "" {
			t.Errorf("%s, %s: missing: %s", r.Codec, r.Reference, r.Missing)
		} else if r.Theirs.Min <= 0 || r.Ratio.Min <= 0 || r.Ours.Min <= 0 {
			t.Errorf("%s, %s: no time has passed", r.Codec, r.Reference)
		}
		if r.Differs {
			t.Errorf("%s, %s: the outputs differ", r.Codec, r.Reference)
		}
		if r.Allocs != 0 {
			t.Errorf("%s: %d allocations a frame", r.Codec, r.Allocs)
		}
	})
	if err != nil || rows == 0 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestMissingLibrary(t *testing.T) {
	dir := t.TempDir()
	if err := unpack(dir); err != nil {
		t.Fatal(err)
	}
	y := yardstick{source: "spandsp.c", libraries: []library{{"libnowhere.so.1", "libnowhere1"}}}
	_, err := y.compile(t.Context(), dir)
	if m, ok := errors.AsType[missing](err); !ok || m != "libnowhere.so.1 (Debian package libnowhere1)" {
		t.Error(err)
	}
}

// A yardstick that gives up is a row that says why.
func TestBrokenYardstick(t *testing.T) {
	b := &workbench{dir: t.TempDir(), options: Options{Rounds: 1, Progress: func(string, int, int) {}}, built: make(map[*yardstick]build)}
	if err := unpack(b.dir); err != nil {
		t.Fatal(err)
	}
	task := g711Tasks()[0]
	task.references[0].args = []string{"nonsense"}
	rows, err := b.measure(t.Context(), &task)
	if err != nil || len(rows) != 1 || !strings.Contains(rows[0].Missing, "unknown argument") {
		t.Errorf("%+v, %v", rows, err)
	}
}
