package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/peer"
	"github.com/parley-media/parley/server"
)

// recordings give each call a file that nobody has yet.
type recordings struct {
	base, ext string // what stands before and after the number

	mu sync.Mutex
	n  int // of the last one
}

// newRecordings returns those for --record-to: a file, or a folder that exists or
// ends with a slash.
func newRecordings(to string) (*recordings, error) {
	info, err := os.Stat(to)
	if err == nil && info.IsDir() || os.IsPathSeparator(to[len(to)-1]) {
		if err := os.MkdirAll(to, 0o777); err != nil {
			return nil, err
		}
		to = filepath.Join(to, "call.mkv")
	}
	ext := filepath.Ext(to)
	if ext == "" {
		return nil, useError{fmt.Errorf("--record-to %s: a file needs the extension of its format, as in call.mkv, and a folder a slash", to)}
	}
	return &recordings{base: strings.TrimSuffix(to, ext), ext: ext}, tried(to)
}

// recordable returns what calls may send for a file of that extension: nothing is coded
// again, and a browser that has another codec of pictures too goes over to it.
func recordable(ext string) []codec.Params {
	return slices.DeleteFunc(peer.DefaultCodecs(), func(p codec.Params) bool {
		switch ext {
		case ".mp4", ".h264", ".264":
			return p.Name == "VP8" || p.Name == "VP9"
		case ".webm", ".ivf":
			return p.Name == "H264"
		}
		return false
	})
}

// tried returns why no call could be recorded beside that file, before one needs it.
func tried(to string) error {
	folder, err := os.MkdirTemp(filepath.Dir(to), ".parley")
	if err != nil {
		return fmt.Errorf("--record-to: %w", err)
	}
	defer os.RemoveAll(folder)
	rec, err := file.CreateRecorder(filepath.Join(folder, filepath.Base(to)), file.RecorderConfig{})
	if errors.Is(err, errors.ErrUnsupported) {
		return useError{fmt.Errorf("--record-to %s: there is no format for files named %s", to, filepath.Ext(to))}
	}
	if err != nil {
		return fmt.Errorf("--record-to: %w", err)
	}
	rec.Close() // an error, since nothing was recorded
	return nil
}

// create makes the next file: "call.mkv", then "call-2.mkv" and so on. What is
// there is not touched. The recorder tells failed what goes wrong.
func (r *recordings) create(failed func(error)) (rec *file.Recorder, name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		r.n++
		name = r.base + r.ext
		if r.n > 1 {
			name = fmt.Sprintf("%s-%d%s", r.base, r.n, r.ext)
		}
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			rec, err = file.CreateRecorder(name, file.RecorderConfig{Error: failed})
			return rec, name, err
		} else if err != nil {
			return nil, name, err
		}
	}
}

// recorded is the application that records what callers send. A file that cannot be
// written any more ends its call.
type recorded struct {
	to  *recordings
	out *output
}

func (h recorded) ServeCall(ctx context.Context, c *parley.Call) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rec, name, err := h.to.create(func(err error) {
		if _, full := errors.AsType[*fs.PathError](err); full {
			stop()
		}
	})
	if err != nil {
		return err
	}
	if _, _, err = rec.AddCall(c); err == nil {
		for n, over := c.WaitLines(ctx, 0); over == nil; n, over = c.WaitLines(ctx, n) {
			rec.AddCall(c) //nolint:errcheck // lines that came later; why a file fails is told anyway
		}
	}
	err = errors.Join(err, rec.Close())
	if rec.Duration() == 0 { // the call never connected, or was silent and dark
		return errors.Join(err, os.Remove(name))
	}
	notWhole(h.out, err)
	h.out.emit(event{Event: "recorded", Call: server.CallID(ctx), File: name}, "recorded "+name)
	return err
}

// notWhole warns of a recording that has not all that it should; err is nil if it has.
func notWhole(out *output, err error) {
	if err != nil {
		out.warn(fmt.Sprintf("%v. The recording is not whole.", err))
	}
}
