package rtcpctl

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A path carries voice of one packet per 20 ms and reports, and may do harm.
type voicePath struct {
	rtt      time.Duration
	lost     func(i int, now time.Time) bool // packets of ours
	deaf     func(now time.Time) bool        // reports of the far end do not come
	packets  int                             // per second; 0: 50
	interval time.Duration                   // the mean one of the far end; 0: 5 s
}

// call sends for so long, and returns when the breaker of the sender trips.
func (p voicePath) call(t *testing.T, length time.Duration) (trip Trip, at time.Duration) {
	t.Helper()
	if p.packets == 0 {
		p.packets = 50
	}
	near := newSession(Config{SSRC: 1, ClockRate: 8000})
	var r Reception
	r.Init(1, 8000)
	far := newSession(Config{SSRC: 2, MinInterval: p.interval, Bandwidth: 1 << 20, Sources: func(dst []*Reception) []*Reception { return append(dst, &r) }})
	type mail struct {
		at   time.Time
		b    []byte
		back bool
	}
	var post []mail
	spacing := time.Second / time.Duration(p.packets)
	for i := range int(length / spacing) {
		now := epoch.Add(time.Duration(i) * spacing)
		near.Sent(now, uint32(i), 160)
		if p.lost == nil || !p.lost(i, now) {
			r.Update(uint16(i), uint32(i), now)
		}
		for len(post) > 0 && !post[0].at.After(now) {
			if post[0].back {
				near.Receive(post[0].at, post[0].b, nil)
			} else {
				far.Receive(post[0].at, post[0].b, nil)
			}
			post = post[1:]
		}
		if next := near.Next(); !now.Before(next) {
			if b, ok := near.AppendReport(nil, now); ok {
				post = append(post, mail{now.Add(p.rtt / 2), b, false})
			}
		}
		if b, ok := far.AppendReport(nil, now); ok && (p.deaf == nil || !p.deaf(now)) {
			post = append(post, mail{now.Add(p.rtt / 2), b, true})
		}
		if trip, at := near.Tripped(); trip != NotTripped {
			return trip, at.Sub(epoch)
		}
	}
	return NotTripped, 0
}

func after(d time.Duration) func(time.Time) bool {
	return func(now time.Time) bool { return now.Sub(epoch) >= d }
}

// A black hole opens after 10 s of a call, in both directions or in ours only:
// within three intervals and a second it is known. If reports go on that say that
// nothing arrives, it takes five of them.
func TestBlackHole(t *testing.T) {
	hole := func(_ int, now time.Time) bool { return after(10 * time.Second)(now) }
	for _, c := range []struct {
		name string
		path voicePath
	}{
		{"both ways", voicePath{rtt: 60 * msec, lost: hole, deaf: after(10 * time.Second)}},
		{"reports only", voicePath{rtt: 60 * msec, deaf: after(10 * time.Second)}},
	} {
		trip, at := c.path.call(t, time.Minute)
		t.Logf("%s: %v at %v", c.name, trip, at)
		if trip != ReportsStopped || at > 26*time.Second || at < 20*time.Second {
			t.Errorf("%s: %v at %v", c.name, trip, at)
		}
	}
	// The far end still has something of ours for one report more, and then leaves
	// us out of its reports.
	trip, at := voicePath{rtt: 60 * msec, lost: hole}.call(t, time.Minute)
	if trip != ReportsStopped || at > 34*time.Second {
		t.Errorf("media only: %v at %v", trip, at)
	}
	if trip, at := (voicePath{deaf: after(0)}).call(t, time.Minute); trip != NeverReported || at.Round(100*msec) != 15*time.Second {
		t.Errorf("no reports at all: %v at %v", trip, at)
	}
}

