package session

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/transport"
)

// The attacks on symmetric RTP that other servers fell for, each with three
// sockets: the peer, the attacker at another address, and the session. Not one
// sample of the attacker may be heard, and nothing may be sent to it.

const attackTime = 200 * time.Millisecond

// attack runs an attack while the peer talks, in every mode.
func attack(t *testing.T, fn func(sc *scene)) {
	inEach(t, whichever, func(t *testing.T, e end) {
		sc := newScene(t, e, Config{})
		sc.talk()
		fn(sc)
		sc.unharmed()
		var n NetworkStats
		if sc.s.NetworkStats(&n); n.Foreign+n.Unauthenticated == 0 {
			t.Errorf("the attack is not counted: %+v", n)
		}
	})
}

func TestAttackSprayPorts(t *testing.T) {
	attack(t, func(sc *scene) {
		sc.attacker(100)
		for i, e := range sc.evil {
			e.seq, e.ssrc = uint16(i*7919), uint32(i)
			e.say()
		}
	})
}

func TestAttackSprayConsecutive(t *testing.T) {
	attack(t, func(sc *scene) {
		every(attackTime, sc.evil[0].say)
	})
}

func TestAttackSprayFaster(t *testing.T) {
	attack(t, func(sc *scene) {
		every(attackTime, func() {
			for range 25 {
				sc.evil[0].say()
			}
		})
	})
}

// The attacker goes on where the peer is, with its SSRC and next numbers.
func TestAttackGuessedSSRC(t *testing.T) {
	attack(t, func(sc *scene) {
		e := sc.evil[0]
		every(attackTime, func() {
			sc.peer.mu.Lock()
			e.ssrc, e.seq, e.ts = sc.peer.ssrc, sc.peer.seq, sc.peer.ts
			sc.peer.mu.Unlock()
			for range 3 {
				e.say()
			}
		})
	})
}

// Before the peer's first packet, sprays find nothing to hold on to. Where the
// far end was signalled, or has a key, a perfect stream does not either.
func TestAttackBeforeFirstPacket(t *testing.T) {
	inEach(t, whichever, func(t *testing.T, e end) {
		sc := newScene(t, e, Config{})
		sc.attacker(40)
		for i, e := range sc.evil {
			e.seq, e.ssrc = uint16(i*7919), uint32(i)
			e.say()
		}
		if e.knows() {
			sc.evil[0].ssrc = 0xbad
			for range 200 { // at once: 200 ms each, which no stall of this machine makes a stream
				sc.evil[0].ts += 1440
				sc.evil[0].say()
			}
			for _, e := range sc.evil[:10] { // three in a row
				for range 3 {
					e.say()
				}
			}
		}
		if e.guarded() {
			every(attackTime, sc.evil[0].say)
		}
		if n := sc.heard.Load() + sc.wrong.Load(); n != 0 {
			t.Errorf("%d frames were heard before the peer spoke", n)
		}
		sc.talk()
		sc.unharmed()
	})
}

// Where a far end behind a translator may be anywhere, a perfect stream before
// its first packet is taken for it. It loses its place to the signalled address
// by the packet that proves it, the fourth.
func TestAttackWhileLearning(t *testing.T) {
	symmetric := func(e end) bool { return e.where == asSaid && !e.fixed() }
	inEach(t, symmetric, func(t *testing.T, e end) {
		timely(t, func() string { return attackWhileLearning(t, e) })
	})
}

