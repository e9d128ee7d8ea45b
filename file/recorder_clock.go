package file

import "time"

const (
	// A frame is so much ahead of its time of arrival, or behind, only if its
	// timeline has jumped.
	clockAhead  = time.Second
	clockBehind = 2 * time.Second

	// clockWindow is how long the delay of a source is looked at. What it has
	// become more by all that time is no delay of the network: by clockStopped,
	// time stood still in a pause; by less, the clocks run apart, which is
	// corrected by clockStep, or by what two windows agree on, up to
	// clockStride: that follows clocks that are 0.8 % wrong, and a stall is not taken
	// for one.
	clockWindow  = time.Second
	clockStopped = 200 * time.Millisecond
	clockStep    = time.Millisecond
	clockStride  = 8 * time.Millisecond

	// clockFirst is how many frames are not believed if those behind them come later
	// by clockStopped: programs such as ffmpeg send one packet of sound, and go on when
	// their encoder of pictures is ready.
	clockFirst = 3
)

// A recorderClock puts the times of one timeline into a file. The file's own
// time is that of arrival; the timeline is followed where it is believed, which
// keeps the jitter of the arrival out of the file. Whatever a timeline does, what
// arrives is never far from where it belongs, and the file grows no faster than
// time goes by. Of the tracks of a timeline one of sound leads, if there is one,
// since in a call the times of pictures are shifted to fit those of the sound.
type recorderClock struct {
	begun  bool
	shift  time.Duration // from the timeline to the file
	left   bool          // it was another one
	before time.Duration // which
	alone  bool          // it is not corrected
	leader *recording    // the track by whose arrival the clock is corrected

	seen  int           // frames of the leader, up to clockFirst
	based bool          // base is known
	base  time.Duration // the least delay at the beginning
	since time.Duration // when the present window began
	least time.Duration // delay in it
	more  time.Duration // than base, in the window before
}

// place returns the place in the file of what has time at on the timeline, and
// arrived at the given time of the file. It reports false if that of a track that
// does not lead has nothing to do with this clock.
func (c *recorderClock) place(track *recording, arrival, at time.Duration) (time.Duration, bool) {
	if c.leader == nil || c.leader.codec.Video() && !track.codec.Video() {
		c.leader, c.based, c.seen = track, false, 0
		c.since, c.least = arrival, clockBehind
	}
	if !c.begun {
		c.begun, c.shift = true, arrival-at
	}
	delay := arrival - at - c.shift
	if delay > clockBehind || delay < -clockAhead {
		if c.leader != track {
			return 0, false
		}
		c.restart(track, arrival, at)
		delay = 0
	}
	if c.leader == track && !c.alone {
		if c.seen < clockFirst {
			if c.seen++; delay-c.least > clockStopped {
				c.since, c.least = arrival, clockBehind
				if delay > clockStopped {
					c.shift, delay = c.shift+delay, 0
				}
			}
		}
		c.watch(arrival, delay)
	}
	return at + c.shift, true
}

// restart makes the time at on the timeline of the leader the present.
func (c *recorderClock) restart(track *recording, arrival, at time.Duration) {
	if c.leader != track {
		return
	}
	c.left, c.before = c.begun, c.shift
	c.shift, c.based, c.seen = arrival-at, false, 0
	c.since, c.least = arrival, clockBehind
}

// aside returns a clock for a track that has nothing to do with c any more. It goes
// on as c did until its leader made a leap, if that is borne out by the arrival.
func (c *recorderClock) aside() *recorderClock {
	return &recorderClock{begun: c.left, shift: c.before, alone: c.left}
}

// watch follows the delay of the leader.
func (c *recorderClock) watch(arrival, delay time.Duration) {
	c.least = min(c.least, delay)
	if arrival-c.since < clockWindow {
		return
	}
	more := c.least - c.base
	switch {
	case !c.based:
		c.based, c.base = true, c.least
	case more > clockStopped:
		c.shift += more
	default:
		step := clockStep
		if (more < 0) == (c.more < 0) {
			step = max(step, min(more.Abs(), c.more.Abs(), clockStride))
		}
		c.shift += min(max(more, -step), step)
	}
	c.more = more
	c.since, c.least = arrival, clockBehind
}

// leave makes way for another leader.
func (c *recorderClock) leave(track *recording) {
	if c.leader == track {
		c.leader = nil
	}
}
