package rtcpctl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pion/rtcp"
)

func newSession(c Config) *Session {
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(1, uint64(c.SSRC))).Float64
	}
	s := NewSession(c)
	s.Start(epoch)
	return s
}

// report runs s until it has something to say.
func report(t testing.TB, s *Session) (time.Time, []byte) {
	t.Helper()
	for range 1000 {
		now := s.Next()
		if b, ok := s.AppendReport(nil, now); ok {
			return now, b
		}
	}
	t.Fatal("no report in 1000 attempts")
	return time.Time{}, nil
}

func parse(t testing.TB, b []byte) []rtcp.Packet {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := rtcp.CompoundPacket(packets).Validate(); err != nil {
		t.Fatalf("compound %v: %v", packets, err)
	}
	if len(b) > MaxCompound {
		t.Fatalf("compound of %d bytes", len(b))
	}
	return packets
}

func heard(ssrc uint32, now time.Time) *Reception {
	var r Reception
	r.Init(ssrc, 8000)
	for i := range 10 {
		r.Update(uint16(i), uint32(160*i), now.Add(time.Duration(i-10)*20*time.Millisecond))
	}
	return &r
}

func TestEmptyRR(t *testing.T) {
	s := newSession(Config{SSRC: 5, CNAME: "a@b"})
	_, b := report(t, s)
	want := []rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 5, Reports: nil, ProfileExtensions: []byte{}},
		rtcp.NewCNAMESourceDescription(5, "a@b"),
	}
	if diff := cmp.Diff(want, parse(t, b), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestRandomCNAME(t *testing.T) {
	a, b := NewSession(Config{}), NewSession(Config{})
	if len(a.CNAME()) != 16 || a.CNAME() == b.CNAME() {
		t.Errorf("names %q and %q", a.CNAME(), b.CNAME())
	}
}

// The RTP timestamp of an SR is that of the instant of the report, however long
// ago the last packet was sent, and across the wrap.
func TestSRTimestamp(t *testing.T) {
	s := newSession(Config{SSRC: 5, ClockRate: 8000})
	const first uint32 = 1<<32 - 8000
	var sent time.Time
	for i := range 30 {
		sent = epoch.Add(time.Duration(i) * 20 * time.Millisecond)
		s.Sent(sent, first+uint32(160*i), 160)
	}
	s.Sent(sent.Add(15*time.Millisecond), first+160*20, 160) // a retransmission
	now, b := report(t, s)
	sr := parse(t, b)[0].(*rtcp.SenderReport)
	if want := first + uint32(now.Sub(epoch)/125000); sr.RTPTime != want {
		t.Errorf("timestamp %d, want %d", sr.RTPTime, want)
	}
	if sr.NTPTime != NTP(now) || sr.PacketCount != 31 || sr.OctetCount != 31*160 {
		t.Errorf("%v", sr)
	}
}

// SR while packets were sent since the report before the last, RR after that.
func TestSRBecomesRR(t *testing.T) {
	s := newSession(Config{SSRC: 5, ClockRate: 8000})
	s.Sent(epoch.Add(time.Millisecond), 0, 160)
	var kinds []string
	for range 4 {
		_, b := report(t, s)
		kinds = append(kinds, fmt.Sprintf("%T", parse(t, b)[0])[6:])
	}
	s.Sent(s.Next().Add(-time.Millisecond), 0, 160)
	for range 3 {
		_, b := report(t, s)
		kinds = append(kinds, fmt.Sprintf("%T", parse(t, b)[0])[6:])
	}
	want := strings.Fields("SenderReport SenderReport ReceiverReport ReceiverReport SenderReport SenderReport ReceiverReport")
	// A packet just after the start is within the first two intervals only.
	if !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
}

// A source has a block in each report after packets of it, and none otherwise.
func TestBlocks(t *testing.T) {
	var sources []*Reception
	s := newSession(Config{SSRC: 5, Sources: func(dst []*Reception) []*Reception { return append(dst, sources...) }})
	silent := &Reception{}
	silent.Init(8, 8000)
	sources = []*Reception{silent, heard(7, epoch)}
	_, b := report(t, s)
	if r := parse(t, b)[0].(*rtcp.ReceiverReport).Reports; len(r) != 1 || r[0].SSRC != 7 || r[0].LastSequenceNumber != 9 {
		t.Errorf("%+v", r)
	}
	_, b = report(t, s)
	if r := parse(t, b)[0].(*rtcp.ReceiverReport).Reports; len(r) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRoundRobin(t *testing.T) {
	var sources []*Reception
	for i := range 70 {
		sources = append(sources, heard(uint32(100+i), epoch))
	}
	s := newSession(Config{SSRC: 5, CNAME: strings.Repeat("n", 255), Sources: func(dst []*Reception) []*Reception { return append(dst, sources...) }})
	var sizes []int
	seen := map[uint32]int{}
	for range 4 {
		_, b := report(t, s)
		blocks := parse(t, b)[0].(*rtcp.ReceiverReport).Reports
		sizes = append(sizes, len(blocks))
		for _, r := range blocks {
			seen[r.SSRC]++
		}
	}
	if !slices.Equal(sizes, []int{31, 31, 8, 0}) || len(seen) != 70 {
		t.Errorf("blocks %v, %d sources", sizes, len(seen))
	}
}

func TestBye(t *testing.T) {
	s := newSession(Config{SSRC: 5, CNAME: "a@b", ClockRate: 8000})
	if _, ok := s.AppendBye(nil, "too early", epoch); ok {
		t.Error("a goodbye from one that was never heard")
	}
	s.Sent(epoch, 0, 160)
	b, ok := s.AppendBye([]byte("xy"), "done", epoch.Add(time.Second))
	if !ok || string(b[:2]) != "xy" {
		t.Fatal("no goodbye")
	}
	want := []rtcp.Packet{
		&rtcp.SenderReport{
			SSRC: 5, NTPTime: NTP(epoch.Add(time.Second)), RTPTime: 8000, PacketCount: 1, OctetCount: 160,
			Reports: nil,
		},
		rtcp.NewCNAMESourceDescription(5, "a@b"),
		&rtcp.Goodbye{Sources: []uint32{5}, Reason: "done"},
	}
	if diff := cmp.Diff(want, parse(t, b[2:]), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, ok := s.AppendBye(nil, "done", epoch.Add(2*time.Second)); ok {
		t.Error("a second goodbye")
	}
	if _, ok := s.AppendReport(nil, epoch.Add(time.Hour)); ok || !s.Next().IsZero() {
		t.Error("a report after the goodbye")
	}
}

func TestByeFits(t *testing.T) {
	var sources []*Reception
	for i := range 40 {
		sources = append(sources, heard(uint32(100+i), epoch))
	}
	s := newSession(Config{
		SSRC: 5, CNAME: strings.Repeat("n", 255), ClockRate: 8000,
		Sources: func(dst []*Reception) []*Reception { return append(dst, sources...) },
		XR:      true,
		VoIP:    func(time.Time) (VoIPMetrics, bool) { return UnknownVoIPMetrics(100), true },
	})
	s.Sent(epoch, 0, 160)
	for i := range uint32(4) {
		s.asked(question{i + 1, 7, epoch})
	}
	b, ok := s.AppendBye(nil, strings.Repeat("r", 300), epoch.Add(time.Second))
	if !ok {
		t.Fatal("no goodbye")
	}
	packets := parse(t, b)
	if n := len(packets[0].(*rtcp.SenderReport).Reports); n < 20 {
		t.Errorf("%d blocks in %d bytes", n, len(b))
	}
	if x := packets[2].(*rtcp.ExtendedReport).Reports; len(x) != 2 {
		t.Errorf("%d extended blocks", len(x))
	}
	if r := packets[3].(*rtcp.Goodbye).Reason; len(r) != 255 {
		t.Errorf("reason of %d bytes", len(r))
	}
}

// A goodbye in a large session waits, and counts the others that leave.
func TestByeBackOff(t *testing.T) {
	s := newSession(Config{SSRC: 5})
	for i := range uint32(200) {
		s.Receive(epoch, AppendSDES(AppendRR(nil, 1000+i, nil), 1000+i, "x"), nil)
	}
	s.reports = 1
	if _, ok := s.AppendBye(nil, "", epoch); ok {
		t.Fatal("a hasty goodbye")
	}
	if _, ok := s.AppendReport(nil, s.Next()); ok {
		t.Error("a report while leaving")
	}
	first := s.Next()
	for i := range uint32(150) {
		s.Receive(epoch, AppendBYE(AppendSDES(AppendRR(nil, 1000+i, nil), 1000+i, "x"), 1000+i, ""), nil)
	}
	if _, ok := s.AppendBye(nil, "", first); ok || !s.Next().After(first) {
		t.Error("the goodbyes of the others are not counted")
	}
	for range 100 {
		now := s.Next()
		if b, ok := s.AppendBye(nil, "", now); ok {
			parse(t, b)
			if now.Sub(epoch) < 5*time.Second {
				t.Errorf("goodbye after %v", now.Sub(epoch))
			}
			return
		}
	}
	t.Error("no goodbye")
}

// Two ends over a path with delay learn their round trip within a millisecond.
func TestRoundTrip(t *testing.T) {
	for _, path := range []time.Duration{0, 10 * time.Microsecond, time.Millisecond, 20 * time.Millisecond, 77777 * time.Microsecond, 250 * time.Millisecond} {
		// The far end's clock is wrong, and near the wrap of the short NTP time.
		skew := 37*time.Minute + 123456789
		var back Reception
		back.Init(1, 8000)
		near := newSession(Config{SSRC: 1, ClockRate: 8000})
		far := NewSession(Config{SSRC: 2, ClockRate: 8000, Sources: func(dst []*Reception) []*Reception { return append(dst, &back) }})
		for i := range 500 {
			now := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
			near.Sent(now, uint32(160*i), 160)
			back.Update(uint16(i), uint32(160*i), now.Add(path+skew))
		}
		at, b := report(t, near)
		far.Start(at.Add(skew))
		far.Receive(at.Add(path+skew), b, nil)
		answered, b := report(t, far)
		var rtt time.Duration
		near.Receive(answered.Add(path-skew), b, func(e Event) {
			if e.Kind == Reported {
				rtt = e.RTT
			}
		})
		if d := rtt - 2*path; rtt == 0 || d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("round trip %v, want %v", rtt, 2*path)
		}
		if near.RTT() != rtt {
			t.Errorf("RTT() %v, event %v", near.RTT(), rtt)
		}
	}
}

func TestRoundTripRefused(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000})
	s.Sent(epoch, 0, 160)
	at, _ := report(t, s)
	sr := middle(NTP(at))
	for _, c := range []struct {
		name  string
		block ReportBlock
		ok    bool
	}{
		{"no SR received", ReportBlock{SSRC: 1, Delay: 10}, false},
		{"an SR that was never sent", ReportBlock{SSRC: 1, LastSR: sr - 1}, false},
		{"negative", ReportBlock{SSRC: 1, LastSR: sr, Delay: 2 << 16}, false},
		{"another source", ReportBlock{SSRC: 9, LastSR: sr}, false},
		{"good", ReportBlock{SSRC: 1, LastSR: sr, Delay: 1 << 15}, true},
	} {
		s.remote = Remote{}
		s.Receive(at.Add(time.Second), AppendRR(nil, 3, []ReportBlock{c.block}), nil)
		if got := s.RTT(); (got > 0) != c.ok {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if got := s.RTT(); got != 500*time.Millisecond {
		t.Errorf("round trip %v", got)
	}
}

func TestAppendReportAllocs(t *testing.T) {
	r := heard(7, epoch)
	s := newSession(Config{SSRC: 5, ClockRate: 8000, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
	buf := make([]byte, 0, MaxCompound)
	now, n := epoch, uint16(10)
	rr := AppendSDES(AppendSR(nil, 7, SenderInfo{NTP: NTP(epoch)}, []ReportBlock{{SSRC: 5}}), 7, "them")
	s.Receive(epoch, rr, nil)
	var st Stats
	events := 0
	if a := testing.AllocsPerRun(1000, func() {
		now = now.Add(20 * time.Millisecond)
		s.Sent(now, uint32(n)*160, 160)
		r.Update(n, uint32(n)*160, now)
		n++
		s.AppendReport(buf, s.Next())
		s.Receive(now, rr, func(Event) { events++ })
		s.Stats(&st)
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if st.Reports < 100 || events < 2000 {
		t.Errorf("%d reports, %d events", st.Reports, events)
	}
}

func BenchmarkReport(b *testing.B) {
	r := heard(7, epoch)
	s := newSession(Config{SSRC: 5, ClockRate: 8000, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
	buf := make([]byte, 0, MaxCompound)
	s.Sent(epoch, 0, 160)
	for b.Loop() {
		s.AppendReport(buf, s.Next())
	}
}

func BenchmarkReceive(b *testing.B) {
	s := newSession(Config{SSRC: 5, ClockRate: 8000})
	sr := AppendSDES(AppendSR(nil, 7, SenderInfo{NTP: NTP(epoch)}, []ReportBlock{{SSRC: 5}}), 7, "them")
	for b.Loop() {
		s.Receive(epoch, sr, nil)
	}
}

// What a packet costs: to be counted, and to know when to report next.
func BenchmarkSent(b *testing.B) {
	s := newSession(Config{SSRC: 5, ClockRate: 8000})
	now := epoch
	for b.Loop() {
		now = now.Add(20 * time.Millisecond)
		s.Sent(now, 0, 160)
		s.Next()
	}
}
