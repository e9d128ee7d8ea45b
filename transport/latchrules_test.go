package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var nowhere netip.AddrPort

func symmetric(t *testing.T, at netip.AddrPort) *Latch {
	t.Helper()
	l := NewLatch(LatchConfig{Mode: LatchSymmetric, ClockRate: pcmu})
	l.SetSignalled(epoch, at, nowhere)
	return l
}

// stream sends n packets 20 ms apart and returns how many were delivered.
func stream(l *Latch, begin time.Time, from netip.AddrPort, v *voice, n int) int {
	heard := 0
	for i := range n {
		if l.RTP(begin.Add(ms(20*i)), from, v.next()).Deliver {
			heard++
		}
	}
	return heard
}

func wantRemote(t *testing.T, l *Latch, rtp, rtcp netip.AddrPort) {
	t.Helper()
	if a, b, ok := l.Remote(); a != rtp || b != rtcp || ok != rtp.IsValid() {
		t.Errorf("remote %v and %v, %v; want %v and %v", a, b, ok, rtp, rtcp)
	}
}

func TestLatchLearns(t *testing.T) {
	l := symmetric(t, signalled)
	wantRemote(t, l, signalled, port(signalled, 5005))
	v := newVoice(1)
	for i := range 10 {
		d := l.RTP(after(ms(20*i)), public, v.next())
		want := Decision{Reason: LatchCandidate}
		if i >= 3 {
			want = Decision{Deliver: true, Moved: i == 3}
		}
		if d != want {
			t.Errorf("packet %d: %+v, want %+v", i, d, want)
		}
	}
	wantRemote(t, l, public, port(public, 31001))
	want := LatchStats{Locks: 1, Moves: 1}
	want.Decisions[LatchHeard], want.Decisions[LatchCandidate] = 7, 3
	if got := l.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Where only the address counts, its ports may be any, and media stays where it
// was signalled.
func TestLatchSignalledAddress(t *testing.T) {
	l := NewLatch(LatchConfig{})
	wantRemote(t, l, nowhere, nowhere)
	mapped := netip.AddrPortFrom(netip.AddrFrom16(public.Addr().As16()), 5004)
	l.SetSignalled(epoch, mapped, port(public, 7777))
	for p := 1; p < 65536; p += 999 {
		if d := l.RTP(epoch, port(mapped, p), LatchHeader{}); d != (Decision{Deliver: true}) {
			t.Fatalf("port %d: %+v", p, d)
		}
	}
	wantRemote(t, l, port(public, 5004), port(public, 7777))

	reports := netip.MustParseAddrPort("198.51.100.8:9") // of another host (RFC 3605)
	l.SetSignalled(epoch, mapped, reports)
	for from, want := range map[netip.AddrPort]bool{reports: true, port(reports, 10): true, public: true, attacker: false} {
		if d := l.RTCP(epoch, from); d.Deliver != want {
			t.Errorf("RTCP of %v: %+v", from, d)
		}
	}
}

// What a candidate has sent before another was locked, or another address was signalled,
// proves nothing afterwards.
func TestLatchProofIsForgotten(t *testing.T) {
	for _, lock := range []bool{false, true} {
		l := symmetric(t, signalled)
		v := newVoice(1)
		if n := stream(l, epoch, attacker, v, 3); n != 0 {
			t.Fatalf("%d packets delivered", n)
		}
		at := after(ms(60))
		if lock {
			stream(l, at, signalled, newVoice(2), 1)
		} else {
			l.SetSignalled(at, public, nowhere)
		}
		if l.candidates != nil {
			t.Errorf("lock %v: %d candidates are kept", lock, len(l.candidates))
		}
		if n := stream(l, at, attacker, v, 3); n != 0 {
			t.Errorf("lock %v: %d packets delivered", lock, n)
		}
	}
}

// Two telephones that one call rings at send from ports of one address: the one that
// answered is heard, or else whoever is left.
func TestLatchSignalledPortFirst(t *testing.T) {
	l := NewLatch(LatchConfig{})
	l.SetSignalled(epoch, port(public, 5004), nowhere)
	for _, step := range []struct {
		at    int // ms
		port  int
		heard bool
	}{
		{0, 6004, true}, // the signalled one does not send yet
		{20, 5004, true},
		{21, 6004, false},
		{219, 6004, false},
		{220, 6004, true}, // it has ceased to
		{230, 5004, true},
		{240, 6004, false},
	} {
		if got := l.RTP(after(ms(step.at)), port(public, step.port), LatchHeader{}).Deliver; got != step.heard {
			t.Errorf("port %d at %d ms: %v", step.port, step.at, got)
		}
	}
	l.SetSignalled(after(ms(250)), port(public, 6004), nowhere)
	for p, want := range map[int]bool{6004: true, 5004: false} {
		l.RTP(after(ms(259)), port(public, 6004), LatchHeader{})
		if got := l.RTP(after(ms(260)), port(public, p), LatchHeader{}).Deliver; got != want {
			t.Errorf("port %d after the other one was signalled: %v", p, got)
		}
	}
}

func TestLatchStrict(t *testing.T) {
	l := NewLatch(LatchConfig{Mode: LatchStrict})
	if l.RTP(epoch, public, LatchHeader{}).Deliver || l.RTCP(epoch, public).Deliver {
		t.Error("heard without being signalled")
	}
	l.SetSignalled(epoch, public, nowhere)
	for p, want := range map[int]bool{31000: true, 31001: false, 30999: false} {
		if got := l.RTP(epoch, port(public, p), LatchHeader{}).Deliver; got != want {
			t.Errorf("RTP from port %d: %v", p, got)
		}
	}
	for p, want := range map[int]bool{31000: true, 31001: true, 30999: false} {
		if got := l.RTCP(epoch, port(public, p)).Deliver; got != want {
			t.Errorf("RTCP from port %d: %v", p, got)
		}
	}
}

// The signalled address takes its place from any other, once it has proved
// itself; and the IP address that was signalled does from those elsewhere.
func TestLatchSignalledAddressWins(t *testing.T) {
	l := symmetric(t, signalled)
	other := newVoice(1)
	stream(l, epoch, attacker, other, 50)
	wantRemote(t, l, attacker, port(attacker, 4445))
	host, exact := newVoice(2), newVoice(3)
	if n := stream(l, after(time.Second), port(signalled, 9), host, 10); n != 7 {
		t.Errorf("%d of 10 packets from the signalled host", n)
	}
	if n := stream(l, after(2*time.Second), signalled, exact, 10); n != 7 {
		t.Errorf("%d of 10 packets from the signalled address", n)
	}
	wantRemote(t, l, signalled, port(signalled, 5005))
	if n := stream(l, after(2200*time.Millisecond), attacker, other, 50); n != 0 {
		t.Errorf("%d packets from elsewhere beside it", n)
	}
}

// What was heard for less than 5 s only, as here, gives way to anybody after a
// silence of Reopen.
func TestLatchReopens(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("198.51.100.99:7000")
	for name, tt := range map[string]struct {
		signalled netip.AddrPort
		reopen    time.Duration
		silence   time.Duration
		from      netip.AddrPort
		ssrc      uint32
		heard     int // of 10
	}{
		"learnt, too early":            {nowhere, 0, 4900 * time.Millisecond, elsewhere, 2, 2},
		"learnt":                       {nowhere, 0, 5 * time.Second, elsewhere, 2, 7},
		"learnt, never":                {nowhere, -1, time.Hour, elsewhere, 2, 0},
		"learnt, after 1 s":            {nowhere, time.Second, time.Second, elsewhere, 2, 7},
		"signalled, another":           {signalled, 0, time.Hour, elsewhere, 2, 7},
		"signalled, same stream":       {signalled, 0, 5 * time.Second, elsewhere, 1, 7},
		"signalled, same host":         {signalled, 0, 5 * time.Second, port(public, 9), 2, 7},
		"signalled, the old one again": {signalled, 0, time.Hour, public, 2, 10},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLatch(LatchConfig{Mode: LatchSymmetric, Reopen: tt.reopen, ClockRate: pcmu})
			l.SetSignalled(epoch, tt.signalled, nowhere)
			v := newVoice(1)
			stream(l, epoch, public, v, 10) // the last at 180 ms
			if tt.ssrc != 1 {
				v = newVoice(tt.ssrc)
			}
			if n := stream(l, after(ms(180)+tt.silence), tt.from, v, 10); n != tt.heard {
				t.Errorf("%d of 10 packets delivered, want %d", n, tt.heard)
			}
		})
	}
}

