package stream

import "time"

// A Sync puts what is received of the audio and the video of one far end on one
// timeline: a picture and the sound that belongs to it have the same Time. It is
// not safe for concurrent use: whatever guards one of the receivers has to guard
// both.
//
// The sound rules, because a jump of it would be heard. Its Time is what its
// frames say when they follow each other; the times of pictures are shifted to
// fit. What belongs together is told by the sender reports of both sources (RFC
// 3550, section 6.4.1), which tie their timestamps to one clock of the sender.
// Until there are some, and while they cannot be believed, what arrives together
// belongs together, with the difference between the ways of the two that was
// known last.
//
// A new shift is not taken at once: while it is off by more than 10 ms, time goes
// by up to 1/8 faster or slower for pictures, so that it never goes back and no
// frame is left out. Less than that is left alone. Only where both sources report
// that one of them has made a leap, as one does whose timestamps have stood still in
// a pause, the Time of pictures makes it too; and where the sound has been ahead by
// more than half a second for a second, as after a pause of both.
type Sync struct {
	audio *AudioReceiver
	video *VideoReceiver
	apart bool

	placed bool
	shift  time.Duration // from the media time of a picture to its Time
	latest time.Duration // highest media time of a picture that was given out
	moving bool
	leaps  bool // the shift that is wanted is taken at once

	ahead      bool // more than a leap is missing
	aheadSince time.Time

	known   bool   // by reports, of the runs sound and picture
	sound   uint64 // identifiers of these
	picture uint64
	skew    time.Duration // from the media time of a picture to that of its sound
	lag     time.Duration // by how much longer the way of the picture was when that was known

	doubted time.Time // since when reports are not believed
	doubts  [2]time.Time
}

const (
	tolerated  = 10 * time.Millisecond  // shift that is left alone
	slowness   = 8                      // a shift changes by one part of so many of the time that goes by
	maxLag     = 2 * time.Second        // what reports may say of the difference of two ways
	maxSet     = 100 * time.Millisecond // a larger change has to be borne out by both sources
	leap       = 500 * time.Millisecond // from here on a change is not caught up with but taken
	overcome   = time.Second            // in which playout is over an outage, whose sound is late for so long only
	unbelieved = 30 * time.Second       // after which what was known before is given up
)

// NewSync puts the frames of a and v, to neither of which a packet was pushed
// before, on one timeline. Its zero is the first packet of either.
func NewSync(a *AudioReceiver, v *VideoReceiver) *Sync {
	s := &Sync{audio: a, video: v}
	a.sync, v.sync = s, s
	return s
}

// SetApart says whether the two sources have different names (CNAME), so that
// their reports may be of different clocks, and tell nothing of both together.
func (s *Sync) SetApart(apart bool) {
	s.apart = apart
	if apart {
		s.known, s.lag, s.doubted = false, 0, time.Time{}
	}
}

// begin returns the Time of media time 0 of the sound, when its first packet has
// come.
func (s *Sync) begin() time.Duration {
	if s == nil || !s.video.line.begun {
		return 0
	}
	return max(0, s.audio.line.zero().Sub(s.video.line.zero())+s.shift)
}

// place returns the Time of a picture that is given out at now.
func (s *Sync) place(now time.Time, media time.Duration) time.Duration {
	if s == nil {
		return media
	}
	want := s.shift
	if s.audio.line.begun {
		want = s.skewing(now) + s.audio.offset
	}
	switch passed := media - s.latest; {
	case !s.placed:
		s.placed, s.shift, s.latest = true, max(want, -media), media
	case passed > 0:
		s.latest = media
		off := want - s.shift
		if ahead := off > leap; ahead != s.ahead {
			s.ahead, s.aheadSince = ahead, now
		}
		if s.leaps || s.ahead && now.Sub(s.aheadSince) >= overcome {
			s.leaps, s.shift, off = false, want, 0
		}
		if s.moving = s.moving || off > tolerated || off < -tolerated; s.moving {
			step := min(max(off, -passed/slowness), passed/slowness)
			s.shift += step
			s.moving = step != off
		}
	}
	return media + s.shift
}

