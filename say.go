package parley

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// ErrFlushed is returned by [Audio.Say] after a [Audio.Flush] by somebody else.
var ErrFlushed = errors.New("parley: what was said has been flushed")

// Say writes what r has until its end, as an answer, an announcement or music, with
// [Audio.WriteFrame], and returns when it has been said, whatever others write behind
// it; the far end has heard it a little later, see [Audio.Drain]. When ctx is cancelled,
// the far end hears no more of it, but for a fade of 8 ms and what the network and the
// far end hold: what is queued is dropped, also while r takes its time, and so is
// whatever r gives after that. A [Audio.Flush] by somebody else ends it in the same way.
// Say does not return before r does, so an r that may take long should end with ctx too.
//
// It returns what has become of it so far, and of what others wrote meanwhile: after
// an interruption Sent is what was said. The error is that of ctx, [ErrFlushed], that of
// r unless it is [io.EOF], or that of WriteFrame.
func (a *Audio) Say(ctx context.Context, r audio.Reader) (stream.Played, error) {
	if err := ctx.Err(); err != nil {
		return stream.Played{}, err
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.call.watch(within)()
	s := a.startSaying(ctx, cancel)
	defer a.stopSaying(s) // also after a panic of r
	hushed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(hushed)
		a.hush(s)
	})
	defer stop()
	err := a.say(within, r, s)
	switch {
	case !stop():
		<-hushed // or it would be what is said next that is flushed
	case err != nil && ctx.Err() != nil:
		a.hush(s)
	}
	played, flushed := a.stopSaying(s)
	switch interrupted := err == context.Canceled || err == nil && flushed && played.Dropped > 0; {
	case interrupted && ctx.Err() != nil:
		err = ctx.Err()
	case interrupted && flushed:
		err = ErrFlushed
	}
	return played, err
}

func (a *Audio) say(ctx context.Context, r audio.Reader, s *saying) error {
	var f audio.Frame
	for ctx.Err() == nil {
		if err := r.ReadFrame(&f); err == io.EOF {
			return a.drain(ctx, s)
		} else if err != nil {
			return err
		}
		if err := f.Check(); err != nil {
			return err
		}
		// However long the frame is, its first sound need not wait until all of it was
		// converted.
		piece := audio.Frame{Format: f.Format, Time: f.Time}
		for piece.Samples = range slices.Chunk(f.Samples, f.Format.Samples(20*time.Millisecond)) {
			if err := a.writeFrame(ctx, &piece, false); err != nil {
				return err
			}
			a.said(s)
			piece.Time += piece.Duration()
		}
	}
	return ctx.Err()
}

// sayFade is how long what is said takes to end.
const sayFade = 8 * time.Millisecond

// A saying is what Say has said. It is guarded by call.mu.
type saying struct {
	before  stream.Played // of what was written before
	ahead   time.Duration // of that, what was still queued
	wanted  func() error  // the Err of its context, which whoever gave it may have cancelled
	cancel  context.CancelFunc
	flushed bool
	begun   bool          // something was written
	queued  int           // in all, when it was, by Progress of the sender
	read    bool          // there is no more to come
	ended   bool          // it has been said, flushed or given up
	played  stream.Played // until then
	next    *saying
}

func (a *Audio) startSaying(ctx context.Context, cancel context.CancelFunc) *saying {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	a.hushLocked()
	s := &saying{before: a.sender.Played(), ahead: a.sender.Unplayed(), wanted: ctx.Err, cancel: cancel, next: a.sayings}
	a.sayings = s
	return s
}

// stopSaying returns what was played of s, and whether it has been flushed.
func (a *Audio) stopSaying(s *saying) (stream.Played, bool) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	for at := &a.sayings; *at != nil; at = &(*at).next {
		if *at == s {
			*at = s.next
			break
		}
	}
	s.over(a.sender.Played())
	return s.played, s.flushed
}

// hush flushes what is being said, unless that has been done.
func (a *Audio) hush(s *saying) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if !s.flushed {
		a.flushLocked(sayFade)
	}
}

// hushLocked flushes what is not to be said any more, before something else is queued: the
// goroutine that sees to it may come later, and would flush both.
func (a *Audio) hushLocked() {
	for s := a.sayings; s != nil; s = s.next {
		if !s.ended && s.wanted() != nil {
			a.flushLocked(sayFade)
			return
		}
	}
}

// flush takes notice of a flush, and of what was played until then.
func (s *saying) flush(p stream.Played) {
	s.flushed = true
	s.over(p)
	s.cancel()
}

// over takes notice of the end of s, and of what was played until then. Nothing is to be
// done for a nil s.
func (s *saying) over(p stream.Played) {
	if s != nil && !s.ended {
		s.ended, s.played = true, s.of(p)
	}
}

// said takes notice of how much is queued by now.
func (a *Audio) said(s *saying) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	s.queued, _ = a.sender.Progress()
	s.begun = true
}

// sayingLocked reports whether something that is being said is queued, or has left last
// and still has its time, with more to come: there is no place for live frames between
// the two.
func (a *Audio) sayingLocked() bool {
	for s := a.sayings; s != nil; s = s.next {
		if !s.begun || s.read || s.ended {
			continue
		}
		if _, left := a.sender.Progress(); left-s.queued < 0 || left == s.queued && time.Now().Before(a.sender.Drained()) {
			return true
		}
	}
	return false
}

// of returns the part of s in what was played.
func (s *saying) of(p stream.Played) stream.Played {
	p.Sent -= s.before.Sent
	p.Muted -= s.before.Muted
	p.Dropped -= s.before.Dropped
	ahead := s.ahead
	for _, d := range []*time.Duration{&p.Sent, &p.Muted, &p.Dropped} {
		n := min(ahead, *d)
		*d -= n
		ahead -= n
	}
	return p
}