// A far end that reports on a source it does not hear any more.
func TestMediaTimeout(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000})
	highest := uint32(100)
	tell := func(now time.Time, packets int) {
		for range packets {
			s.Sent(now, 0, 160)
		}
		s.Receive(now, AppendRR(nil, 2, []ReportBlock{{SSRC: 1, Highest: highest}}), nil)
	}
	now := epoch
	for i := range 20 { // four that stand still, then one that has grown
		now = now.Add(5 * time.Second)
		if i%5 == 0 {
			highest += 3
		}
		tell(now, 10)
	}
	for range 10 { // nothing was sent, so nothing can arrive
		now = now.Add(5 * time.Second)
		tell(now, 0)
	}
	if trip, _ := s.Tripped(); trip != NotTripped {
		t.Fatalf("%v", trip)
	}
	var st Stats
	for range 5 {
		now = now.Add(5 * time.Second)
		tell(now, 10)
	}
	if trip, at := s.Tripped(); trip != MediaTimeout || !at.Equal(now) {
		t.Errorf("%v", trip)
	}
	if s.Stats(&st); st.Tripped != MediaTimeout {
		t.Errorf("%v in the statistics", st.Tripped)
	}
	s.ResetBreaker(now)
	if trip, _ := s.Tripped(); trip != NotTripped {
		t.Errorf("%v after a reset", trip)
	}
}

// A browser reports with each request for packets, which is every 20 ms here: half of
// the packets are lost in runs, so that most reports are about none. They tell of the
// loss all the same, and that something arrives.
func TestReportsWithRequests(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 90000})
	now := epoch
	var highest, told uint32
	var lost int32
	var got []float64
	for i := range 400 {
		now = now.Add(20 * msec)
		s.Sent(now, 0, 1000)
		s.Sent(now, 0, 1000)
		if i%8 == 7 { // all at once: 8 have come, and before these 8 were lost
			highest += 16
			lost += 8
		}
		b := ReportBlock{SSRC: 1, Highest: highest, Lost: lost}
		if highest != told {
			b.FractionLost = 128
		}
		told = highest
		s.Receive(now, AppendRR(nil, 2, []ReportBlock{b}), nil)
		if trip, _ := s.Tripped(); trip != NotTripped {
			t.Fatalf("%v after %v", trip, now.Sub(epoch))
		}
		var st Stats
		s.Stats(&st)
		if i%25 == 24 && i > 50 {
			got = append(got, st.Remote.FractionLost())
		}
	}
	for _, f := range got {
		if f < 0.4 || f > 0.6 {
			t.Fatalf("losses of %.2f, want 0.5", got)
		}
	}
}

// As many reports in a row have to say that nothing arrives as come in five round trips,
// if these are longer than what is between reports; a pause ends the row.
func TestMediaTimeoutOfLongPaths(t *testing.T) {
	for _, c := range []struct {
		rtt, pause time.Duration
		after      int // as many reports
		want       int
	}{
		{0, 0, 0, 5},
		{4 * time.Second, 0, 0, 20},
		{0, time.Minute, 4, 4 + 5},
	} {
		s := newSession(Config{SSRC: 1, ClockRate: 8000})
		now := epoch
		tell := func() {
			now = now.Add(time.Second)
			s.Sent(now, 0, 160)
			s.Receive(now, AppendRR(nil, 2, []ReportBlock{{SSRC: 1, Highest: 100}}), nil)
			s.remote.RTT = c.rtt
		}
		for range 40 { // by then it is known how often reports come
			s.breaker.stalled = 0
			tell()
		}
		s.breaker.stalled = 0
		n := 0
		for trip := NotTripped; trip == NotTripped && n < 100; trip, _ = s.Tripped() {
			if n == c.after {
				now = now.Add(c.pause)
			}
			n++
			tell()
		}
		if n != c.want {
			t.Errorf("round trip %v, a pause of %v: %d reports, want %d", c.rtt, c.pause, n, c.want)
		}
	}
}

// Voice of 64 kb/s that loses 30 % stops, but not before CB_INTERVAL reports; up
// to 10 % it goes on, whatever the round trip.
func TestCongestion(t *testing.T) {
	loss := func(percent int) func(int, time.Time) bool {
		random := rand.New(rand.NewPCG(1, uint64(percent)))
		return func(int, time.Time) bool { return random.IntN(100) < percent }
	}
	for _, rtt := range []time.Duration{80 * msec, 200 * msec, 600 * msec} {
		trip, at := voicePath{rtt: rtt, lost: loss(30)}.call(t, 2*time.Minute)
		t.Logf("30 %%, %v: %v at %v", rtt, trip, at)
		if trip != Congestion || at < 12*time.Second || at > 40*time.Second {
			t.Errorf("30 %%, %v: %v at %v", rtt, trip, at)
		}
	}
	for _, rtt := range []time.Duration{10 * msec, 80 * msec, 300 * msec, 600 * msec, 1500 * msec} {
		for _, percent := range []int{0, 1, 5, 10} {
			if trip, at := (voicePath{rtt: rtt, lost: loss(percent)}).call(t, 5*time.Minute); trip != NotTripped {
				t.Errorf("%d %%, %v: %v at %v", percent, rtt, trip, at)
			}
		}
	}
	late := loss(30)
	spoilt := func(i int, now time.Time) bool { return late(i, now) && after(10*time.Minute)(now) }
	if trip, at := (voicePath{rtt: 80 * msec, lost: spoilt}).call(t, 11*time.Minute); trip != Congestion {
		t.Errorf("30 %% after 10 minutes of none: %v at %v", trip, at)
	}
	if trip, at := (voicePath{rtt: 80 * msec, lost: loss(9), packets: 2000}).call(t, time.Minute); trip != Congestion {
		t.Errorf("20 Mb/s at 9 %%: %v at %v", trip, at)
	}
}