// A new answer opens the lock; the one that it replaces is not learnt again
// while it fades out. A refreshed one changes nothing, and 0.0.0.0 only stops
// sending.
func TestLatchRenegotiation(t *testing.T) {
	l := symmetric(t, signalled)
	first, second := newVoice(1), newVoice(2)
	stream(l, epoch, public, first, 10)
	l.SetSignalled(after(ms(200)), signalled, nowhere)
	if n := stream(l, after(ms(200)), public, first, 10); n != 10 {
		t.Errorf("%d of 10 packets after a refresh", n)
	}
	l.SetSignalled(after(ms(400)), netip.MustParseAddrPort("0.0.0.0:5004"), nowhere)
	wantRemote(t, l, nowhere, nowhere)
	if n := stream(l, after(ms(400)), public, first, 10); n != 10 {
		t.Errorf("%d of 10 packets on hold", n)
	}
	l.SetSignalled(after(ms(600)), signalled, nowhere)
	wantRemote(t, l, public, port(public, 31001))

	transferred := netip.MustParseAddrPort("10.0.0.9:6000")
	l.SetSignalled(after(ms(600)), transferred, nowhere)
	wantRemote(t, l, transferred, port(transferred, 6001))
	if n := stream(l, after(ms(600)), public, first, 50); n != 0 {
		t.Errorf("%d packets of who was replaced", n)
	}
	seen := netip.MustParseAddrPort("198.51.100.99:7000")
	if n := stream(l, after(ms(1600)), seen, second, 10); n != 7 {
		t.Errorf("%d of 10 packets of the new far end", n)
	}
	wantRemote(t, l, seen, port(seen, 7001))
	if l.SetSignalled(after(ms(1800)), nowhere, nowhere); l.source.locked {
		t.Error("locked although nobody is signalled")
	}
	wantRemote(t, l, nowhere, nowhere)
	if n := stream(l, after(ms(3810)), seen, second, 10); n != 7 {
		t.Errorf("%d of 10 packets when it is learnt again", n)
	}
}

