package transport

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// While the far end talks, nothing that others send, at any time and with any
// header, is delivered or moves media; and nothing of the far end is lost.
func TestLatchProtectsAStream(t *testing.T) {
	strangers := []netip.AddrPort{
		attacker, port(attacker, 1), port(public, 9), port(public, 31001), netip.MustParseAddrPort("[2001:db8::1]:5004"),
		netip.MustParseAddrPort("[2001:db8::2]:5004"), netip.MustParseAddrPort("127.0.0.1:9"),
		{},
	}
	rapid.Check(t, func(t *rapid.T) {
		l := NewLatch(LatchConfig{Mode: LatchSymmetric, Mux: rapid.Bool().Draw(t, "mux")})
		at := rapid.SampledFrom([]netip.AddrPort{{}, signalled, public}).Draw(t, "signalled")
		l.SetSignalled(epoch, at, nowhere)
		v, evil := newVoice(1), newVoice(2)
		stream(l, after(-200*time.Millisecond), public, v, 10)
		remote, _, _ := l.Remote()
		now := epoch
		for range rapid.IntRange(1, 100).Draw(t, "packets") {
			// Up to a pause of Reopen, but without the SSRC of the far end: a new
			// port of its own may follow after 60 ms.
			gap := time.Duration(rapid.SampledFrom([]int{20, 20, 20, 40, 1000, 4990}).Draw(t, "gap")) * time.Millisecond
			for range rapid.IntRange(0, 8).Draw(t, "attacks") {
				d := time.Duration(rapid.Int64Range(0, int64(gap)-1).Draw(t, "at"))
				h := evil.next()
				if rapid.Bool().Draw(t, "odd") {
					h = LatchHeader{
						PayloadType: rapid.Uint8Range(0, 127).Draw(t, "type"), Seq: rapid.Uint16().Draw(t, "seq"),
						Timestamp: rapid.Uint32().Draw(t, "timestamp"), SSRC: rapid.Uint32Range(2, 3).Draw(t, "ssrc"),
					}
				}
				from := rapid.SampledFrom(strangers).Draw(t, "from")
				if got := l.RTP(now.Add(d), from, h); got.Deliver || got.Moved {
					t.Fatalf("%+v from %v: %+v", h, from, got)
				}
				if got := l.RTCP(now.Add(d), from); got.Deliver && from.Addr() != public.Addr() {
					t.Fatalf("RTCP from %v: %+v", from, got)
				}
			}
			now = now.Add(gap)
			if got := l.RTP(now, public, v.next()); !got.Deliver {
				t.Fatalf("the far end: %+v", got)
			}
			if rtp, _, _ := l.Remote(); rtp != remote {
				t.Fatalf("media moved from %v to %v", remote, rtp)
			}
		}
	})
}

// latchOp does one of few things with few addresses, and checks what must hold
// at all times.
func latchOp(l *Latch, now time.Time, op, who uint8, h LatchHeader) error {
	addrs := [...]netip.AddrPort{
		signalled, public, port(public, 5), attacker, port(signalled, 1), netip.MustParseAddrPort("[2001:db8::1]:5004"),
		netip.MustParseAddrPort("0.0.0.0:5004"), netip.MustParseAddrPort("127.0.0.1:9"),
		{},
		port(public, 0),
	}
	from := addrs[int(who)%len(addrs)]
	before := l.stats
	old, oldRTCP, _ := l.Remote()
	var d Decision
	switch op % 8 {
	case 0:
		l.SetSignalled(now, from, nowhere)
		if l.stats != before {
			return fmt.Errorf("signalling is counted as received: %+v", l.stats)
		}
		return nil
	case 1:
		d = l.RTCP(now, from)
		if rtp, _, _ := l.Remote(); rtp != old {
			return fmt.Errorf("RTCP moved RTP from %v to %v", old, rtp)
		}
	default:
		d = l.RTP(now, from, h)
	}
	rtp, rtcp, ok := l.Remote()
	sum := int64(0)
	for i := range before.Decisions {
		sum += l.stats.Decisions[i] - before.Decisions[i]
	}
	switch {
	case sum != 1 || l.stats.Decisions[d.Reason] != before.Decisions[d.Reason]+1:
		return fmt.Errorf("%+v is not counted once", d)
	case d.Deliver != (d.Reason == LatchHeard):
		return fmt.Errorf("inconsistent %+v", d)
	case !d.Moved && (rtp != old || rtcp != oldRTCP):
		return fmt.Errorf("%+v, but %v and %v became %v and %v", d, old, oldRTCP, rtp, rtcp)
	case d.Moved && (!d.Deliver || l.stats.Moves != before.Moves+1):
		return fmt.Errorf("moved by %+v", d)
	case d.Moved && l.config.Mode == LatchStrict:
		return fmt.Errorf("a strict latch moved")
	case ok && rtp != l.signalled.rtp && !suitable(rtp, l.config.AllowLoopback):
		return fmt.Errorf("media goes to %v", rtp)
	case l.source.locked && d.Deliver && from.Addr() != l.source.addr.Addr() && from != l.signalled.rtcp:
		return fmt.Errorf("%v is heard while %v is locked", from, l.source.addr)
	case d.Deliver && op%8 != 1 && l.source.locked && from != l.source.addr:
		return fmt.Errorf("RTP from %v is delivered while %v is locked", from, l.source.addr)
	}
	return nil
}

func TestLatchProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := NewLatch(LatchConfig{
			Mode:   LatchMode(rapid.IntRange(0, 3).Draw(t, "mode")),
			Reopen: time.Duration(rapid.IntRange(-1, 3).Draw(t, "reopen")) * time.Second,
			Mux:    rapid.Bool().Draw(t, "mux"),
		})
		now := epoch
		var voices [10]voice
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 7, 20, 20, 20, 60, 200, 4000}).Draw(t, "ms")) * time.Millisecond)
			who := rapid.Uint8Range(0, 9).Draw(t, "who")
			v := &voices[rapid.SampledFrom([]int{int(who), int(who), int(who), 0}).Draw(t, "voice")]
			v.h.SSRC = uint32(who) / 2
			op := rapid.SampledFrom([]uint8{0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}).Draw(t, "op")
			if err := latchOp(l, now, op, who, v.next()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzLatch(f *testing.F) {
	learn := []byte{1}
	for i := range byte(6) {
		learn = append(learn, 2, 1, 20, 0, 0, i, i, 1)
	}
	f.Add(learn)
	f.Add(append(learn[:len(learn):len(learn)], 0, 3, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		l := NewLatch(LatchConfig{Mode: LatchMode(b[0] % 4), Mux: b[0]&8 != 0, AllowLoopback: b[0]&16 != 0, ClockRate: pcmu})
		now := epoch
		for b = b[1:]; len(b) >= 8; b = b[8:] {
			now = now.Add(time.Duration(int16(binary.BigEndian.Uint16(b[3:]))<<8|int16(b[2])) * time.Millisecond)
			h := LatchHeader{PayloadType: b[7] >> 4, Seq: uint16(b[5]), Timestamp: uint32(b[6]) * 160, SSRC: uint32(b[7] & 3)}
			if err := latchOp(l, now, b[0], b[1], h); err != nil {
				t.Fatal(err)
			}
		}
	})
}
