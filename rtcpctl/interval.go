package rtcpctl

import (
	"math"
	"time"
)

// overhead is the size of the UDP and IPv4 headers, which count as bandwidth.
const overhead = 28

// A timer has the variables of RFC 3550, section 6.3, that are about time.
type timer struct {
	next     time.Time // tn: when the next report is due
	previous time.Time // tp: when the last was sent, or what is taken for it
	members  int       // pmembers: how many there were when next was computed
	average  float64   // avg_rtcp_size: of compounds sent and received, in bytes
	initial  bool      // no report has been sent

	sentLast   time.Time // when the last report was in fact sent, or the start
	sentBefore time.Time // and the one before

	feedback time.Time // from when on feedback may be sent

	graceEnd time.Time     // until then members time out by
	grace    time.Duration // this interval
}

func (t *timer) start(now time.Time) {
	t.previous, t.sentLast, t.sentBefore = now, now, now
	t.members = 1
	t.initial = true
}

func (t *timer) sent(now time.Time) {
	t.sentBefore, t.sentLast = t.sentLast, now
	t.previous = now
	t.initial = false
}

// measured takes the size of a compound that was sent or received. One that no
// Ethernet could carry whole does not get to slow us down by more than one that
// just fits.
func (s *Session) measured(size int) {
	s.timer.average += (float64(min(size+overhead, 1500)) - s.timer.average) / 16
}

// SetBandwidth changes the bandwidth of the session, as [Config.Bandwidth], from
// now on. The next report comes earlier if it was put off for the lack of it.
func (s *Session) SetBandwidth(now time.Time, bandwidth int) {
	before := s.interval(s.sending(), s.config.MinInterval)
	s.setBandwidth(bandwidth)
	after := s.interval(s.sending(), s.config.MinInterval)
	if !s.started || s.left || s.leaving || after >= before {
		return // what comes too early is put off when it is due
	}
	if wait := s.timer.next.Sub(now); wait > 0 {
		s.timer.next = now.Add(time.Duration(float64(wait) * float64(after) / float64(before)))
	}
	// The time that has passed is in the old scale too, or the report would be put
	// off again.
	if past := now.Sub(s.timer.previous); past > 0 {
		s.timer.previous = now.Add(-time.Duration(float64(past) * float64(after) / float64(before)))
	}
}

func (s *Session) setBandwidth(bandwidth int) {
	if bandwidth <= 0 {
		bandwidth = defaultBandwidth
	}
	s.config.Bandwidth = bandwidth
	if s.reduced {
		s.config.MinInterval = time.Duration(360 * float64(time.Second) / (float64(bandwidth) / 1000))
	}
}

// interval returns the calculated interval of RFC 3550, section 6.3.1, Td.
func (s *Session) interval(sending bool, minimum time.Duration) time.Duration {
	members, senders := float64(s.present+1), float64(s.senders)
	if s.leaving {
		members, senders, sending = float64(s.byes+1), 0, false
	} else if s.sending() {
		senders++
	}
	bandwidth := float64(s.config.Bandwidth) / 8 * 0.05
	n := members
	if senders <= members/4 {
		if sending {
			bandwidth, n = bandwidth/4, senders
		} else {
			bandwidth, n = bandwidth*3/4, members-senders
		}
	}
	return max(minimum, time.Duration(s.timer.average*n/bandwidth*float64(time.Second)))
}

// compensation makes up for the fact that reconsideration converges to a
// shorter interval than the one intended.
const compensation = math.E - 1.5

// draw returns a random interval for the next report, T.
func (s *Session) draw() time.Duration {
	minimum := s.config.MinInterval
	if s.timer.initial {
		minimum /= 2
	}
	td := s.interval(s.sending(), minimum)
	return time.Duration(float64(td) * (0.5 + s.config.Rand()) / compensation)
}

// due reports whether a packet may be sent at now, when its time has come, or
// puts it off because the session has grown since (RFC 3550, section 6.3.6).
func (s *Session) due(now time.Time) bool {
	t := &s.timer
	next := t.previous.Add(s.draw())
	t.members = s.present + 1
	if next.After(now) {
		t.next = next
		return false
	}
	return true
}

// shrunk brings the next report forward when members have left (RFC 3550,
// section 6.3.4). before is the interval by which members timed out until now.
//
// The ones that are left hear of it at the same time as we, and come forward
// too; until they have had the time for that, they must not be taken for dead
// because they have kept to the long interval of before.
func (s *Session) shrunk(now time.Time, before time.Duration) {
	t := &s.timer
	if after := s.interval(false, defaultMinimum); after < before {
		if now.After(t.graceEnd) || before > t.grace {
			t.grace = before
		}
		t.graceEnd = now.Add(timeoutIntervals * after)
	}
	members := s.present + 1
	if !s.started || s.left || s.leaving || members >= t.members {
		return
	}
	ratio := float64(members) / float64(t.members)
	scale := func(d time.Duration) time.Duration { return time.Duration(ratio * float64(d)) }
	t.next = now.Add(scale(t.next.Sub(now)))
	t.previous = now.Add(-scale(now.Sub(t.previous)))
	t.members = members
}

// timeoutIntervals is how many intervals a member may be silent.
const timeoutIntervals = 5

// timeout returns how long a member may be silent (RFC 3550, section 6.3.5).
func (s *Session) timeout(now time.Time) time.Duration {
	td := s.interval(false, defaultMinimum)
	if !now.After(s.timer.graceEnd) {
		td = max(td, s.timer.grace)
	}
	return timeoutIntervals * td
}