// Where another port of the same host was signalled, as by one server for who answers
// first and for who takes the call, the goodbye of the one before is not that of the call.
func TestLatchGoodbyeOfTheReplaced(t *testing.T) {
	for _, mux := range []bool{false, true} {
		l := NewLatch(LatchConfig{Mux: mux})
		rtcp := func(a netip.AddrPort) netip.AddrPort {
			if mux {
				return a
			}
			return port(a, int(a.Port())+1)
		}
		next := port(signalled, int(signalled.Port())+100)
		l.SetSignalled(epoch, signalled, nowhere)
		if !l.RTCP(epoch, rtcp(signalled)).Deliver {
			t.Error("who was signalled is not heard")
		}
		l.SetSignalled(epoch, next, nowhere)
		for _, tt := range []struct {
			from netip.AddrPort
			at   time.Duration
			want bool
		}{
			{rtcp(signalled), 0, false},
			{rtcp(signalled), leaving - 1, false},
			{rtcp(next), 0, true},
			{port(next, 9999), 0, true},
			{rtcp(signalled), leaving, true},
		} {
			if d := l.RTCP(after(tt.at), tt.from); d.Deliver != tt.want {
				t.Errorf("mux %v, RTCP of %v after %v: %+v", mux, tt.from, tt.at, d)
			}
		}
		l.SetSignalled(epoch, signalled, rtcp(next)) // RTP alone moves
		if !l.RTCP(epoch, rtcp(next)).Deliver {
			t.Error("RTCP that has not moved is not heard")
		}
	}
}

// On hold from the first offer on, nobody is learnt.
func TestLatchOnHold(t *testing.T) {
	l := symmetric(t, netip.MustParseAddrPort("[::]:5004"))
	if n := stream(l, epoch, public, newVoice(1), 100); n != 0 {
		t.Errorf("%d packets delivered", n)
	}
	wantRemote(t, l, nowhere, nowhere)
}

func TestLatchUnsuitableAddresses(t *testing.T) {
	for _, from := range []string{
		"0.0.0.0:5004", "[::]:5004", "224.0.0.1:5004", "[ff02::1]:5004", "255.255.255.255:5004",
		"198.51.100.7:0", "127.0.0.1:5004", "[::1]:5004", "[::ffff:127.0.0.1]:5004",
	} {
		l := NewLatch(LatchConfig{})
		stream(l, epoch, netip.MustParseAddrPort(from), newVoice(1), 20)
		if s := l.Stats(); s.Decisions[LatchUnsuitable] != 20 {
			t.Errorf("%s: %+v", from, s)
		}
	}
	if d := NewLatch(LatchConfig{}).RTP(epoch, nowhere, LatchHeader{}); d.Reason != LatchUnsuitable {
		t.Errorf("no address: %+v", d)
	}
	if d := NewLatch(LatchConfig{}).RTCP(epoch, nowhere); d.Reason != LatchUnsuitable {
		t.Errorf("no address: %+v", d)
	}
	here := netip.MustParseAddrPort("127.0.0.1:5004")
	l := NewLatch(LatchConfig{AllowLoopback: true})
	if n := stream(l, epoch, here, newVoice(1), 10); n != 7 {
		t.Errorf("%d of 10 packets from this machine", n)
	}
	l = symmetric(t, port(here, 6000))
	if n := stream(l, epoch, here, newVoice(1), 10); n != 7 {
		t.Errorf("%d of 10 packets from this machine, which was signalled", n)
	}
}

