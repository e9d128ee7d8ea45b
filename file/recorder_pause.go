package file

import (
	"slices"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
)

// A recorderPause is a time of which nothing goes into the file.
type recorderPause struct{ from, to time.Time } // to is zero while it lasts

// pauseKept is how long after its end a pause is known: what comes later has waited for
// less.
const pauseKept = 10 * time.Second

// Pause leaves out what comes from now on, as while the number of a card is said: the
// file is silent there, and pictures stand still. Its time goes on, so that what comes
// after [Recorder.Resume] is where it belongs. All sources are read on. What is left out is
// not counted in [AudioRecording.Skipped].
func (r *Recorder) Pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.pauses = slices.DeleteFunc(r.pauses, func(p recorderPause) bool {
		return !p.to.IsZero() && now.Sub(p.to) > pauseKept
	})
	if !r.pausedLocked() {
		r.pauses = append(r.pauses, recorderPause{from: now})
	}
}

// Resume ends a pause. What was said in it is not in the file, also where it comes
// out of the playout of a call only later; of frames from elsewhere those are left out that
// are written in the pause. Pictures go on with the next key frame, for which sources are
// asked.
func (r *Recorder) Resume() {
	r.mu.Lock()
	if !r.pausedLocked() {
		r.mu.Unlock()
		return
	}
	var sources []any
	for s := range r.sources {
		sources = append(sources, s.source)
	}
	r.mu.Unlock()
	for _, s := range sources { // which may want a lock of their own
		if s, ok := s.(interface{ SkipUnread() }); ok {
			s.SkipUnread()
		}
	}
	r.mu.Lock()
	if r.pausedLocked() { // nobody else was faster
		r.pauses[len(r.pauses)-1].to = time.Now()
	}
	r.mu.Unlock()
	for _, s := range sources {
		if s, ok := s.(interface{ RequestKeyframe() }); ok {
			s.RequestKeyframe()
		}
	}
}

// pausedLocked reports whether the recorder pauses now.
func (r *Recorder) pausedLocked() bool {
	n := len(r.pauses)
	return n > 0 && r.pauses[n-1].to.IsZero()
}

// inPauseLocked reports whether some of what was said from first to last, or all, was
// said in a pause.
func (r *Recorder) inPauseLocked(first, last time.Time) bool {
	return slices.ContainsFunc(r.pauses, func(p recorderPause) bool {
		return !last.Before(p.from) && (p.to.IsZero() || first.Before(p.to))
	})
}

// heardAt returns when the frame came that a source has given out last, at now: on a line
// it has waited for its playout, or for a reader.
func heardAt(now time.Time, source audio.Reader, f *audio.Frame) time.Time {
	line, ok := source.(*parley.Audio)
	if !ok {
		return now
	}
	var s parley.AudioStats
	line.Stats(&s)
	return now.Add(-s.Added - f.Duration())
}
