package stream

import "time"

// written follows the times of the frames that are written to an [AudioSender],
// so that video can leave with the sound that has the same time. Audio itself is
// sent sample by sample: its times only say which sample is which.
//
// Not every writer gives its frames times that make sense; many leave them at 0.
// So the first frame is believed, and after a step that is no pause only one that
// continues another.
type written struct {
	begun  bool
	tied   bool          // the times are believed
	paused bool          // there is video, so a pause in the times is kept
	run    int           // counts how often the times began to be believed
	until  time.Duration // time of the end of the last frame
	steady int           // frames in a row that continued each other
}

const (
	timesSlack  = 40 * time.Millisecond  // a smaller step is no pause
	maxCoded    = 120 * time.Millisecond // the longest packet of Opus
	timesSteady = 3                      // so many frames make times of which a pause is believed
)

// pause returns how much later than the end of the frame before one with time t
// begins, if that is a pause.
func (w *written) pause(t time.Duration) (time.Duration, bool) {
	step := t - w.until
	return step, w.paused && w.tied && w.steady >= timesSteady && step > timesSlack && step <= maxAhead
}

// frame notes a frame that was queued.
func (w *written) frame(t, length time.Duration) {
	step := t - w.until
	_, pause := w.pause(t)
	switch {
	case !w.begun:
		w.begun, w.tied = true, true
		w.run++
	case step.Abs() <= min(timesSlack, length/2):
		if !w.tied {
			w.tied = true
			w.run++
		}
		w.steady++
	case !pause:
		w.tied, w.steady = false, 0
	}
	w.until = t + length
}

// packet notes a coded packet that was forwarded, whose timestamp is by step behind
// that of the one before. It is believed if its time says the same, or that it
// follows closely, so that it was only put off.
func (w *written) packet(t, step time.Duration) {
	passed := t - w.until
	follows := (passed - step).Abs() <= min(timesSlack, step.Abs()/4)
	putOff := passed > 0 && passed <= maxCoded && step > passed
	switch {
	case !w.begun, (follows || putOff) && !w.tied:
		w.begun, w.tied = true, true
		w.run++
	case !follows && !putOff:
		w.tied = false
	}
	w.until, w.steady = t, 0
}

// forget makes the next frame be the first one again.
func (w *written) forget() { *w = written{run: w.run, paused: w.paused} }

// due returns when the sound with the time t leaves, left, or would have left,
// and a number that changes when that has nothing to do any more with what it was
// before. It reports false if nothing is known of times.
func (s *AudioSender) due(t time.Duration) (at time.Time, run int, ok bool) {
	w := &s.written
	if !w.tied || s.config.Immediate {
		return at, w.run, false
	}
	return s.end().Add(t - w.until - s.silent), w.run, true
}

// end returns when what is written next would leave, if it is written at once.
func (s *AudioSender) end() time.Time {
	at := s.clock.next
	if !s.running && s.queue.count > 0 && s.wrote.After(at) {
		at = s.wrote
	}
	for i := range s.queue.count {
		p := s.queue.piece(i)
		if p.stamped && !s.clock.next.IsZero() {
			if due := s.clock.due(p.stamp); due.After(at) {
				at = due
			}
		}
		at = at.Add(s.format.Duration(p.samples) + p.length)
	}
	return at
}

// resume returns the timestamp of a frame that is written after a pause in the
// times of frames, before its own time has come.
func (s *AudioSender) resume(now time.Time, t time.Duration) (stamp uint32, ok bool) {
	step, ok := s.written.pause(t)
	if !ok || s.clock.next.IsZero() || s.queue.count == maxPieces || s.config.Immediate {
		return 0, false
	}
	at := s.end().Add(step - s.silent)
	if !at.After(now.Add(s.grace())) {
		return 0, false
	}
	return s.clock.timestamp + uint32(timeToUnits(at.Sub(s.clock.next), s.clock.rate)), true
}