func TestLatchRTCP(t *testing.T) {
	l := symmetric(t, signalled)
	if d := l.RTCP(epoch, port(signalled, 5005)); !d.Deliver {
		t.Error("RTCP from where it was signalled is not heard before the first packet")
	}
	if d := l.RTCP(epoch, public); d.Deliver {
		t.Error("RTCP alone is heard from elsewhere")
	}
	v := newVoice(1)
	stream(l, epoch, public, v, 10)
	if d := l.RTCP(after(ms(200)), port(public, 32000)); d != (Decision{Deliver: true, Moved: true}) {
		t.Errorf("RTCP of the locked host: %+v", d)
	}
	wantRemote(t, l, public, port(public, 32000))
	if n := l.Stats().Moves; n != 2 {
		t.Errorf("%d moves, want that of media and that of reports", n)
	}
	mapped := netip.AddrPortFrom(netip.AddrFrom16(public.Addr().As16()), 32000)
	if d := l.RTCP(after(ms(200)), mapped); d != (Decision{Deliver: true}) {
		t.Errorf("RTCP of the locked host in IPv6: %+v", d)
	}
	if d := l.RTCP(after(ms(200)), port(public, 0)); d.Moved {
		t.Error("moved to port 0")
	}
	if d := l.RTCP(after(ms(200)), port(public, 32000)); d.Moved {
		t.Error("moved to where it was")
	}

	// Where the far end is where it said, so is its RTCP, also at another host
	// (RFC 3605).
	l = NewLatch(LatchConfig{Mode: LatchSymmetric})
	reports := netip.MustParseAddrPort("198.51.100.8:9")
	l.SetSignalled(epoch, public, reports)
	stream(l, epoch, public, newVoice(1), 1)
	for _, from := range []netip.AddrPort{reports, port(public, 1)} {
		if d := l.RTCP(epoch, from); d != (Decision{Deliver: true}) {
			t.Errorf("RTCP from %v: %+v", from, d)
		}
	}
	wantRemote(t, l, public, reports)

	l = NewLatch(LatchConfig{Mux: true})
	stream(l, epoch, public, newVoice(1), 4)
	l.RTCP(epoch, port(public, 5))
	wantRemote(t, l, public, public)
	l = NewLatch(LatchConfig{})
	stream(l, epoch, port(public, 65535), newVoice(1), 4)
	wantRemote(t, l, port(public, 65535), nowhere)
}

// One port for both was offered and is turned down, or the other way round: where
// RTCP goes follows what is agreed.
func TestLatchSetMux(t *testing.T) {
	for _, mux := range []bool{false, true} {
		l := NewLatch(LatchConfig{Mode: LatchSymmetric, Mux: !mux})
		rtcp := func(a netip.AddrPort) netip.AddrPort {
			if mux {
				return a
			}
			return port(a, int(a.Port())+1)
		}
		l.SetMux(mux)
		l.SetSignalled(epoch, signalled, nowhere)
		wantRemote(t, l, signalled, rtcp(signalled))
		stream(l, epoch, public, newVoice(1), 4)
		wantRemote(t, l, public, rtcp(public))
		if d := l.RTCP(after(ms(80)), port(public, 32000)); d != (Decision{Deliver: true, Moved: !mux}) {
			t.Errorf("mux %v: RTCP from another port: %+v", mux, d)
		}
	}
}