func attackWhileLearning(t *testing.T, e end) (problem string) {
	sc := newScene(t, e, Config{})
	every(attackTime, sc.evil[0].say)
	if r := sc.s.RemoteAddr(); r != sc.evil[0].addr() {
		return fmt.Sprintf("packets go to %v, the attack has failed", r)
	}
	received(t, sc.evil[0].conn)
	var exposed int
	n := 0
	late := every(200*time.Millisecond, func() {
		sc.peer.say()
		sc.evil[0].say()
		if n++; sc.s.RemoteAddr() == sc.evil[0].addr() {
			exposed = n
		}
	})
	if late < punctual && exposed > 5 { // the one on its way is not seen yet
		problem = fmt.Sprintf("packets went to the attacker until packet %d of the peer", exposed)
	}
	if n := received(t, sc.evil[0].conn); late < punctual && n > exposed+2 {
		problem = fmt.Sprintf("%d packets were sent to the attacker", n)
	}
	wrong := sc.wrong.Load()
	sc.talk()
	before := sc.heard.Load()
	until(t, "the peer is heard", func() bool { return sc.heard.Load() > before+10 })
	if n := sc.wrong.Load() - wrong; n > 10 { // what was buffered
		t.Errorf("%d more frames of the attacker were heard", n)
	}
	return problem
}

// A perfect stream with its reports, for longer, once the peer is locked.
func TestAttackAfterLock(t *testing.T) {
	attack(t, func(sc *scene) {
		every(2*attackTime, func() {
			sc.evil[0].say()
			sr := rtcpctl.AppendSDES(rtcpctl.AppendSR(nil, 0xbadbad, rtcpctl.SenderInfo{}, nil), 0xbadbad, "evil")
			sc.evil[0].report(sr, 0)
			sc.evil[0].report(sr, 1)
		})
	})
}

// After the peer has been silent for a minute, as on hold, the attacker speaks,
// and has no claim: another far end would have been signalled, or has the key.
// The peer has been heard for longer than the remains of an earlier call are. The
// minute has passed by the arrival times alone.
func TestAttackAfterHold(t *testing.T) {
	inEach(t, end.knows, func(t *testing.T, e end) {
		sc := newScene(t, e, Config{})
		r := &reader{leg: sc.s.leg, socket: sc.s.leg.rtp, plain: make([]byte, packetSize)}
		const talk = 7 * time.Second
		for at := -time.Minute - talk; at < -time.Minute; at += 20 * time.Millisecond {
			b := sc.peer.next()
			if p := sc.peer.protect; p != nil {
				var err error
				if b, err = p.EncryptRTP(nil, b); err != nil {
					t.Fatal(err)
				}
			}
			r.receive(time.Now().Add(at), sc.peer.addr(), b)
		}
		if got := sc.s.RemoteAddr(); got != sc.peer.addr() {
			t.Fatalf("packets go to %v before the attack", got)
		}
		every(attackTime, func() {
			sc.evil[0].say()
			sc.evil[0].report(rtcpctl.AppendRR(nil, 0xbadbad, nil), 1)
		})
		before := sc.heard.Load()
		sc.talk()
		until(t, "the peer is heard after the hold", func() bool { return sc.heard.Load() > before+3 })
		if n := sc.wrong.Load(); n != 0 || sc.s.Err() != nil || sc.s.RemoteAddr() != sc.peer.addr() {
			t.Errorf("%d frames of the attacker, sent to %v, ended: %v", n, sc.s.RemoteAddr(), sc.s.Err())
		}
		if n := received(t, sc.evil[0].conn); n != 0 {
			t.Errorf("%d datagrams were sent to the attacker", n)
		}
	})
}

// Reports and goodbyes in the name of the peer move nothing and end nothing.
func TestAttackRTCP(t *testing.T) {
	attack(t, func(sc *scene) {
		bye := rtcpctl.AppendBYE(rtcpctl.AppendSDES(rtcpctl.AppendRR(nil, peerSSRC, nil), peerSSRC, "peer"), peerSSRC, "says a stranger")
		sr := rtcpctl.AppendSR(nil, peerSSRC, rtcpctl.SenderInfo{}, nil)
		collision := rtcpctl.AppendSR(nil, sc.s.Audio().SSRC(), rtcpctl.SenderInfo{}, nil)
		ssrc := sc.s.Audio().SSRC()
		every(attackTime, func() { // for longer than a goodbye takes to end a call
			for port := range 2 {
				for _, b := range [][]byte{sr, bye, collision, {0x80, 200, 0, 0}, {0x80, 203, 0, 0}} {
					sc.evil[0].report(b, port)
				}
			}
		})
		if got := sc.s.Audio().SSRC(); got != ssrc {
			sc.t.Error("a stranger made the session change its SSRC")
		}
	})
}

