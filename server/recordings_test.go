package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/server"
)

// Calls that are being recorded when the server shuts down leave whole files.
func TestShutdownWhileRecording(t *testing.T) {
	const n = 20
	s, j := start(t, &server.Config{})
	folder := t.TempDir()
	var count atomic.Int64
	name := func(i int64) string { return filepath.Join(folder, fmt.Sprintf("%d.ogg", i)) }
	s.Handle("/record", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
		r, err := file.CreateRecorder(name(count.Add(1)), file.RecorderConfig{Error: func(err error) {
			if _, ended := errors.AsType[*parley.EndError](err); !ended { // as the source says
				t.Error(err)
			}
		}})
		if err != nil {
			return err
		}
		_, _, err = r.AddCall(c)
		<-ctx.Done()
		return errors.Join(err, r.Close())
	}))
	callers := make([]*caller, n)
	for i := range callers {
		callers[i] = dial(t, s, "/record")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for seq := range uint16(25) {
		for _, c := range callers {
			c.sayAt(seq, 1)
		}
		<-tick.C
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	t.Logf("%d calls ended in %v", n, took)
	if took > 10*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	if ends := j.take(); len(ends) != 1 || ends[string(parley.Canceled)] != n {
		t.Errorf("ends %v, want %d of %s", ends, n, parley.Canceled)
	}
	for i := range int64(n) {
		b, err := os.ReadFile(name(i + 1))
		if err != nil {
			t.Error(err)
			continue
		}
		// The last page says that it is the last one (RFC 3533, section 6).
		if last := bytes.LastIndex(b, []byte("OggS")); last < 0 || b[last+5]&4 == 0 {
			t.Errorf("recording %d has no end", i)
		}
		if length := lengthOf(t, name(i+1)); length < 100*time.Millisecond {
			t.Errorf("recording %d is %v long", i, length)
		}
	}
}

// lengthOf reads a file to its end.
func lengthOf(t *testing.T, name string) (length time.Duration) {
	t.Helper()
	f, err := file.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var p file.Packet
	for {
		if err := f.ReadPacket(&p); err == io.EOF {
			return length
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		length = p.Time + p.Duration
	}
}
