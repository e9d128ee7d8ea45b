package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
)

func TestRing(t *testing.T) {
	r := ring[int]{data: []int{1, 2, 3, 4, 5, 6, 7}}
	var got []int
	for range 5 {
		got = append(got, r.next(3)...)
	}
	if want := []int{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTasksDoNotAllocate(t *testing.T) {
	all, err := tasks()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range all {
		if task.missing != "" {
			t.Logf("%s: missing: %s", task.name, task.missing)
			continue
		}
		for range warmUp {
			task.frame()
		}
		if n := testing.AllocsPerRun(200, task.frame); n != 0 {
			t.Errorf("%s: %v allocations a frame", task.name, n)
		}
		if len(task.output()) == 0 {
			t.Errorf("%s: no output", task.name)
		}
	}
}

// emptied lets the test use a folder for temporary files that must be empty in
// the end.
func emptied(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// Without a C compiler there are still numbers of our own.
func TestCodecsWithoutYardsticks(t *testing.T) {
	emptied(t)
	t.Setenv("PATH", t.TempDir())
	var rows []Row
	progress := 0
	err := Codecs(t.Context(), Options{Rounds: 1, Progress: func(string, int, int) { progress++ }}, func(r Row) { rows = append(rows, r) })
	if err != nil {
		t.Fatal(err)
	}
	all, err := tasks()
	if err != nil {
		t.Fatal(err)
	}
	want, reports := 0, 0
	for _, task := range all {
		if task.missing == "" {
			reports += 2
		}
		for _, ref := range task.references {
			if want++; want > len(rows) {
				break
			}
			r := rows[want-1]
			if r.Codec != task.name || r.Reference != ref.name || r.Missing == "" || r.Theirs != nil || r.Ratio != nil || r.Met() {
				t.Errorf("%+v", r)
			}
			if task.missing == "" && (r.Ours.Median <= 0 || r.Rounds != 1) {
				t.Errorf("%+v", r)
			}
		}
	}
	if len(rows) != want || progress != reports {
		t.Errorf("%d rows and %d reports of progress, want %d and %d", len(rows), progress, want, reports)
	}
}

func TestCodecsCanceled(t *testing.T) {
	emptied(t)
	t.Setenv("PATH", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	rows := 0
	err := Codecs(ctx, Options{}, func(Row) {
		rows++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || rows != 1 {
		t.Errorf("%v after %d rows", err, rows)
	}
}
