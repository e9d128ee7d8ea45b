package transport

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var (
	epoch     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	signalled = netip.MustParseAddrPort("192.168.1.20:5004") // behind a translator
	public    = netip.MustParseAddrPort("198.51.100.7:31000")
	attacker  = netip.MustParseAddrPort("203.0.113.66:4444")
)

func after(d time.Duration) time.Time { return epoch.Add(d) }
func ms(n int) time.Duration          { return time.Duration(n) * time.Millisecond }
func port(a netip.AddrPort, p int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), uint16(p))
}

// pcmu is the payload types of a call with G.711 and events.
func pcmu(payloadType uint8) int {
	if payloadType == 0 || payloadType == 101 {
		return 8000
	}
	return 0
}

// A voice makes the headers of a stream of 20 ms packets.
type voice struct{ h LatchHeader }

func newVoice(ssrc uint32) *voice {
	return &voice{LatchHeader{SSRC: ssrc, Seq: 65533, Timestamp: 1 << 31}}
}

func (v *voice) next() LatchHeader {
	v.h.Seq++
	v.h.Timestamp += 160
	return v.h
}

// modes are the ends that are attacked: where the far end is for each, and what
// was signalled.
var modes = map[string]struct {
	config          LatchConfig
	signalled, peer netip.AddrPort
}{
	"signalled":             {LatchConfig{}, public, public},
	"signalled, other port": {LatchConfig{}, port(public, 5004), public},
	"learnt":                {LatchConfig{Reopen: -1}, netip.AddrPort{}, public},
	"symmetric, as said":    {LatchConfig{Mode: LatchSymmetric}, public, public},
	"symmetric, translated": {LatchConfig{Mode: LatchSymmetric}, signalled, public},
	"strict":                {LatchConfig{Mode: LatchStrict}, public, public},
}

// A victim is a call with a far end that talks, which somebody attacks.
type victim struct {
	t     *testing.T
	latch *Latch
	peer  netip.AddrPort
	voice *voice
	heard int // packets of the peer that were delivered
}

// attack calls fn in every mode, with a Latch of a call that has begun; asked is
// whether the peer talks before fn.
func attack(t *testing.T, begun bool, fn func(t *testing.T, v *victim)) {
	for name, m := range modes {
		t.Run(name, func(t *testing.T) {
			m.config.ClockRate = pcmu
			v := &victim{t: t, latch: NewLatch(m.config), peer: m.peer, voice: newVoice(0xfeed)}
			if m.signalled.IsValid() {
				v.latch.SetSignalled(after(-time.Minute), m.signalled, netip.AddrPort{})
			}
			if begun {
				const long = 300 // 6 s: the source is settled
				for i := range long {
					v.talk(after(ms(20 * (i - long))))
				}
				if v.heard < long-3 {
					t.Fatalf("%d of the first %d packets delivered", v.heard, long)
				}
				v.heard = 0
			}
			fn(t, v)
		})
	}
}

// talk sends the peer's next packet.
func (v *victim) talk(now time.Time) bool {
	d := v.latch.RTP(now, v.peer, v.voice.next())
	if d.Deliver {
		v.heard++
	}
	return d.Deliver
}

// rtp sends a packet of the attacker, which must have no effect.
func (v *victim) rtp(now time.Time, from netip.AddrPort, h LatchHeader) {
	v.t.Helper()
	v.unmoved(func() Decision { return v.latch.RTP(now, from, h) })
}

func (v *victim) rtcp(now time.Time, from netip.AddrPort) {
	v.t.Helper()
	v.unmoved(func() Decision { return v.latch.RTCP(now, from) })
}

func (v *victim) unmoved(send func() Decision) {
	v.t.Helper()
	rtp, rtcp, ok := v.latch.Remote()
	if d := send(); d.Deliver || d.Moved || d.Reason == LatchHeard {
		v.t.Fatalf("a packet of the attacker: %+v", d)
	}
	if a, b, c := v.latch.Remote(); a != rtp || b != rtcp || c != ok {
		v.t.Fatalf("the attacker moved %v, %v, %v to %v, %v, %v", rtp, rtcp, ok, a, b, c)
	}
}

// during runs fn before each of n packets of the peer, 20 ms apart; all of these
// must be delivered.
func (v *victim) during(n int, fn func(i int, now time.Time)) {
	v.t.Helper()
	for i := range n {
		now := after(ms(20 * i))
		fn(i, now.Add(-ms(3)))
		if !v.talk(now) {
			v.t.Fatalf("packet %d of the peer was not delivered", i)
		}
	}
}

func TestAttackSprayPorts(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		v.during(500, func(i int, now time.Time) {
			for k := range 20 {
				v.rtp(now, port(attacker, 1024+20*i+k), LatchHeader{Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: uint32(k)})
			}
		})
	})
}

func TestAttackSprayConsecutive(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		evil := newVoice(0xbad)
		v.during(500, func(_ int, now time.Time) { v.rtp(now, attacker, evil.next()) })
	})
}

func TestAttackSprayFaster(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		evil := newVoice(0xbad)
		v.during(200, func(_ int, now time.Time) {
			for k := range 50 {
				v.rtp(now.Add(time.Duration(k)*50*time.Microsecond), attacker, evil.next())
			}
		})
	})
}

func TestAttackGuessedSSRC(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		v.during(500, func(_ int, now time.Time) {
			h := v.voice.h
			h.Seq++
			h.Timestamp += 160
			v.rtp(now, attacker, h)
		})
	})
}