// The peer's own packets, from another address.
func TestAttackReplay(t *testing.T) {
	attack(t, func(sc *scene) {
		var kept [][]byte
		every(attackTime, func() { // each at once
			sc.peer.mu.Lock()
			b := bytes.Clone(sc.peer.last)
			sc.peer.mu.Unlock()
			kept = append(kept, b)
			sc.evil[0].write(b)
		})
		for _, b := range kept { // and all later, at their pace
			time.Sleep(20 * time.Millisecond)
			sc.evil[0].write(b)
		}
	})
}

// A translator forgets the peer, which comes from another port of the same
// address from then on. It is heard all the time and, where media goes to where
// it comes from, hears us again within 200 ms.
func TestPeerMovesItsPort(t *testing.T) {
	inEach(t, whichever, func(t *testing.T, e end) {
		timely(t, func() string { return movesItsPort(t, e) })
	})
}

func movesItsPort(t *testing.T, e end) (problem string) {
	const followed, slack = 200 * time.Millisecond, 100 * time.Millisecond
	sc := newScene(t, e, Config{})
	sc.talk()
	time.Sleep(400 * time.Millisecond) // the pace of the stream is known
	moved := from(t, "127.0.0.1:0")
	var there ears
	sc.running.Go(func() { there.listen(moved) })
	t.Cleanup(func() {
		sc.hush()
		moved.Close()
	})
	sc.peer.mu.Lock()
	old := sc.peer.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	sc.peer.conn = moved
	sc.tardy()
	begin := time.Now()
	sc.peer.mu.Unlock()

	if e.fixed() {
		count := func() (heard, refused int64) {
			var s parley.Stats
			sc.s.Stats(&s)
			var n NetworkStats
			sc.s.NetworkStats(&n)
			return s.Audio.Received, n.Foreign
		}
		if e.latch == transport.LatchStrict {
			until(t, "the first packet is refused", func() bool { _, refused := count(); return refused > 0 })
			before, _ := count()
			until(t, "more are refused", func() bool { _, refused := count(); return refused > 5 })
			if heard, _ := count(); heard != before {
				t.Errorf("%d packets of the new port were heard", heard-before)
			}
		} else {
			before, _ := count()
			until(t, "the new port is heard", func() bool { heard, _ := count(); return heard > before+10 })
		}
		if n := there.rtp.Load(); n != 0 || sc.s.RemoteAddr() != old {
			t.Errorf("%d packets were sent to a port that was not signalled", n)
		}
		return
	}
	until(t, "the new port is sent to", func() bool { return there.first.Load() != 0 })
	d := time.Duration(there.first.Load() - begin.UnixNano())
	var stats parley.Stats
	sc.s.Stats(&stats)
	if sc.tardy() < punctual && (d > followed+slack || stats.Audio.Lost > int64((followed+slack)/(20*time.Millisecond))) {
		problem = fmt.Sprintf("followed after %v, %d packets were lost on the way", d, stats.Audio.Lost)
	}
	until(t, "the event", func() bool {
		e, err := sc.s.ReadEvent(t.Context())
		return err != nil || e.Kind == parley.RemoteChanged && e.Addr == sc.peer.addr()
	})
	before := sc.heard.Load()
	until(t, "the peer is heard from the new port", func() bool { return sc.heard.Load() > before+5 })
	if r := sc.s.RemoteAddr(); r != sc.peer.addr() {
		t.Errorf("packets go to %v", r)
	}
	return problem
}
