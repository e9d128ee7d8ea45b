package rtcpctl

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
	"pgregory.net/rapid"
)

func lostOf(t testing.TB, b []byte) []uint16 {
	t.Helper()
	var lost []uint16
	for m, err := range Members(b) {
		if err != nil {
			t.Fatal(err)
		}
		lost = slices.AppendSeq(lost, m.Lost())
	}
	return lost
}

// Numbers that ascend, across the wrap too, are packed, read back, and read by
// pion/rtcp alike.
func TestNACKRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Uint16().Draw(t, "first")
		var lost []uint16
		for _, step := range rapid.SliceOfN(rapid.Uint16Range(1, 40), 1, 100).Draw(t, "steps") {
			lost = append(lost, seq)
			seq += step
		}
		b, taken := AppendNACK(nil, 5, 6, lost, MaxCompound)
		if taken != len(lost) {
			t.Fatalf("%d of %d", taken, len(lost))
		}
		for m, err := range Members(b) {
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lost, slices.Collect(m.Lost())); diff != "" {
				t.Fatal(diff)
			}
		}
		var p rtcp.TransportLayerNack
		if err := p.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		var theirs []uint16
		for _, pair := range p.Nacks {
			theirs = append(theirs, pair.PacketList()...)
		}
		if p.SenderSSRC != 5 || p.MediaSSRC != 6 || !slices.Equal(theirs, lost) {
			t.Fatalf("%v", p)
		}
	})
}

func TestNACKLimit(t *testing.T) {
	for _, c := range []struct {
		lost         []uint16
		limit, taken int
	}{
		{nil, 100, 0},
		{[]uint16{1}, 15, 0},
		{[]uint16{1}, 16, 1},
		{[]uint16{1, 17, 18, 40}, 16, 2},
		{[]uint16{1, 17, 18, 40}, 20, 3},
		{[]uint16{7, 7, 7}, 16, 3},
		{[]uint16{65535, 0, 1}, 16, 3},
		{[]uint16{0, 65535}, 16, 1}, // descending
	} {
		b, taken := AppendNACK([]byte("x"), 1, 2, c.lost, c.limit)
		if taken != c.taken || len(b)-1 > c.limit || taken == 0 && len(b) != 1 {
			t.Errorf("%v in %d: %d in %d bytes", c.lost, c.limit, taken, len(b)-1)
		}
	}
}

// A packet of another implementation, rebuilt from its fields.
func TestNACKVector(t *testing.T) {
	lost := []uint16{12, 32, 39, 54, 76, 110, 123, 142, 183, 187, 223, 236, 271, 292}
	b, _ := AppendNACK(nil, 2336520123, 4145934052, lost, MaxCompound)
	want := "81cd000c8b4477bbf71deee4000c00000020004000360000004c0000006e1000008e000000b7000800df1000010f000001240000"
	if got := rawHex(b); got != want || !slices.Equal(lostOf(t, b), lost) {
		t.Errorf("%s with %v, want %s", got, lostOf(t, b), want)
	}
}

// Feedback goes out at once, in a compound or alone, and then not before the
// interval without a minimum has passed.
func TestFeedback(t *testing.T) {
	for _, reduced := range []bool{false, true} {
		s := newSession(Config{SSRC: 1, CNAME: "a@b", ReducedSize: reduced, ClockRate: 8000})
		s.Receive(epoch, AppendSDES(AppendRR(nil, 2, nil), 2, "x"), nil)
		before := s.Next()
		b, ok := s.AppendFeedback(nil, epoch, Feedback{Media: 2, Lost: []uint16{9, 11}})
		if !ok {
			t.Fatal("no feedback")
		}
		nack := &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: 9, LostPackets: 2}}}
		want := []rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1, ProfileExtensions: []byte{}}, rtcp.NewCNAMESourceDescription(1, "a@b"), nack}
		if reduced {
			want = want[2:]
		}
		got, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b []rtcp.ReceptionReport) bool { return len(a) == len(b) })); diff != "" {
			t.Error(diff)
		}
		if reduced && len(b) != 16 {
			t.Errorf("%d bytes", len(b))
		}
		if s.Next() != before {
			t.Error("the next report has moved")
		}
		at, _ := s.NextFeedback()
		if wait := at.Sub(epoch); wait < 50*time.Millisecond || wait > time.Second {
			t.Errorf("next feedback after %v", wait)
		}
		if _, ok := s.AppendFeedback(nil, at.Add(-1), Feedback{Media: 2, Lost: []uint16{9}}); ok {
			t.Error("feedback too early")
		}
		if _, ok := s.AppendFeedback(nil, at, Feedback{Media: 2}); ok {
			t.Error("feedback about nothing")
		}
		if _, ok := s.AppendFeedback(nil, at, Feedback{Media: 2, Lost: []uint16{9}}); !ok {
			t.Error("no feedback in time")
		}
		if _, ok := s.AppendBye(nil, "", at); !ok {
			t.Error("no goodbye of one whose feedback was heard")
		}
		if _, ok := s.NextFeedback(); ok {
			t.Error("feedback after the goodbye")
		}
	}
}

