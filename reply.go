package parley

import (
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/stream"
)

// MeasureReplies has told called, from now on, with how long the far end waits for
// each reply: from the last sound of its speech, as package vad finds it, to the first
// sound of the answer. That is what this end adds, its playout and the queue of what is
// written included; what the network and the far end take comes on top.
//
// Speech is what ReadFrame or HandleFrames gives, and an answer is what WriteFrame has
// queued: it begins when, after a pause of 200 ms or more, a packet leaves with sound
// above -50 dBov. If the far end speaks again before that, or for 30 s nothing comes,
// there was no reply. What is written by WriteLive, as from others in a conference, is
// not one.
//
// To listen for speech costs some 50 µs a frame. While for a minute nothing was
// written, or since a minute ago WriteLive was used, nobody listens.
//
// told must not block, nor use the call. It is told until stop is called. Several may
// measure at a time, as a server does for its metrics.
func (a *Audio) MeasureReplies(told func(time.Duration)) (stop func()) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if a.replies == nil {
		played := a.sender.Played()
		a.replies = &replies{first: -1, gone: consumed(played)}
		a.replies.written = a.replies.gone + a.sender.Queued()
	}
	r := a.replies
	r.wrote = time.Now()
	r.told = append(r.told, &told)
	return func() {
		a.call.mu.Lock()
		defer a.call.mu.Unlock()
		r.told = slices.DeleteFunc(r.told, func(other *func(time.Duration)) bool { return other == &told })
		if len(r.told) == 0 && a.replies == r {
			a.replies = nil
		}
	}
}

const (
	replyPause = 200 * time.Millisecond // of silence between one answer and the next
	replyLate  = 30 * time.Second       // after which it is none
	replyIdle  = time.Minute            // without answers, after which nobody listens
	replyBlock = 5 * time.Millisecond   // in which sound is looked for
	replySound = 1e4                    // its power, in squares of samples: -50 dBov
)

// replies measures how soon an application answers. Its methods do nothing if it is
// nil.
type replies struct {
	told []*func(time.Duration)

	// What is heard.
	detector *vad.Detector
	format   audio.Format
	events   []vad.Event
	asked    time.Time // when the far end ceased to speak; zero: no answer is due

	// What is said. Positions are durations of what was written since the last Flush.
	wrote   time.Time     // when there was something to say
	passed  time.Time     // when something was only passed on
	written time.Duration // position of the end
	gone    time.Duration // position of what has left, or was dropped
	sent    time.Duration // of that, what has left
	first   time.Duration // position of the first sound of an answer; negative: none waits
	until   time.Time     // when the last sound will have left
	began   time.Time     // when the first sound of an answer left
}

// heard takes the next frame that was read, whose last sample came at a given time.
func (r *replies) heard(f *audio.Frame, at time.Time) {
	if r == nil {
		return
	}
	if at.Sub(r.wrote) > replyIdle || at.Sub(r.passed) < replyIdle {
		r.detector, r.asked = nil, time.Time{}
		return
	}
	if r.detector == nil || r.format != f.Format {
		r.format = f.Format
		r.detector, _ = vad.New(f.Format, vad.Config{}) // nil for what is no audio, which is then not measured
	}
	if r.detector == nil {
		return
	}
	r.events, _ = r.detector.Detect(r.events[:0], f)
	for _, e := range r.events {
		r.asked = time.Time{}
		if e.Kind == vad.Stop {
			r.asked = at.Add(e.Time - f.Time - f.Duration())
			r.answered()
		}
	}
}

// write takes what is about to be queued, of which the first sample leaves at a given
// time.
func (r *replies) write(f *audio.Frame, leaves time.Time) {
	if r == nil {
		return
	}
	n := max(1, f.Format.Samples(replyBlock))
	for i := 0; i < len(f.Samples); i += n {
		block := f.Samples[i:min(i+n, len(f.Samples))]
		power := 0.0
		for _, s := range block {
			power += float64(s) * float64(s)
		}
		if power < replySound*float64(len(block)) {
			continue
		}
		at := leaves.Add(f.Format.Duration(i))
		if r.first < 0 && at.Sub(r.until) >= replyPause {
			r.first = r.written + f.Format.Duration(i)
		}
		r.until = at.Add(f.Format.Duration(len(block)))
		r.wrote = at
	}
	r.written += f.Duration()
}

// writeLive takes note of what is passed on.
func (r *replies) writeLive(now time.Time, f *audio.Frame) {
	if r != nil {
		r.passed = now
		r.written += f.Duration()
	}
}

// leaves takes note of what became of what was written, after a packet was due.
func (r *replies) leaves(now time.Time, p stream.Played) {
	if r == nil {
		return
	}
	before, sounds := r.gone, p.Sent > r.sent
	r.gone, r.sent = consumed(p), p.Sent
	if r.first < 0 || r.gone <= r.first {
		return
	}
	if sounds {
		r.began = now.Add(max(0, r.first-before))
		r.answered()
	}
	r.first = -1
}

// flush forgets what will not leave.
func (r *replies) flush(now time.Time) {
	if r == nil {
		return
	}
	r.written, r.gone, r.sent, r.first = 0, 0, 0, -1
	if r.until.After(now) {
		r.until = now
	}
}

// answered tells of an answer that has begun after the question.
func (r *replies) answered() {
	wait := r.began.Sub(r.asked)
	if r.asked.IsZero() || wait < 0 {
		return
	}
	r.asked = time.Time{}
	if wait <= replyLate {
		for _, told := range r.told {
			(*told)(wait)
		}
	}
}

// consumed returns how much of what was written is not queued any more.
func consumed(p stream.Played) time.Duration { return p.Sent + p.Muted + p.Dropped }

// hearLocked looks at a frame that was read.
func (a *Audio) hearLocked(f *audio.Frame) {
	if a.replies == nil {
		return
	}
	at := time.Now()
	if d := a.receiver.Delay(); d > 0 { // it was due so much later than the far end said it
		at = a.receiver.Next().Add(-f.Duration() - d)
	}
	a.replies.heard(f, at)
}

// sayLocked looks at a frame that is about to be queued.
func (a *Audio) sayLocked(now time.Time, f *audio.Frame) {
	if a.replies != nil {
		a.replies.write(f, later(now, a.sender.Drained()).Add(a.sender.Queued()))
	}
}
