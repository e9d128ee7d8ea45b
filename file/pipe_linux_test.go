package file

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe is refused before it is opened, which would wait until somebody writes, and
// before anything is taken out of it.
func TestOpenRefusesPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "film.webm")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	// Both ends are open and there is enough to read, so that nothing waits here.
	pipe, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.Write(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), name); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open: %v", err)
	}
	if _, err := OpenPlayable(t.Context(), name); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("OpenPlayable: %v", err)
	}
	if _, err := OpenPlayer(t.Context(), name, PlayerConfig{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("OpenPlayer: %v", err)
	}
}