// Streams whose packets do not come one by one are learnt too.
func TestLatchLearnsUnevenStreams(t *testing.T) {
	type packet struct {
		at int // ms
		ts uint32
	}
	for name, tt := range map[string]struct {
		packets []packet
		first   int // the first that is delivered
	}{
		"bursts of four every 80 ms": {[]packet{{0, 0}, {0, 160}, {0, 320}, {0, 480}, {80, 640}}, 4},
		"a late first packet":        {[]packet{{18, 0}, {20, 160}, {40, 320}, {60, 480}}, 3},
		"ten times 10 ms":            {[]packet{{0, 0}, {10, 80}, {20, 160}, {30, 240}}, 3},
		"pictures of three packets": {
			[]packet{{0, 0}, {0, 0}, {0, 0}, {33, 264}, {33, 264}, {33, 264}, {66, 528}, {66, 528}, {66, 528}, {100, 800}}, 9,
		},
		"five at once begin anew": {[]packet{{0, 0}, {0, 160}, {0, 320}, {0, 480}, {0, 640}, {20, 800}, {40, 960}, {60, 1120}}, 7},
		"far ahead begins anew":   {[]packet{{0, 0}, {20, 8000}, {40, 8160}, {60, 8320}, {80, 8480}}, 4},
		"timestamps go back":      {[]packet{{0, 640}, {20, 480}, {40, 320}, {60, 160}, {80, 320}, {100, 480}, {120, 640}}, 6},
		"back, then too fast":     {[]packet{{0, 8000}, {20, 0}, {30, 160}, {40, 320}, {50, 480}}, 5},
		"a pause begins anew":     {[]packet{{0, 0}, {20, 160}, {40, 320}, {1100, 8800}, {1120, 8960}, {1140, 9120}, {1160, 9280}}, 6},
		"comfort noise":           {[]packet{{0, 0}, {200, 1600}, {400, 3200}, {600, 4800}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLatch(LatchConfig{ClockRate: pcmu})
			for i, p := range tt.packets {
				d := l.RTP(after(ms(p.at)), public, LatchHeader{Seq: uint16(i), Timestamp: p.ts, SSRC: 1})
				if d.Deliver != (i >= tt.first) {
					t.Errorf("packet %d: %+v", i, d)
				}
			}
		})
	}
}

// Pictures that are made from later ones are sent after these (B pictures), and their
// timestamps go back. Video whose timestamps are all over the place proves nothing.
func TestLatchLearnsFromPictures(t *testing.T) {
	for name, tt := range map[string]struct {
		frames []int // in the order of sending, 40 ms apart
		first  int   // the first that is delivered; negative: none
	}{
		"one between":    {[]int{0, 2, 1, 4, 3, 6, 5, 8}, 5},
		"two between":    {[]int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8}, 7},
		"a pyramid":      {[]int{0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9}, 10},
		"backward":       {[]int{50, 49, 48, 47, 46, 45, 44}, -1},
		"too far":        {[]int{0, 100, 1, 101, 2, 102, 3, 103}, -1},
		"back and begin": {[]int{100, 0, 1, 2, 3, 4}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLatch(LatchConfig{ClockRate: func(uint8) int { return 90000 }})
			for i, n := range tt.frames {
				for k := range 3 { // packets of a picture
					h := LatchHeader{Seq: uint16(3*i + k), Timestamp: uint32(3600*n - 7200), SSRC: 1}
					d := l.RTP(after(ms(40*i)), public, h)
					if want := tt.first >= 0 && i >= tt.first; d.Deliver != want {
						t.Errorf("picture %d, packet %d: %+v", i, k, d)
					}
				}
			}
		})
	}
}

// Slides come seconds apart, and prove themselves too.
func TestLatchLearnsFromSlides(t *testing.T) {
	for _, tt := range []struct {
		apart time.Duration
		want  bool
	}{{3 * time.Second, true}, {10 * time.Second, true}, {11 * time.Second, false}} {
		l := NewLatch(LatchConfig{ClockRate: func(uint8) int { return 90000 }})
		for i := range 5 {
			at := time.Duration(i) * tt.apart
			d := l.RTP(after(at), public, LatchHeader{Seq: uint16(i), Timestamp: uint32(at.Seconds() * 90000), SSRC: 1})
			if want := tt.want && i >= 3; d.Deliver != want {
				t.Errorf("%v apart, picture %d: %+v", tt.apart, i, d)
			}
		}
	}
}

