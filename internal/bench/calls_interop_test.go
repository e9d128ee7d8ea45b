//go:build interop && linux

package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The yardstick is there and does its work. Ratios are for people to judge, on a quiet
// machine.
func TestCalls(t *testing.T) {
	emptied(t)
	t.Log(LoadHeader())
	rows := 0
	err := Calls(t.Context(), inHurry(4), func(r LoadRow) {
		rows++
		if strings.Contains(r.Missing, "gcc") || r.Theirs == nil && r.Reference == "C epoll" {
			t.Fatalf("missing: %s (Debian packages gcc and libc6-dev)", r.Missing)
		}
		if r.Missing == "" {
			sane(t, &r)
		}
	})
	if err != nil || rows != 4 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// What a python3 prints is what is taken for calls of aiortp.
func TestCallsOfAiortp(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	const python = "#!/bin/sh\n[ \"$1\" = -c ] || echo 52000.0 60 1 0.5 1.5 2.5\n" // 15 packets of each of 4 calls
	if err := os.WriteFile(filepath.Join(dir, "python3"), []byte(python), 0o777); err != nil {
		t.Fatal(err)
	}
	b := &callBench{bench: &workbench{dir: dir}, options: inHurry(4), calls: 4}
	if r, err := inAiortp(t.Context(), b); err != nil || r.ns != 52000 || r.sent != 1 || r.lost != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
