package rtcpctl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// events gives a compound to s and returns what comes of it, a line each.
func events(s *Session, now time.Time, compound []byte) []string {
	var lines []string
	s.Receive(now, compound, func(e Event) {
		line := fmt.Sprintf("%v %d", e.Kind, e.SSRC)
		switch e.Kind {
		case Goodbye, Named:
			line += " " + e.Text
		case SenderReported:
			line += fmt.Sprintf(" %d packets", e.Sender.Packets)
		case Reported:
			line += fmt.Sprintf(" %d lost", e.Block.Lost)
		case Other:
			line += fmt.Sprintf(" %v/%d", e.Member.Type, e.Member.Count)
		case Nacked:
			line += fmt.Sprint(" ", slices.Collect(e.Member.Lost()))
		case VoIPReported:
			line += fmt.Sprintf(" MOS %d", e.VoIP.MOSCQ)
		}
		lines = append(lines, strings.TrimSpace(line))
	})
	return lines
}

func TestReceive(t *testing.T) {
	block := func(ssrc uint32, lost int32) ReportBlock { return ReportBlock{SSRC: ssrc, Lost: lost} }
	rr := AppendRR(nil, 2, []ReportBlock{block(1, 17)})
	join := func(parts ...string) []byte { return unhex(t, strings.Join(parts, "")) }
	const plain = "80c9000100000002" // RR of 2
	for _, c := range []struct {
		name      string
		compound  []byte
		events    string
		malformed int64
		bare      int64
	}{
		{"sender report", AppendSR(nil, 2, SenderInfo{Packets: 9}, []ReportBlock{block(3, 5), block(1, 6)}), "sender reported 2 9 packets; reported 2 6 lost", 0, 0},
		{"receiver report", rr, "reported 2 17 lost", 0, 0},
		{"lost is signed", AppendRR(nil, 2, []ReportBlock{block(1, -3)}), "reported 2 -3 lost", 0, 0},
		{"profile extension", join("81c90008", "00000002", "00000001", "00000011", strings.Repeat("00000000", 4), "deadbeef"), "reported 2 17 lost", 0, 0},
		{"sender report with extension", join("80c80007", "00000002", strings.Repeat("00000000", 3), "00000004", "00000000", "deadbeef"), "sender reported 2 4 packets", 0, 0},
		{"31 blocks counted, one there", join("9fc90007", "00000002", "00000001", strings.Repeat("00000000", 5), plain), "", 1, 0},
		{"sender report of four bytes", join("80c80001", "00000002"), "", 1, 0},
		{"receiver report without source", join("80c90000"), "", 1, 0},
		{"description of two", join(plain, "82ca0006", "00000002", "01016100", "00000003", "010362636400", "0000", "00000000"), "named 2 a; named 3 bcd", 0, 0},
		{"name, then another item", join(plain, "81ca0004", "00000002", "01016106", "03616161", "00000000"), "named 2 a", 0, 0},
		{"other items first", join(plain, "81ca0003", "00000002", "06010001", "01610000"), "named 2 a", 0, 0},
		{"item longer than the packet", join("81ca0002", "00000002", "01ff6162", plain), "", 1, 1},
		{"length of an item missing", join("81ca0002", "00000002", "01016101", rawHex(rr)), "named 2 a; reported 2 17 lost", 1, 1},
		{"chunk without an end", join("81ca0002", "00000002", "01026162", rawHex(rr)), "named 2 ab; reported 2 17 lost", 1, 1},
		{"chunk missing", join("82ca0003", "00000002", "01026162", "00000000", rawHex(rr)), "named 2 ab; reported 2 17 lost", 1, 1},
		{"goodbye with a reason", join(plain, "81cb0002", "00000002", "03627965"), "goodbye 2 bye", 0, 0},
		{"goodbye of several", join(plain, "80c9000100000003", "82cb0003", "00000002", "00000003", "03627965"), "goodbye 2 bye; goodbye 3 bye", 0, 0},
		{"reason of 255 bytes that are not there", join(plain, "81cb0002", "00000002", "ff000000"), "goodbye 2", 1, 0},
		{"reason with nothing behind", join(plain, "81cb0002", "00000002", "00000000"), "goodbye 2", 0, 0},
		{"reason that is no text", join(plain, "81cb0002", "00000002", "0161ff00"), "goodbye 2 a", 0, 0},
		{"goodbye of 17, body for one", join(plain, "91cb0001", "00000002"), "", 1, 0},
		{"goodbye of nobody", join(plain, "80cb0000"), "", 0, 0},
		{"goodbye of a stranger", join("81cb0001", "00000063"), "", 0, 1},
		{"feedback", join(plain, "81ce0002", "00000002", "00000001"), "key frame wanted 2", 0, 0},
		{"feedback without a source", join(plain, "82ce0000"), "other 0 PSFB/2", 0, 0},
		{"version 3 at the end", join(rawHex(rr), "c0c90000"), "reported 2 17 lost", 1, 0},
		{"rubbish", []byte("rubbish"), "", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(Config{SSRC: 1})
			if got := strings.Join(events(s, epoch, c.compound), "; "); got != c.events {
				t.Errorf("events %q, want %q", got, c.events)
			}
			var st Stats
			s.Stats(&st)
			if st.Malformed != c.malformed || st.Bare != c.bare {
				t.Errorf("%d malformed, %d bare, want %d and %d", st.Malformed, st.Bare, c.malformed, c.bare)
			}
			s.Receive(epoch, c.compound, nil)
		})
	}
}