// Who sends each packet twice, at once or with the next one, is learnt as soon as who
// does not; and one packet again and again proves nothing.
func TestLatchLearnsFromCopies(t *testing.T) {
	for name, config := range map[string]LatchConfig{"learnt": {ClockRate: pcmu}, "any type": {}, "first": {Mode: LatchFirst, ClockRate: pcmu}} {
		first := 3
		if config.Mode == LatchFirst {
			first = 1
		}
		for _, late := range []int{0, 20} {
			l := NewLatch(config)
			v := newVoice(1)
			var last LatchHeader
			for i := range 8 {
				if i > 0 && late > 0 {
					l.RTP(after(ms(20*(i-1)+late)), public, last)
				}
				last = v.next()
				if d := l.RTP(after(ms(20*i)), public, last); d.Deliver != (i >= first) {
					t.Errorf("%s, copies after %d ms: packet %d: %+v", name, late, i, d)
				}
				if late == 0 {
					l.RTP(after(ms(20*i)), public, last)
				}
			}
		}
		l := NewLatch(config)
		h := newVoice(1).next()
		for i := range 500 {
			if d := l.RTP(after(ms(20*i)), public, h); d.Deliver {
				t.Fatalf("%s: one packet, for the time %d: %+v", name, i+1, d)
			}
		}
	}
}

// A telephone event proves a source, by the pace of its packets; in a burst, or
// by another payload type, the same timestamp again and again does not.
func TestLatchLearnsFromEvents(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kind  uint8
		step  int // ms
		first int // the first that is delivered; negative: none
	}{
		{"20 ms apart", 101, 20, 3},
		{"50 ms apart", 101, 50, 3},
		{"at once", 101, 0, -1},
		{"of another type", 0, 20, -1},
	} {
		l := NewLatch(LatchConfig{
			ClockRate: func(uint8) int { return 8000 },
			Event:     func(payloadType uint8) bool { return payloadType == 101 },
		})
		for i := range 8 {
			d := l.RTP(after(ms(i*tt.step)), public, LatchHeader{PayloadType: tt.kind, Seq: uint16(i), Timestamp: 7, SSRC: 1})
			if want := tt.first >= 0 && i >= tt.first; d.Deliver != want {
				t.Errorf("%s: packet %d: %+v", tt.name, i, d)
			}
		}
	}
}

// A table full of candidates that go on is closed to more of them, but not to the
// signalled host; one that stopped makes room.
func TestLatchCandidatesAreBounded(t *testing.T) {
	l := symmetric(t, signalled)
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 4444)
	}
	send := func(now time.Time, from netip.AddrPort, seq int) bool {
		return l.RTP(now, from, LatchHeader{Seq: uint16(seq), Timestamp: uint32(160 * seq), SSRC: 1}).Deliver
	}
	for seq := range 3 {
		for i := range maxCandidates {
			send(after(ms(20*seq)), at(i), seq)
		}
	}
	full := slices.Clone(l.candidates)
	for seq := range 10 {
		if send(after(ms(60+20*seq)), public, seq) {
			t.Error("learnt without a place")
		}
	}
	if !slices.Equal(l.candidates, full) {
		t.Error("a newcomer took a place")
	}
	for seq := range 4 {
		if got := send(after(ms(300+20*seq)), port(signalled, 9), seq); got != (seq == 3) {
			t.Errorf("packet %d of the signalled host delivered: %v", seq, got)
		}
	}
	l = symmetric(t, signalled)
	l.candidates = full
	for seq := range 4 {
		if got := send(after(ms(1100+20*seq)), public, seq); got != (seq == 3) {
			t.Errorf("packet %d after the others have stopped delivered: %v", seq, got)
		}
	}
	// Newcomers push out only each other.
	l = symmetric(t, signalled)
	for i := range 100 {
		send(epoch, port(attacker, 1+i), 0)
		send(epoch, at(i), 0)
	}
	n := 0
	for _, c := range l.candidates {
		if network(c.addr) == network(attacker) {
			n++
		}
	}
	if n > perNetwork {
		t.Errorf("%d candidates of one address", n)
	}
}

