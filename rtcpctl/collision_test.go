package rtcpctl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestCollision(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:5000"), netip.MustParseAddrPort("192.0.2.2:5000")
	s := newSession(Config{SSRC: 1, CNAME: "a@b", ClockRate: 8000})
	s.Sent(epoch, 0, 160)
	report(t, s)
	now := s.Next()
	if !s.Collided(now, a) {
		t.Fatal("no collision")
	}
	bye, ok := s.AppendRename(nil, 77, now)
	if !ok {
		t.Fatal("no goodbye")
	}
	packets := parse(t, bye)
	if g, ok := packets[len(packets)-1].(*rtcp.Goodbye); !ok || g.Sources[0] != 1 || packets[0].(*rtcp.SenderReport).SSRC != 1 {
		t.Errorf("%v", packets)
	}
	if s.SSRC() != 77 || s.Next().IsZero() {
		t.Errorf("SSRC %d, next %v", s.SSRC(), s.Next())
	}
	// The same address again is a loop, however long, as long as it goes on.
	for range 100 {
		now = now.Add(40 * time.Second)
		if s.Collided(now, a) {
			t.Fatal("the SSRC changes for ever")
		}
	}
	if !s.Collided(now, b) {
		t.Error("another address is no collision")
	}
	if _, ok := s.AppendRename(nil, 78, now); ok {
		t.Error("a goodbye from one that was never heard")
	}
	// It is forgotten after ten intervals of silence.
	if now = now.Add(51 * time.Second); !s.Collided(now, a) {
		t.Error("an old loop is remembered")
	}
	var st Stats
	if s.Stats(&st); st.Collisions != 3 || st.Loops != 100 {
		t.Errorf("%d collisions, %d loops", st.Collisions, st.Loops)
	}
}

// Forged addresses do not make the SSRC change at will, nor take memory.
func TestCollisionFlood(t *testing.T) {
	s := newSession(Config{SSRC: 1})
	changes := uint32(0)
	for i := range 100000 {
		now := epoch.Add(time.Duration(i) * msec)
		if s.Collided(now, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)) {
			changes++
			s.AppendRename(nil, 1+changes, now)
		}
		if len(s.conflicts) > maxConflicts {
			t.Fatalf("%d addresses", len(s.conflicts))
		}
	}
	if changes > 20 {
		t.Errorf("%d changes in 100 s", changes)
	}
}

// With a new SSRC the sender's counts begin anew, and reports on the old one are
// not about us.
func TestSetSSRC(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000})
	s.Sent(epoch, 900, 160)
	at, _ := report(t, s)
	s.Receive(at.Add(time.Second), AppendRR(nil, 2, []ReportBlock{{SSRC: 1, Lost: 9, LastSR: middle(NTP(at))}}), nil)
	if s.RTT() == 0 {
		t.Fatal("no round trip")
	}
	s.SetSSRC(5)
	if _, ok := s.AppendBye(nil, "", at); ok {
		t.Error("a goodbye from one that was never heard")
	}
	s.Sent(at.Add(2*time.Second), 5, 100)
	s.Receive(at.Add(3*time.Second), AppendRR(nil, 2, []ReportBlock{{SSRC: 1, Lost: 10}}), nil)
	var st Stats
	if s.Stats(&st); st.Remote != (Remote{}) {
		t.Errorf("%+v", st.Remote)
	}
	_, b := report(t, s)
	if sr := parse(t, b)[0].(*rtcp.SenderReport); sr.SSRC != 5 || sr.PacketCount != 1 || sr.OctetCount != 100 {
		t.Errorf("%v", sr)
	}
	// The old one is a source like any other now.
	s.Receive(at.Add(4*time.Second), AppendSDES(AppendRR(nil, 1, nil), 1, "other"), nil)
	if s.Name(1) != "other" {
		t.Error("who has our old SSRC is not known")
	}
}