func rawHex(b []byte) string { return fmt.Sprintf("%x", b) }

// What speaks in our name is counted and has no effect.
func TestSuspicious(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	s.Sent(epoch, 0, 160)
	nack, _ := AppendNACK(AppendRR(nil, 2, nil), 1, 3, []uint16{5}, 100)
	for _, c := range []struct {
		compound []byte
		told     bool // that somebody has our number
	}{
		{AppendSR(nil, 1, SenderInfo{}, []ReportBlock{{SSRC: 1}}), true},
		{AppendRR(nil, 1, []ReportBlock{{SSRC: 3}}), true},
		{AppendBYE(AppendRR(nil, 2, nil), 1, "go away"), false},
		{AppendSDES(AppendRR(nil, 2, nil), 1, "me"), true},
		{nack, false},
		{unhex(t, "80cf0004"+"00000001"+"04000002"+"0000000100000000"), false}, // a reference time
	} {
		var want []string
		if c.told {
			want = []string{"impersonated 1"}
		}
		if e := events(s, epoch, c.compound); !slices.Equal(e, want) {
			t.Errorf("events %q of %x", e, c.compound)
		}
	}
	var st Stats
	s.Stats(&st)
	if st.Suspicious != 6 || st.Members != 2 {
		t.Errorf("%d suspicious, %d members", st.Suspicious, st.Members)
	}
	if _, ok := s.AppendBye(nil, "", epoch); !ok {
		t.Error("the session took the goodbye for its own")
	}
}

// Some receivers speak in the name of the source that they speak of. What they say of it is
// heeded, and is no collision.
func TestReceiverWithoutANumberOfItsOwn(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	s.Sent(epoch, 0, 160)
	nack, _ := AppendNACK(nil, 1, 1, []uint16{5}, 100)
	for _, c := range []struct {
		packet []byte
		want   string
	}{
		{AppendRR(nil, 1, []ReportBlock{{SSRC: 1, Lost: 17}}), "reported 1 17 lost"},
		{nack, "nacked 1"},
		{AppendPLI(nil, 1, 1), "key frame wanted 1"},
		{AppendFIR(nil, 1, 1, 7), "key frame wanted 1"},
	} {
		if e := events(s, epoch, c.packet); len(e) != 1 || !strings.HasPrefix(e[0], c.want) {
			t.Errorf("events %q, want %q", e, c.want)
		}
	}
	var st Stats
	if s.Stats(&st); st.Members != 1 || st.Remote.Block.Lost != 17 {
		t.Errorf("%d members, %+v", st.Members, st.Remote)
	}
}

