package rtcpctl

import (
	"fmt"
	"testing"
	"time"
)

// Two members at 64 kb/s: 5 s between reports on average, and each time within
// the bounds of RFC 3550, section 6.3.1, seen from the report before.
func TestMeanInterval(t *testing.T) {
	const reports = 10000
	s := newSession(Config{SSRC: 1, Bandwidth: 64000, ClockRate: 8000})
	other := AppendSDES(AppendRR(nil, 2, nil), 2, "them")
	s.Receive(epoch, other, nil)
	last, sum := epoch, time.Duration(0)
	shortest, longest := time.Hour, time.Duration(0)
	for i := range reports {
		now, _ := report(t, s)
		s.Receive(now, other, nil)
		s.Sent(now, uint32(i), 160)
		if i > 0 {
			d := now.Sub(last)
			sum += d
			shortest, longest = min(shortest, d), max(longest, d)
		} else if d := now.Sub(epoch); d < seconds(2.5*0.5/compensation) || d > seconds(2.5*1.5/compensation) {
			t.Errorf("first report after %v", d)
		}
		last = now
	}
	mean := sum / (reports - 1)
	t.Logf("mean %v, from %v to %v", mean, shortest, longest)
	if mean < seconds(5*0.97) || mean > seconds(5*1.03) {
		t.Errorf("mean interval %v", mean)
	}
	if shortest < seconds(5*0.5/compensation) || longest > seconds(5*1.5/compensation) {
		t.Errorf("intervals from %v to %v", shortest, longest)
	}
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }

func TestReducedMinimum(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   time.Duration
	}{
		{Config{}, 5 * time.Second},
		{Config{MinInterval: time.Second}, time.Second},
		{Config{MinInterval: -1, Bandwidth: 720000}, 500 * time.Millisecond},
		{Config{MinInterval: -1}, 4500 * time.Millisecond},
	} {
		if got := NewSession(c.config).config.MinInterval; got != c.want {
			t.Errorf("%+v: %v, want %v", c.config, got, c.want)
		}
	}
}