// By the throughput equation of RFC 5348, section 3.1, worked out by hand.
func TestTCPRate(t *testing.T) {
	for _, c := range []struct{ p, tr, want float64 }{
		{0.01, 0.1, 112.332},
		{0.1, 0.2, 8.850},
		{0.3, 0.08, 2.436},
	} {
		if got := tcpRate(c.p, c.tr); math.Abs(got/c.want-1) > 2e-4 {
			t.Errorf("loss %v, round trip %v s: %v packets a second, want %v", c.p, c.tr, got, c.want)
		}
	}
}

// Congestion is judged over the last reports alone, each for as long as it is about, by
// ten times the rate of TCP; a voice call also has to lose more than 15 %.
func TestCongested(t *testing.T) {
	const half, tenth, tr = 128, 26, 0.1 // TCP makes 0.4 packets a second of a loss of 1/2, and 17 of 1/10
	second := func(lost uint8, packets int64) sample { return sample{lost, packets, time.Second} }
	full := func(last ...sample) []sample { // the oldest ones were bad
		return append(slices.Repeat([]sample{second(255, 9000)}, maxCBInterval-len(last)), last...)
	}
	for _, c := range []struct {
		name   string
		window []sample
		n      int
		want   bool
	}{
		{"too much", []sample{second(half, 50), second(half, 50)}, 2, true},
		{"more than ten times", []sample{second(half, 5), second(half, 5)}, 2, true},
		{"less than ten times", []sample{second(half, 3), second(half, 3)}, 2, false},
		{"voice", []sample{second(tenth, 100)}, 1, false},
		{"more than voice", []sample{second(tenth, 300)}, 1, true},
		{"nothing lost", []sample{second(0, 9000)}, 1, false},
		{"shortly", []sample{second(0, 100), {half, 10, time.Second / 10}}, 2, false},
		{"long ago", full(second(tenth, 50), second(0, 50)), 2, false},
		{"with what is longer ago", full(second(tenth, 50), second(0, 50)), 3, true},
	} {
		b := breaker{window: c.window, samples: len(c.window)}
		if got := b.congested(c.n, tr); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := b.congested(c.n, 0); got {
			t.Errorf("%s, of an unknown round trip", c.name)
		}
	}
}

func TestCBInterval(t *testing.T) {
	for _, c := range []struct {
		tr, tdr, td float64
		want        int
	}{
		{0.1, 5, 5, 3},
		{0.1, 1, 5, 3},
		{0.4, 1, 5, 4},
		{2, 1, 5, 15}, // no more than 15 s
		{2, 1, 10, 20},
		{9, 0.1, 9, 32}, // the size of the window
	} {
		if got := cbInterval(c.tr, c.tdr, c.td); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// After a pause the time without reports begins anew, and in a pause there is
// nothing to stop.
func TestBreakerPause(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000})
	now := epoch
	send := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(20 * msec) {
			s.Sent(now, 0, 160)
			s.AppendReport(nil, now)
		}
	}
	send(8 * time.Second)
	for range 20 {
		now = now.Add(5 * time.Second)
		s.AppendReport(nil, now)
	}
	send(14 * time.Second)
	if trip, at := s.Tripped(); trip != NotTripped {
		t.Errorf("%v after %v", trip, at.Sub(epoch))
	}
	send(2 * time.Second)
	if trip, _ := s.Tripped(); trip != NeverReported {
		t.Errorf("%v", trip)
	}
}
