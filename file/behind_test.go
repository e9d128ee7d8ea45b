package file

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// While the disk stands still, as a pipe does that nobody reads, writes return; what is
// too much waits, and nothing is missing in the end.
func TestBehindADiskThatStandsStill(t *testing.T) {
	defer goleak.VerifyNone(t)
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := newBehind(out, func(err error) { t.Error(err) })
	var want []byte
	part := make([]byte, 1<<20)
	write := func(n int) {
		for i := range part {
			part[i] = byte(n + i>>12)
		}
		want = append(want, part...)
		if got, err := w.Write(part); got != len(part) || err != nil {
			t.Errorf("%d written, %v", got, err)
		}
	}
	for n := range mostBehind / len(part) {
		write(n)
	}
	if w.late.Load() {
		t.Error("a write waited")
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		write(100)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	for !w.late.Load() { // what is more than may wait does wait
		runtime.Gosched()
	}
	got, err := io.ReadAll(in)
	<-written
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	in.Close()
}

// Writes at positions are in the order in which they were made.
func TestBehindWritesAtPositions(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	w := newBehind(f, func(err error) { t.Error(err) })
	io.WriteString(w, "abcdef")
	w.WriteAt([]byte("XY"), 1)
	io.WriteString(w, "ghi")
	w.Seek(2, io.SeekStart)
	io.WriteString(w, "Z")
	w.Seek(4, io.SeekCurrent)
	io.WriteString(w, "!")
	if err := errors.Join(w.wait(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.Name()); string(got) != "aXZdefg!i" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// An error is told, and returned from then on.
func TestBehindFails(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error)
	w := newBehind(f, func(err error) { told <- err })
	f.Close()
	io.WriteString(w, "abc")
	if err := <-told; !errors.Is(err, os.ErrClosed) {
		t.Errorf("told of %v", err)
	}
	if _, err := io.WriteString(w, "def"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("written again: %v", err)
	}
	if err := errors.Join(w.wait(), w.Close()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestBehindDoesNotAllocate(t *testing.T) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := newBehind(f, func(err error) { t.Error(err) })
	defer w.Close()
	b := make([]byte, 1000)
	if allocs := testing.AllocsPerRun(1000, func() {
		w.Write(b)
		w.wait()
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