// skewing returns by how much the media time of a picture differs from that of
// the sound that belongs to it.
func (s *Sync) skewing(now time.Time) time.Duration {
	sound, picture := &s.audio.intake, &s.video.intake
	arrivals := picture.line.zero().Sub(sound.line.zero())
	if s.sound != sound.line.id || s.picture != picture.line.id {
		s.known, s.doubted = false, time.Time{}
		s.sound, s.picture = sound.line.id, picture.line.id
	}
	heard, heardAt, ok := sound.reported()
	seen, seenAt, both := picture.reported()
	if ok && both && !s.apart {
		skew := seen.Sub(heard)
		lag := arrivals - skew
		change := skew - s.skew
		switch {
		case lag > maxLag || lag < -maxLag:
			s.doubt(now, heardAt, seenAt)
			if now.Sub(s.doubted) >= unbelieved {
				s.known, s.lag = false, 0
			}
		case s.known && (change > maxSet || change < -maxSet) && !s.confirmed(heardAt, seenAt):
			// A clock that was set, which the other report does not show yet, looks
			// like this too.
			s.doubt(now, heardAt, seenAt)
		default:
			s.leaps = s.leaps || s.known && change.Abs() > leap
			s.known, s.skew, s.lag = true, skew, lag
			s.doubted = time.Time{}
		}
	}
	if s.known {
		return s.skew
	}
	return arrivals - s.lag
}

func (s *Sync) doubt(now, heard, seen time.Time) {
	if s.doubted.IsZero() {
		s.doubted, s.doubts = now, [2]time.Time{heard, seen}
	}
}

// confirmed reports whether the reports of both sources are as new as the one that
// brought the doubt, or newer.
func (s *Sync) confirmed(heard, seen time.Time) bool {
	brought := s.doubts[0]
	if s.doubts[1].After(brought) {
		brought = s.doubts[1]
	}
	return !s.doubted.IsZero() && !heard.Before(brought) && !seen.Before(brought)
}

// reported returns what the clock of the source that is heard showed at media
// time 0, by its last report, and when that came. A report from before the
// present run says nothing of its timestamps, unless the source began with the
// run: then there was no other, though it may be read after packets that it was
// sent ahead of, since it comes to another socket.
func (in *intake) reported() (wall, at time.Time, ok bool) {
	l := &in.line
	if in.heard == nil || !l.begun || l.fresh {
		return wall, at, false
	}
	r := &in.heard.reception
	at = r.Mapped()
	if at.IsZero() || at.Before(l.since) || r.ClockRate() != l.clockRate {
		return wall, at, false
	}
	return r.Captured(l.timestamp).Add(-l.base - unitsToTime(l.units, l.clockRate)), at, true
}

// captured returns what the clock of the source that is heard showed at a media
// time of the present run, or the zero Time if it is not known.
func (in *intake) captured(media time.Duration) time.Time {
	wall, _, ok := in.reported()
	if !ok {
		return time.Time{}
	}
	return wall.Add(media)
}

// fastest tells when media time 0 would have arrived with the fastest packets of
// the last seconds. All its times are from the origin of the timeline.
type fastest struct {
	begun        bool
	since        time.Duration // beginning of the window
	here, before time.Duration // earliest in this window, and in the one before
}

// fastestWindow is so long that video of one picture in a second has several in
// it, and so short that clocks of 200 ppm do not drift by more than 2 ms.
const fastestWindow = 4 * time.Second

func (f *fastest) add(arrival, media time.Duration) {
	zero := arrival - media
	switch age := arrival - f.since; {
	case !f.begun || age >= 2*fastestWindow:
		*f = fastest{begun: true, since: arrival, here: zero, before: zero}
	case age >= fastestWindow:
		*f = fastest{begun: true, since: arrival, here: zero, before: f.here}
	case zero < f.here:
		f.here = zero
	}
}

func (f *fastest) zero() time.Duration { return min(f.here, f.before) }
