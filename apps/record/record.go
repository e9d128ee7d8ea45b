// Package record is the application that records its callers.
package record

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/file"
)

// Handler writes what each caller says and shows to a file of its own, until they
// hang up. They hear and see nothing. Lines that come later are recorded too, as
// [file.Recorder.AddCall] tells.
//
// What is coded stays so, and the codecs that a call begins with choose the format:
// sound alone is in Ogg if it is Opus, and else in WAV, with no place for pictures that
// come later; with pictures it is WebM, MP4 for H.264, and Matroska if the sound is not
// Opus. Files can be played while they are written.
type Handler struct {
	Folder string                    // made if it is missing; "": the working folder
	Name   func(*parley.Call) string // of the file, without extension and folder; nil: the time, and random letters
	Done   func(Recording)           // told of each file when it is complete, or cannot be made; nil: nobody
}

// A Recording is what became of one call.
type Recording struct {
	File     string // with its folder; it is removed if nothing came, as of a call that never connected
	Duration time.Duration
	Err      error // why it is not whole; nil if it is
}

// ServeCall serves one call. A file that cannot be written any more, as on a full disk,
// ends it, so that nobody goes on in vain.
func (h Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	name := time.Now().UTC().Format("2006-01-02T15-04-05-") + rand.Text()[:8]
	if h.Name != nil {
		name = h.Name(c)
	}
	if name == "" || filepath.Base(name) != name || !filepath.IsLocal(name) {
		return fmt.Errorf("record: %q is no name for a file", name)
	}
	if err := os.MkdirAll(filepath.Join(h.Folder, "."), 0o755); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed, full error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ext, sound, pictures := extension(c), c.Audio() != nil, c.Video() != nil
	r := Recording{File: filepath.Join(h.Folder, name+ext)}
	out, err := file.CreateRecorder(r.File, file.RecorderConfig{Error: func(err error) {
		if _, ended := errors.AsType[*parley.EndError](err); ended {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failed = errors.Join(failed, err)
		if _, of := errors.AsType[*fs.PathError](err); of { // of the file, not of what is recorded
			full = err
			stop()
		}
	}})
	if err != nil {
		// Its beginning did not fit in. What could not be opened is not touched.
		if left, gone := os.Stat(r.File); gone == nil && left.Size() == 0 && !left.IsDir() {
			os.Remove(r.File) //nolint:errcheck // it is as empty as it was
		}
		if r.Err = err; h.Done != nil {
			h.Done(r)
		}
		return err
	}
	if _, _, err = out.AddCall(c); err == nil {
		for n, over := c.WaitLines(ctx, 0); over == nil; n, over = c.WaitLines(ctx, n) {
			out.AddCall(c) //nolint:errcheck // lines that came later; why a file fails is told anyway
		}
	}
	r.Duration = out.Duration()
	r.Err = errors.Join(err, out.Close())
	var s parley.Stats
	if c.Stats(&s); ext != ".webm" && ext != ".mkv" && (!pictures && s.Video.Frames > 0 || !sound && s.Audio.Received > 0) {
		r.Err = errors.Join(r.Err, fmt.Errorf("%s: no place for what came later: %w", r.File, errors.ErrUnsupported))
	}
	mu.Lock()
	if full == nil { // which Close returned too
		r.Err = errors.Join(r.Err, failed)
	}
	err = cmp.Or(err, full)
	mu.Unlock()
	if out.Duration() == 0 {
		r.Err = errors.Join(r.Err, os.Remove(r.File))
	}
	if h.Done != nil {
		h.Done(r)
	}
	return err
}

// extension returns that of the format for the codecs of a call.
func extension(c *parley.Call) string {
	a, v := c.Audio(), c.Video()
	opus := a != nil && strings.EqualFold(a.Codec().Name, "opus")
	switch {
	case v == nil && opus:
		return ".ogg"
	case v == nil:
		return ".wav"
	case a != nil && !opus:
		return ".mkv"
	case strings.EqualFold(v.Codec().Name, "H264"):
		return ".mp4"
	}
	return ".webm"
}