// Before the peer's first packet, sprays find nothing to hold on to: one packet
// a port, three in a row, bursts, and streams that are too fast or too odd.
func TestAttackBeforeFirstPacket(t *testing.T) {
	attack(t, false, func(t *testing.T, v *victim) {
		at := -60 * time.Second
		send := func(step time.Duration, from netip.AddrPort, h LatchHeader) {
			at += step
			v.rtp(after(at), from, h)
		}
		evil := newVoice(0xbad)
		for k := range 2000 {
			send(ms(1), port(attacker, 1024+k), evil.next())
		}
		for k := range 100 { // three in a row from each port
			for range 3 {
				send(ms(20), port(attacker, 1024+k), evil.next())
			}
		}
		at += 2 * time.Second
		for range 2000 { // twenty times too fast
			send(ms(1), attacker, evil.next())
		}
		at += 2 * time.Second
		for range 500 { // packets of 20 ms at twice their pace
			send(ms(10), attacker, evil.next())
		}
		at += 2 * time.Second
		for range 20 { // bursts of four
			for range 4 {
				send(0, attacker, evil.next())
			}
			evil.h.Seq += 100
			at += ms(500)
		}
		for range 100 { // what was not negotiated
			h := evil.next()
			h.PayloadType = 96
			send(ms(20), attacker, h)
		}
		for k := range 100 { // another SSRC each time
			h := evil.next()
			h.SSRC = uint32(k)
			send(ms(20), attacker, h)
		}
		for range 100 { // the same timestamp
			h := evil.next()
			h.Timestamp = 7
			send(ms(20), attacker, h)
		}
		for range 100 { // one lost of each three
			if evil.next(); true {
				evil.next()
				send(ms(20), attacker, evil.h)
				send(ms(20), attacker, evil.next())
			}
		}
		for k := range 100 {
			v.talk(after(ms(20 * k)))
		}
		if v.heard < 97 {
			t.Errorf("%d of 100 packets of the peer delivered", v.heard)
		}
	})
}

// A spray goes on while the peer proves itself, and does not push it out.
func TestAttackWhileLearning(t *testing.T) {
	attack(t, false, func(t *testing.T, v *victim) {
		for k := range 100 {
			now := after(ms(20 * k))
			for i := range 200 {
				from := port(attacker, 1024+k*200+i)
				v.rtp(now.Add(-ms(1)), from, LatchHeader{Seq: uint16(i), SSRC: uint32(k)})
			}
			v.talk(now)
		}
		if v.heard < 97 {
			t.Errorf("%d of 100 packets of the peer delivered", v.heard)
		}
	})
}

// After the lock, a perfect stream has no effect either, also not while the peer
// pauses for less than Reopen.
func TestAttackAfterLock(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		evil := newVoice(0xbad)
		for i := range 240 { // 4.8 s
			v.rtp(after(ms(20*i)), attacker, evil.next())
		}
		if !v.talk(after(4900 * time.Millisecond)) {
			t.Error("the peer is not heard after its pause")
		}
	})
}

func TestAttackAfterHold(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		evil := newVoice(0xbad)
		for i := range 3000 { // a minute without the peer
			now := after(ms(20 * i))
			v.rtp(now, attacker, evil.next())
			v.rtp(now, port(attacker, 1024+i), evil.h)
			v.rtcp(now, attacker)
		}
		for i := range 100 {
			if !v.talk(after(time.Minute + ms(20*i))) {
				t.Fatal("the peer is not heard after the hold")
			}
		}
	})
}

func TestAttackRTCP(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		v.during(500, func(i int, now time.Time) {
			v.rtcp(now, attacker)
			v.rtcp(now, port(attacker, i+1))
			v.rtcp(now, port(attacker, int(v.peer.Port())))
		})
	})
}

// An observer repeats what the peer sends, at once and a second later.
func TestAttackReplay(t *testing.T) {
	attack(t, true, func(t *testing.T, v *victim) {
		v.during(500, func(_ int, now time.Time) {
			h := v.voice.h
			v.rtp(now, attacker, h)
			h.Seq -= 50
			h.Timestamp -= 50 * 160
			v.rtp(now, port(attacker, 4446), h)
		})
		// And with the peer silent, from the beginning.
		replay := newVoice(0xfeed)
		for i := range 500 {
			v.rtp(after(20*time.Second+ms(20*i)), attacker, replay.next())
		}
	})
}

// The translator gives the peer another port: media follows within 200 ms, while
// somebody at another address tries the same.
func TestRebindIsFollowed(t *testing.T) {
	for _, every := range []int{10, 20, 40, 60} {
		for _, lost := range []int{0, 1, 30} {
			t.Run(fmt.Sprintf("%d ms, %d lost", every, lost), func(t *testing.T) {
				attack(t, false, func(t *testing.T, v *victim) {
					if !v.latch.learns() {
						return
					}
					at := 0
					talk := func() bool {
						at += every
						h := v.voice.next()
						v.voice.h.Timestamp += uint32(8*every - 160)
						h.Timestamp = v.voice.h.Timestamp
						return v.latch.RTP(after(ms(at)), v.peer, h).Deliver
					}
					for range 100 {
						talk()
					}
					if !talk() {
						t.Fatal("the peer is not heard")
					}
					v.peer = port(v.peer, 40000)
					for range lost {
						v.voice.next()
						at += every
					}
					begin := at
					for !talk() {
						h := v.voice.h
						h.Seq++
						v.rtp(after(ms(at)), attacker, h)
						if at-begin > 200 {
							t.Fatal("not followed within 200 ms")
						}
					}
					if rtp, rtcp, _ := v.latch.Remote(); rtp != v.peer || rtcp != port(v.peer, 40001) {
						t.Errorf("media goes to %v, reports to %v", rtp, rtcp)
					}
					if n := v.latch.Stats().Rebinds; n != 1 {
						t.Errorf("%d new ports counted", n)
					}
					// The old port has lost its right.
					v.rtp(after(ms(at)), public, v.voice.next())
				})
			})
		}
	}
}