// All the feedback that is allowed keeps to the share of RTCP.
func TestFeedbackShare(t *testing.T) {
	for _, reduced := range []bool{false, true} {
		s := newSession(Config{SSRC: 1, CNAME: "alice@example.com", ReducedSize: reduced, ClockRate: 8000, Bandwidth: 80000})
		other := AppendSDES(AppendRR(nil, 2, nil), 2, "bob@example.com")
		bytes, buf := 0, make([]byte, 0, MaxCompound)
		lost := []uint16{1, 50, 99}
		const span = 100 * time.Second
		for now := epoch; now.Sub(epoch) < span; now = now.Add(20 * time.Millisecond) {
			s.Sent(now, 0, 160)
			if now.Sub(epoch)%(5*time.Second) == 0 {
				s.Receive(now, other, nil)
			}
			if b, ok := s.AppendReport(buf, now); ok {
				bytes += len(b) + overhead
			}
			if b, ok := s.AppendFeedback(buf, now, Feedback{Media: 2, Lost: lost}); ok {
				bytes += len(b) + overhead
			}
		}
		share := 80000. / 8 * 0.05 * span.Seconds()
		t.Logf("%.2f of the share, %d packets of feedback", float64(bytes)/share, s.stats.Feedback)
		if float64(bytes) > share || s.stats.Feedback < 100 {
			t.Errorf("%d bytes, the share is %.0f; %d packets of feedback", bytes, share, s.stats.Feedback)
		}
	}
}

// What does not fit in a datagram is left out, and what was in the buffer stays.
func TestFeedbackFits(t *testing.T) {
	s := newSession(Config{SSRC: 1, CNAME: "a@b", ClockRate: 8000})
	var lost []uint16
	for i := range uint16(3000) {
		lost = append(lost, 20*i)
	}
	const before = 300
	b, ok := s.AppendFeedback(make([]byte, before), epoch, Feedback{Media: 2, Lost: lost, KeyFrame: true})
	if n := len(b) - before; !ok || n > MaxCompound || n <= MaxCompound-8 {
		t.Fatalf("%d bytes of at most %d, %v", n, MaxCompound, ok)
	}
	if _, err := rtcp.Unmarshal(b[before:]); err != nil {
		t.Error(err)
	}
}

func TestNoFeedbackInCrowds(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	for i := range uint32(4) {
		_, ok := s.NextFeedback()
		if !ok {
			t.Errorf("no feedback with %d others", i)
		}
		s.Receive(epoch, AppendSDES(AppendRR(nil, 2+i, nil), 2+i, "x"), nil)
	}
	if _, ok := s.AppendFeedback(nil, epoch, Feedback{Media: 2, Lost: []uint16{1}}); ok {
		t.Error("feedback in a crowd")
	}
	if _, ok := NewSession(Config{}).NextFeedback(); ok {
		t.Error("feedback before the start")
	}
}

func TestNacked(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	ours, _ := AppendNACK(nil, 2, 1, []uint16{65535, 3}, 100)
	others, _ := AppendNACK(nil, 2, 9, []uint16{4}, 100)
	for _, c := range []struct {
		name, want string
		b          []byte
		malformed  int64
	}{
		{"for us, bare", "nacked 2 [65535 3]", ours, 0},
		{"for another", "", others, 0},
		{"without entries", "", unhex(t, "81cd00020000000200000001"), 1},
		{"without media", "", unhex(t, "81cd000100000002"), 1},
		{"another format", "other 2 RTPFB/14", unhex(t, "8ecd00020000000200000001"), 0},
	} {
		before := s.stats.Malformed
		got := events(s, epoch, c.b)
		want := []string{c.want}
		if c.want == "" {
			want = nil
		}
		if !slices.Equal(got, want) || s.stats.Malformed-before != c.malformed {
			t.Errorf("%s: %q, %d malformed", c.name, got, s.stats.Malformed-before)
		}
	}
	if n := s.stats.Bare; n != 5 {
		t.Errorf("%d bare", n)
	}
}

func TestFeedbackAllocs(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	r := NewRequester(RequesterConfig{})
	h := NewHistory(HistoryConfig{})
	buf, lost := make([]byte, 0, MaxCompound), make([]uint16, 0, 256)
	packet := make([]byte, 172)
	now, seq, resent := epoch, int64(0), 0
	handle := func(e Event) {
		if e.Kind == Nacked {
			for q := range e.Member.Lost() {
				if _, ok := h.Again(now, 0, q); ok {
					resent++
				}
			}
		}
	}
	far := newSession(Config{SSRC: 2, ReducedSize: true})
	if a := testing.AllocsPerRun(2000, func() {
		now = now.Add(20 * time.Millisecond)
		seq++
		h.Sent(now, uint16(seq), packet)
		if seq%10 == 5 {
			r.Missing(now, 0, Hole{First: seq - 1, Count: 1, Deadline: now.Add(10 * time.Second)})
		}
		if at, ok := far.NextFeedback(); ok && !now.Before(at) {
			if lost = r.Append(lost[:0], now, 0); len(lost) > 0 {
				b, _ := far.AppendFeedback(buf, now, Feedback{Media: 1, Lost: lost})
				s.Receive(now, b, handle)
				r.Arrived(now, seq-2)
			}
		}
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if resent < 50 {
		t.Errorf("%d sent again", resent)
	}
}
