package bench

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func TestParseReply(t *testing.T) {
	ns, sum, err := parseReply("9354.120 01b2c3d4")
	if ns != 9354.12 || sum != 0x01B2C3D4 || err != nil {
		t.Error(ns, sum, err)
	}
	for _, line := range []string{"", "12", "fast 01b2c3d4", "12 wrong", "0.000 01b2c3d4", "-1 01b2c3d4", "nan 01b2c3d4", "12 101b2c3d4"} {
		if _, _, err := parseReply(line); err == nil {
			t.Errorf("%q was taken", line)
		} else if !strings.HasPrefix(err.Error(), "bench: ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	if err := unpack(dir); err != nil {
		t.Fatal(err)
	}
	all, err := tasks()
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range all {
		for _, r := range task.references {
			if _, err := fs.Stat(os.DirFS(dir), r.yard.source); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
		}
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := cTables.compile(t.Context(), t.TempDir())
	if m, ok := errors.AsType[missing](err); !ok || !strings.Contains(string(m), "gcc") {
		t.Error(err)
	}
}