// Whoever comes from a third port of its network, which has its places, gets that of the
// one which stopped first, and no other network loses its own.
func TestLatchThirdPort(t *testing.T) {
	for host, elsewhere := range map[string]string{"203.0.113.9": "203.0.114.9", "2001:db8:1:2::9": "2001:db8:1:3::9"} {
		l := symmetric(t, signalled)
		send := func(at int, from netip.AddrPort, seq int) bool {
			return l.RTP(after(ms(at)), from, LatchHeader{Seq: uint16(seq), Timestamp: uint32(160 * seq), SSRC: 1}).Deliver
		}
		a := netip.AddrPortFrom(netip.MustParseAddr(host), 1000)
		neighbour := netip.AddrPortFrom(a.Addr().Next(), 1000) // another network in IPv4 alone
		send(0, public, 0)                                     // stops before the others
		send(20, public, 1)
		for seq := range 3 {
			send(100+20*seq, a, seq)
			send(600+20*seq, port(a, 1001), seq)
		}
		if send(700, port(a, 1002), 0); slices.ContainsFunc(l.candidates, func(c candidate) bool { return c.addr.Port() == 1002 }) {
			t.Errorf("%s: a third port has a place beside two that go on", host)
		}
		if send(710, neighbour, 0); slices.ContainsFunc(l.candidates, func(c candidate) bool { return c.addr == neighbour }) != a.Addr().Is4() {
			t.Errorf("%s: the place of a neighbour", host)
		}
		other := netip.AddrPortFrom(netip.MustParseAddr(elsewhere), 1)
		if send(710, other, 0); !slices.ContainsFunc(l.candidates, func(c candidate) bool { return c.addr == other }) {
			t.Errorf("%s: %v has no place", host, other)
		}
		for seq := range 4 {
			if got := send(1200+20*seq, port(a, 1002), seq); got != (seq == 3) {
				t.Errorf("%s: packet %d of a third port after the first one has stopped delivered: %v", host, seq, got)
			}
			if seq < 3 && !slices.ContainsFunc(l.candidates, func(c candidate) bool { return c.addr == public }) {
				t.Fatalf("%s: another network has lost its place", host)
			}
		}
	}
}