// The calculated interval of RFC 3550, section 6.3.1, with 100-byte compounds in
// a session of 64 kb/s, so that RTCP has 400 bytes per second.
func TestCalculatedInterval(t *testing.T) {
	for _, c := range []struct {
		members, senders int
		sending          bool
		want             time.Duration
	}{
		{2, 0, false, 5 * time.Second},
		{40, 0, false, seconds(100 * 40 / 300.)},
		{40, 10, false, seconds(100 * 30 / 300.)}, // a quarter sends: shares are kept apart
		{80, 9, true, seconds(100 * 10 / 100.)},   // ten with ourselves
		{40, 11, false, seconds(100 * 40 / 400.)}, // more: one share for all
		{40, 39, true, seconds(100 * 40 / 400.)},
		{1000, 1, false, seconds(100 * 999 / 300.)},
	} {
		s := newSession(Config{SSRC: 1, Bandwidth: 64000})
		s.timer.average = 100
		s.present, s.senders = c.members-1, c.senders
		if c.sending {
			s.Sent(epoch, 0, 160)
		}
		if got := s.interval(s.sending(), defaultMinimum); got.Round(time.Microsecond) != c.want.Round(time.Microsecond) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// party is a number of sessions on a path without delay.
type party struct {
	sessions  []*Session
	now       time.Time
	bytes     int
	compounds int
}

func (p *party) step(t *testing.T, until time.Time) bool {
	var first *Session
	for _, s := range p.sessions {
		if first == nil || s.Next().Before(first.Next()) {
			first = s
		}
	}
	if first.Next().After(until) {
		return false
	}
	p.now = first.Next()
	if b, ok := first.AppendReport(nil, p.now); ok {
		p.bytes += len(b) + overhead
		p.compounds++
		for _, s := range p.sessions {
			if s != first {
				s.Receive(p.now, b, nil)
			}
		}
	}
	return true
}

// A thousand that join in one instant keep to twice their share in the first ten
// seconds, because of reconsideration.
func TestJoins(t *testing.T) {
	p := &party{}
	for i := range 1000 {
		s := newSession(Config{SSRC: uint32(i + 1), Bandwidth: 64000, CNAME: fmt.Sprintf("user%d@host", i)})
		p.sessions = append(p.sessions, s)
	}
	for p.step(t, epoch.Add(10*time.Second)) {
	}
	share := 64000. / 8 * 0.05 * 10
	t.Logf("%d compounds, %d bytes, %.2f of the share", p.compounds, p.bytes, float64(p.bytes)/share)
	if float64(p.bytes) > 2*share {
		t.Errorf("%d bytes in 10 s, the share is %.0f", p.bytes, share)
	}
}

// Nine hundred of a thousand leave: nobody who stays is taken for dead, and the
// next report comes earlier.
func TestLeaves(t *testing.T) {
	p := &party{}
	names := func(i int) string { return fmt.Sprintf("user%d@host", i) }
	for i := range 100 {
		p.sessions = append(p.sessions, newSession(Config{SSRC: uint32(i + 1), Bandwidth: 64000, CNAME: names(i)}))
	}
	// All are known, and the session has been going on for long: the last report
	// of each is up to one interval of a large session ago.
	at := epoch
	for _, s := range p.sessions {
		at = epoch
		for i := range 1000 {
			at = epoch.Add(time.Duration(i) * 333 * time.Millisecond)
			if ssrc := uint32(i*617%1000 + 1); ssrc != s.SSRC() {
				s.Receive(at, AppendSDES(AppendRR(nil, ssrc, nil), ssrc, names(i)), nil)
			}
		}
		s.timer.initial = false
		s.timer.previous = at.Add(-time.Duration(s.SSRC()) * time.Second)
		s.timer.sentLast = s.timer.previous
		s.timer.next = at.Add(time.Duration(s.SSRC()) * 3 * time.Second)
		s.timer.members = 1000
	}
	s := p.sessions[99]
	before := s.Next().Sub(at)
	for ssrc := uint32(101); ssrc <= 1000; ssrc++ {
		bye := AppendBYE(AppendSDES(AppendRR(nil, ssrc, nil), ssrc, "x"), ssrc, "")
		for _, s := range p.sessions {
			s.Receive(at, bye, nil)
		}
	}
	after := s.Next().Sub(at)
	t.Logf("next report after %v instead of %v", after, before)
	if after > before/8 || after < before/12 {
		t.Errorf("next report after %v instead of %v", after, before)
	}
	end := at.Add(10 * time.Minute)
	for p.step(t, end) {
		for _, s := range p.sessions {
			if s.stats.TimedOut != 0 || s.present != 99 {
				t.Fatalf("%v later: %d timed out, %d others left", p.now.Sub(at), s.stats.TimedOut, s.present)
			}
		}
	}
	if rate := float64(p.bytes) / 600; rate > 400*1.05 || rate < 400*0.6 {
		t.Errorf("%.0f bytes per second in the end", rate)
	}
}

// A member times out after five intervals, and a sender is one until it has been
// silent for two reports.
func TestTimeouts(t *testing.T) {
	r := heard(7, epoch)
	s := newSession(Config{SSRC: 1, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
	s.Receive(epoch, AppendSDES(AppendRR(nil, 8, nil), 8, "idle"), nil)
	var st Stats
	var senders []int
	for {
		now, _ := report(t, s)
		s.Stats(&st)
		senders = append(senders, st.Senders)
		silent := now.Sub(epoch)
		want := 3
		if silent > 25*time.Second {
			want = 1
		}
		if st.Members != want {
			t.Fatalf("%d members after %v", st.Members, silent)
		}
		if want == 1 {
			break
		}
	}
	if st.TimedOut != 2 {
		t.Errorf("%d timed out", st.TimedOut)
	}
	// heard() puts the packets just before the start, which is no interval.
	if senders[len(senders)-1] != 0 {
		t.Errorf("senders %v", senders)
	}
	r.Update(10, 1600, s.Next())
	report(t, s)
	s.Stats(&st)
	if st.Members != 2 || st.Senders != 1 {
		t.Errorf("%d members, %d senders after it came back", st.Members, st.Senders)
	}
}

// More bandwidth brings a report forward that was put off for the lack of it, and
// less puts it off.
func TestSetBandwidth(t *testing.T) {
	crowd := func() *Session {
		s := newSession(Config{SSRC: 1, Bandwidth: 64000})
		for i := range uint32(500) {
			s.Receive(epoch, AppendSDES(AppendRR(nil, 2+i, nil), 2+i, "x"), nil)
		}
		report(t, s)
		return s
	}
	s := crowd()
	last := s.timer.sentLast
	slow := s.interval(false, defaultMinimum)
	before := s.Next().Sub(last)
	s.SetBandwidth(last, 640000)
	if got := s.Next().Sub(last); (got - before/10).Abs() > time.Millisecond {
		t.Errorf("next report after %v instead of %v", got, before)
	}
	if fast := s.interval(false, defaultMinimum); (fast - slow/10).Abs() > time.Millisecond {
		t.Errorf("interval %v, was %v", fast, slow)
	}
	// In the middle of the wait both of its parts become shorter.
	s = crowd()
	now := s.timer.sentLast.Add(before / 2)
	s.SetBandwidth(now, 640000)
	for _, part := range []time.Duration{s.Next().Sub(now), now.Sub(s.timer.previous)} {
		if (part - before/20).Abs() > time.Millisecond {
			t.Errorf("half of %v has become %v", before, part)
		}
	}
	s = crowd()
	last = s.timer.sentLast
	before = s.Next().Sub(last)
	s.SetBandwidth(last, 6400)
	now, _ = report(t, s)
	if got := now.Sub(last); got < 2*before {
		t.Errorf("report after %v, with more bandwidth %v", got, before)
	}
	s = newSession(Config{SSRC: 1, MinInterval: -1, Bandwidth: 72000})
	s.SetBandwidth(epoch, 720000)
	if s.config.MinInterval != 500*time.Millisecond {
		t.Errorf("reduced minimum %v", s.config.MinInterval)
	}
	s.SetBandwidth(epoch, 0)
	if s.config.Bandwidth != defaultBandwidth || s.config.MinInterval != 4500*time.Millisecond {
		t.Errorf("%d b/s, %v", s.config.Bandwidth, s.config.MinInterval)
	}
}
