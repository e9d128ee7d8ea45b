package rtcpctl

import (
	"cmp"
	"slices"
	"time"
)

// MaxMembers is how many other participants a session knows at most, those
// included who have left lately. Newcomers beyond that take the place of one
// who has left, or are counted in [Stats.Overflow] and otherwise ignored: the
// interval between reports stops to grow there.
const MaxMembers = 1024

// byeGrace is how long packets of a source that has left are taken for late
// ones.
const byeGrace = 2 * time.Second

// never is a time before all others.
const never = time.Duration(-1 << 62)

// A member is another participant. Times are relative to Session.epoch.
type member struct {
	ssrc    uint32
	reports uint8         // SR and RR that it has sent, up to 2
	valid   bool          // it counts: it was heard twice, or by RTP, or has a name
	left    bool          // it has said goodbye
	asked   bool          // fir is valid
	fir     uint8         // number of its full intra request
	heard   time.Duration // last packet of any kind, or the goodbye
	sent    time.Duration // last sign of RTP
	cname   string
}

func (m *member) counts() bool { return m.valid && !m.left }

func (s *Session) since(now time.Time) time.Duration {
	if s.epoch.IsZero() {
		s.epoch = now
	}
	return now.Sub(s.epoch)
}

func (s *Session) find(ssrc uint32) (int, bool) {
	return slices.BinarySearchFunc(s.members, ssrc, func(m member, ssrc uint32) int { return cmp.Compare(m.ssrc, ssrc) })
}

// member returns the entry of a source, or nil.
func (s *Session) member(ssrc uint32) *member {
	if i, ok := s.find(ssrc); ok {
		return &s.members[i]
	}
	return nil
}

// touch notes that a source was heard, and returns its entry. It returns nil if
// the source has left, or the table is full. The entry may move with the next
// call.
func (s *Session) touch(ssrc uint32, at time.Duration) *member {
	i, ok := s.find(ssrc)
	if !ok {
		if len(s.members) == MaxMembers {
			gone := slices.IndexFunc(s.members, func(m member) bool { return m.left })
			if gone < 0 {
				s.stats.Overflow++
				return nil
			}
			s.members = slices.Delete(s.members, gone, gone+1)
			i, _ = s.find(ssrc)
		}
		s.members = slices.Insert(s.members, i, member{ssrc: ssrc, heard: at, sent: never})
	}
	m := &s.members[i]
	if m.left {
		if at < m.heard+byeGrace {
			return nil
		}
		*m = member{ssrc: ssrc, sent: never, cname: m.cname}
	}
	m.heard = max(m.heard, at)
	return m
}

// validate makes a member count.
func (s *Session) validate(m *member) {
	if !m.valid {
		m.valid = true
		s.present++
	}
}

// remove notes that a source has said goodbye. It reports whether the source was
// known.
func (s *Session) remove(now time.Time, ssrc uint32) bool {
	s.hear(now)
	m := s.member(ssrc)
	if m == nil || m.left {
		return false
	}
	before := s.interval(false, defaultMinimum)
	if m.valid {
		s.present--
		if m.sent >= s.since(s.timer.sentBefore) {
			s.senders = max(0, s.senders-1)
		}
	}
	m.left = true
	m.heard = s.since(now)
	s.shrunk(now, before)
	return true
}

// hear notes the sources whose packets have been received.
func (s *Session) hear(now time.Time) {
	oldest := s.since(now) - timeoutIntervals*defaultMinimum
	for _, r := range s.sources() {
		if !r.valid || r.ssrc == s.config.SSRC {
			continue
		}
		at := s.since(r.last)
		if at < oldest {
			continue
		}
		if m := s.touch(r.ssrc, at); m != nil {
			m.sent = max(m.sent, at)
			s.validate(m)
		}
	}
	clear(s.scratch)
}

// census brings the counts of members and senders up to date.
func (s *Session) census(now time.Time) {
	s.hear(now)
	before := s.interval(false, defaultMinimum)
	oldest := s.since(now) - s.timeout(now)
	s.members = slices.DeleteFunc(s.members, func(m member) bool {
		if m.heard >= oldest {
			return false
		}
		if m.counts() {
			s.present--
			s.stats.TimedOut++
		}
		return true
	})
	recently := s.since(s.timer.sentBefore)
	s.senders = 0
	for i := range s.members {
		if m := &s.members[i]; m.counts() && m.sent >= recently {
			s.senders++
		}
	}
	s.shrunk(now, before)
}