// A stream goes on at another port only where it could be by then.
func TestLatchRebindWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead int
		pause int // ms
		want  bool
	}{
		"next":         {1, 60, true},
		"too early":    {1, 59, false},
		"window":       {250, 2000, true},
		"beyond it":    {251, 2000, false},
		"the last one": {0, 2000, false},
		"before it":    {-1, 2000, false},
	} {
		l := NewLatch(LatchConfig{})
		v := newVoice(1)
		stream(l, epoch, public, v, 100)
		// A clock that goes back does not make the source silent for longer.
		l.RTP(epoch, public, v.h)
		h := v.h
		h.Seq += uint16(tt.ahead)
		if d := l.RTP(after(ms(99*20+tt.pause)), port(public, 9), h); d.Deliver != tt.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// The source counts as silent when three of its packets are missing, which are at least
// 60 and at most 180 ms. A pause of a second says nothing of its packets.
func TestLatchRebindSilence(t *testing.T) {
	for _, tt := range []struct{ every, pause, least int }{ // ms
		{10, 0, 60},
		{20, 0, 60},
		{30, 0, 90},
		{50, 0, 150},
		{60, 0, 180},
		{100, 0, 180},
		{30, 1000, 90},
		{30, 999, 180},
	} {
		for _, silence := range []int{tt.least - 1, tt.least} {
			l := NewLatch(LatchConfig{})
			v := newVoice(1)
			at := 0
			for n := range 200 {
				if n == 199 && tt.pause > 0 {
					at += tt.pause - tt.every
				}
				l.RTP(after(ms(at)), public, v.next())
				at += tt.every
			}
			silent := at - tt.every + silence
			if d := l.RTP(after(ms(silent)), port(public, 9), v.next()); d.Deliver != (silence == tt.least) {
				t.Errorf("packets of %d ms, and a pause of %d, after %d ms: %+v", tt.every, tt.pause, silence, d)
			}
		}
	}
}

func TestLatchDoesNotAllocate(t *testing.T) {
	l := symmetric(t, signalled)
	v, evil := newVoice(1), newVoice(2)
	now, p := epoch, 0
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(ms(20))
		p = p%60000 + 1
		l.RTP(now, port(attacker, p), evil.next())
		l.RTP(now, public, v.next())
		l.RTCP(now, attacker)
		l.RTCP(now, public)
		if p%100 == 0 {
			l.SetSignalled(now, port(signalled, p), nowhere)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleLatch() {
	l := NewLatch(LatchConfig{Mode: LatchSymmetric})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l.SetSignalled(now, netip.MustParseAddrPort("192.168.1.20:5004"), netip.AddrPort{})
	from := netip.MustParseAddrPort("198.51.100.7:31000")
	for i := range 5 {
		d := l.RTP(now, from, LatchHeader{Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 7})
		rtp, _, _ := l.Remote()
		fmt.Println(d.Reason, rtp)
		now = now.Add(20 * time.Millisecond)
	}
	// Output:
	// candidate 192.168.1.20:5004
	// candidate 192.168.1.20:5004
	// candidate 192.168.1.20:5004
	// heard 198.51.100.7:31000
	// heard 198.51.100.7:31000
}

// The first mode takes the first source of two packets at any pace, and then
// holds on to it as the others do.
func TestLatchFirst(t *testing.T) {
	now := time.Now()
	friend, stranger := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("203.0.113.9:4000")
	l := NewLatch(LatchConfig{Mode: LatchFirst, ClockRate: pcmu})
	packet := func(from netip.AddrPort, ssrc uint32, seq uint16) Decision {
		return l.RTP(now, from, LatchHeader{Seq: seq, Timestamp: 160 * uint32(seq), SSRC: ssrc})
	}
	if d := packet(friend, 1, 10); d.Deliver || d.Reason != LatchCandidate {
		t.Errorf("first packet: %+v", d)
	}
	if d := packet(friend, 1, 11); !d.Deliver || !d.Moved {
		t.Errorf("second packet: %+v", d)
	}
	for seq := range uint16(100) {
		now = now.Add(20 * time.Millisecond)
		packet(friend, 1, 12+seq)
		if d := packet(stranger, 2, seq); d.Deliver {
			t.Fatalf("stranger: %+v", d)
		}
	}
	// Once it is silent, another one has to prove itself.
	now = now.Add(6 * time.Second)
	for seq := range uint16(4) {
		if d := packet(stranger, 2, 200+seq); d.Deliver {
			t.Fatalf("stranger in a burst: %+v", d)
		}
	}
	// An address that is signalled later is the only one.
	l.SetSignalled(now, friend, netip.AddrPort{})
	for seq := range uint16(50) {
		now = now.Add(20 * time.Millisecond)
		if d := packet(stranger, 2, 300+seq); d.Deliver {
			t.Fatalf("stranger beside a signalled end: %+v", d)
		}
	}
	if d := packet(friend, 1, 500); !d.Deliver {
		t.Errorf("the signalled end: %+v", d)
	}
}

// The packets of the first picture are a sequence too, but a copy is none.
func TestLatchFirstPicture(t *testing.T) {
	l := NewLatch(LatchConfig{Mode: LatchFirst, ClockRate: func(uint8) int { return 90000 }})
	for i, seq := range []uint16{7, 7, 8, 9} {
		if d := l.RTP(after(0), public, LatchHeader{Seq: seq, Timestamp: 1, SSRC: 1}); d.Deliver != (i >= 2) {
			t.Errorf("packet %d: %+v", i, d)
		}
	}
}

// A source that was settled gives way to its like only, if one was signalled.
func TestLatchReopensSettled(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("198.51.100.99:7000")
	for name, tt := range map[string]struct {
		signalled netip.AddrPort
		heard     int
	}{
		"learnt":    {nowhere, 7},
		"signalled": {signalled, 0},
	} {
		l := NewLatch(LatchConfig{Mode: LatchSymmetric, ClockRate: pcmu})
		l.SetSignalled(epoch, tt.signalled, nowhere)
		stream(l, epoch, public, newVoice(1), 300)
		if n := stream(l, after(time.Hour), elsewhere, newVoice(2), 10); n != tt.heard {
			t.Errorf("%s: %d of 10 packets delivered, want %d", name, n, tt.heard)
		}
	}
}

// An encoder that is started again, at another port and with another SSRC, is heard at
// once where its address was signalled, and after 5 s of silence where none was.
func TestLatchEncoderStartedAgain(t *testing.T) {
	for _, tt := range []struct {
		name        string
		signal      netip.AddrPort
		first, lost int
	}{
		{"from other ports", signalled, 40000, 0},
		{"from the signalled port", signalled, int(signalled.Port()), 0},
		{"nobody signalled", nowhere, 40000, 199 + 3}, // until 5 s after the last packet, and to prove itself
	} {
		l := NewLatch(LatchConfig{Mode: LatchSignalled, ClockRate: pcmu})
		l.SetSignalled(epoch, tt.signal, nowhere)
		stream(l, epoch, port(signalled, tt.first), newVoice(1), 250)
		again := epoch.Add(6 * time.Second) // a second after that ended
		if got := 500 - stream(l, again, port(signalled, 41000), newVoice(2), 500); got != tt.lost {
			t.Errorf("%s: %d packets were not heard, want %d", tt.name, got, tt.lost)
		}
	}
}