// A source counts when it has been heard twice, has a name, or sends RTP; late
// packets after its goodbye do not bring it back.
func TestMembership(t *testing.T) {
	r := &Reception{}
	r.Init(4, 8000)
	s := newSession(Config{SSRC: 1, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
	check := func(want int) {
		t.Helper()
		var st Stats
		s.Stats(&st)
		if st.Members != want {
			t.Fatalf("%d members, want %d", st.Members, want)
		}
	}
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	check(1)
	s.Receive(at(0), AppendRR(nil, 2, nil), nil)
	check(1)
	s.Receive(at(10), AppendRR(nil, 2, nil), nil)
	check(2)
	s.Receive(at(20), AppendSDES(AppendRR(nil, 3, nil), 3, "three"), nil)
	check(3)
	if s.Name(3) != "three" || s.Name(2) != "" {
		t.Errorf("names %q and %q", s.Name(3), s.Name(2))
	}
	r.Update(0, 0, at(30))
	s.census(at(31))
	check(3)
	r.Update(1, 160, at(50))
	s.census(at(51))
	check(4)
	if got := events(s, at(60), AppendBYE(AppendRR(nil, 4, nil), 4, "x")); !slices.Equal(got, []string{"goodbye 4 x"}) {
		t.Errorf("events %q", got)
	}
	check(3)
	if got := events(s, at(61), AppendBYE(AppendRR(nil, 4, nil), 4, "x")); len(got) != 0 {
		t.Errorf("events %q", got)
	}
	r.Update(2, 320, at(70))
	s.Receive(at(80), AppendSDES(AppendRR(nil, 4, nil), 4, "four"), nil)
	s.census(at(2055))
	check(3)
	r.Update(3, 480, at(2070))
	s.census(at(2080))
	check(4)
	r.Init(5, 8000) // the entry is used for another source
	r.Update(0, 0, at(2090))
	r.Update(1, 0, at(2110))
	s.census(at(2111))
	check(5)
}

func TestMemberTableIsBounded(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	for i := range uint32(3 * MaxMembers) {
		s.Receive(epoch, AppendSDES(AppendRR(nil, 10+i, nil), 10+i, "x"), nil)
	}
	var st Stats
	s.Stats(&st)
	if st.Members != MaxMembers+1 || st.Overflow != 2*2*MaxMembers {
		t.Errorf("%d members, %d overflow", st.Members, st.Overflow)
	}
	s.Receive(epoch, AppendBYE(AppendRR(nil, 10, nil), 10, ""), nil)
	s.Receive(epoch, AppendSDES(AppendRR(nil, 5000, nil), 5000, "new"), nil)
	s.Stats(&st)
	if s.Name(5000) != "new" || st.Members != MaxMembers+1 || len(s.members) != MaxMembers {
		t.Errorf("%q, %d members", s.Name(5000), st.Members)
	}
	s.Receive(epoch, AppendRR(nil, 6000, []ReportBlock{{SSRC: 1, Lost: 3}}), nil)
	s.Stats(&st)
	if st.Remote.Block.Lost != 3 {
		t.Error("a report of one who is not in the table is lost")
	}
}

// The sender report of a source reaches its reception.
func TestSenderReportMapsTimestamps(t *testing.T) {
	r := heard(7, epoch)
	s := newSession(Config{SSRC: 1, Sources: func(dst []*Reception) []*Reception { return append(dst, r) }})
	s.Receive(epoch, AppendSR(nil, 7, SenderInfo{NTP: NTP(epoch.Add(time.Hour)), Timestamp: 8000}, nil), nil)
	if got := r.Captured(4000); !got.Equal(epoch.Add(time.Hour - 500*time.Millisecond)) {
		t.Errorf("captured at %v", got)
	}
	now, b := report(t, s)
	for m, err := range Members(b) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == TypeRR {
			block := parseBlock(m.Body[4:])
			if block.LastSR != middle(NTP(epoch.Add(time.Hour))) || block.Delay != shortUnits(now.Sub(epoch)) {
				t.Errorf("block %+v", block)
			}
		}
	}
}

// A source may report before it is heard: its timestamps are mapped by that, unless it
// was long ago, and it is not answered, since nobody knows when it counted.
func TestReportBeforeTheSourceIsHeard(t *testing.T) {
	for name, tt := range map[string]struct {
		ssrc  uint32
		after time.Duration
		want  bool
	}{
		"at once":        {7, 0, true},
		"in time":        {7, 5 * time.Second, true},
		"too late":       {7, 5*time.Second + 1, false},
		"another source": {8, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var all []*Reception
			s := newSession(Config{SSRC: 1, Sources: func(dst []*Reception) []*Reception { return append(dst, all...) }})
			s.Heard(epoch, heard(7, epoch)) // without any report
			s.Receive(epoch, AppendSR(nil, tt.ssrc, SenderInfo{NTP: NTP(epoch.Add(time.Hour)), Timestamp: 8000}, nil), nil)
			now := epoch.Add(tt.after)
			r := heard(7, now)
			all = append(all, r)
			s.Heard(now, r)
			if got := r.Captured(8000).Equal(epoch.Add(time.Hour)); got != tt.want || r.Mapped().Equal(now) != tt.want {
				t.Errorf("captured at %v, mapped at %v", r.Captured(8000), r.Mapped())
			}
			if b := r.Report(now.Add(time.Second)); b.LastSR != 0 || b.Delay != 0 {
				t.Errorf("block %+v", b)
			}
			again := heard(7, now)
			if s.Heard(now, again); tt.want && !again.Mapped().IsZero() {
				t.Error("a report counts twice")
			}
		})
	}
}
