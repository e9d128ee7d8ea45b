package rtcpctl

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// numbered returns a packet of some size that tells its number.
func numbered(seq uint16, size int) []byte {
	b := bytes.Repeat([]byte{byte(seq)}, size)
	binary.BigEndian.PutUint16(b, seq)
	return b
}

func TestHistory(t *testing.T) {
	h := NewHistory(HistoryConfig{})
	for i := range 50 {
		h.Sent(ms(20*i), uint16(65520+i), numbered(uint16(65520+i), 172))
	}
	now := ms(20 * 49)
	again := func(now time.Time, seq uint16, want bool) {
		t.Helper()
		b, ok := h.Again(now, 60*msec, seq)
		if ok != want || ok && !bytes.Equal(b, numbered(seq, 172)) {
			t.Errorf("%d: %v, %x", seq, ok, b)
		}
	}
	again(now, 65535, true)
	again(now, 3, true)
	again(now.Add(59*msec), 3, false) // within a round trip
	again(now.Add(60*msec), 3, true)
	again(now, 34, false) // never sent
	again(now, 5000, false)
	if _, ok := h.Again(now.Add(159*msec), 0, 3); ok {
		t.Error("twice within 100 ms, of an unknown round trip")
	}
	if _, ok := h.Again(now.Add(160*msec), 0, 3); !ok {
		t.Error("never again, of an unknown round trip")
	}
	again(ms(20*33+1000), 17, true)
	again(ms(20*33+1001), 17, false) // too old
	if st := h.Stats(); st != (HistoryStats{Resent: 5, ResentBytes: 5 * 172, Gone: 3, TooSoon: 2}) {
		t.Errorf("%+v", st)
	}
	h.Reset()
	again(now, 33, false)
}

func TestHistoryBounds(t *testing.T) {
	h := NewHistory(HistoryConfig{Packets: 100, Bytes: 1000, Age: time.Hour, Share: 100})
	for i := range 20 {
		h.Sent(ms(i), uint16(i), numbered(uint16(i), 150))
	}
	found := 0
	for i := range uint16(20) {
		if b, ok := h.Again(ms(100), 0, i); ok {
			found++
			if !bytes.Equal(b, numbered(i, 150)) || i < 14 {
				t.Errorf("%d: %x", i, b)
			}
		}
	}
	if found != 6 {
		t.Errorf("%d of 150 bytes in 1000", found)
	}
	h.Sent(ms(200), 77, make([]byte, 1001))
	if _, ok := h.Again(ms(300), 0, 77); ok || h.Stats().TooLarge != 1 {
		t.Errorf("%+v", h.Stats())
	}
	if NewHistory(HistoryConfig{Packets: 1 << 30, Bytes: 1}).slots == nil {
		t.Error("no slots")
	}
	h = NewHistory(HistoryConfig{Share: -1})
	h.Sent(ms(0), 1, make([]byte, 100))
	if _, ok := h.Again(ms(50), 0, 1); ok || h.Stats().TooDear != 1 {
		t.Errorf("%+v without a budget", h.Stats())
	}
}

// Requests of 44 bytes, as fast as they can come, get no more than a quarter of
// what is sent, and no packet twice in a round trip.
func TestNACKFlood(t *testing.T) {
	s := newSession(Config{SSRC: 1, ClockRate: 8000})
	h := NewHistory(HistoryConfig{})
	const rtt = 50 * msec
	sent, resent, worst := 0, 0, 0
	last := map[uint16]time.Time{}
	perSecond := make([]int, 10)
	for i := range 500 {
		now := ms(20 * i)
		s.Sent(now, uint32(160*i), 160)
		h.Sent(now, uint16(i), numbered(uint16(i), 172))
		sent += 172
		for range 20 {
			lost := make([]uint16, 0, 136)
			for j := range 136 {
				lost = append(lost, uint16(i-135+j))
			}
			b, taken := AppendNACK(nil, 2, 1, lost, 44)
			if taken != 136 || len(b) != 44 {
				t.Fatalf("%d in %d bytes", taken, len(b))
			}
			s.Receive(now, b, func(e Event) {
				for q := range e.Member.Lost() {
					if p, ok := h.Again(now, rtt, q); ok {
						if at, ok := last[q]; ok && now.Sub(at) < rtt {
							t.Fatalf("%d twice within %v", q, now.Sub(at))
						}
						last[q] = now
						resent += len(p)
						perSecond[i/50] += len(p)
					}
				}
			})
		}
		worst = max(worst, 4*resent-sent)
	}
	t.Logf("%d bytes sent, %d again: %v", sent, resent, perSecond)
	if worst > 0 || resent < sent/5 {
		t.Errorf("%d bytes sent, %d again", sent, resent)
	}
	// Requests with a foreign source never reach the history.
	b, _ := AppendNACK(nil, 2, 3, []uint16{499}, 44)
	s.Receive(ms(10000), b, func(e Event) { t.Errorf("%v", e.Kind) })
	// What is saved up is no more than for a second.
	for i := range 500 {
		h.Sent(ms(20000+20*i), uint16(i), numbered(uint16(i), 172))
	}
	burst := 0
	for q := range uint16(500) {
		if p, ok := h.Again(ms(30000), rtt, q); ok {
			burst += len(p)
		}
	}
	if most := 50 * 172 / 4 * 11 / 10; burst < most*3/4 || burst > most {
		t.Errorf("%d bytes in one burst, of %d", burst, most)
	}
}

// Against a map: what is given out is what was sent last under that number, and
// is no more than a quarter.
func TestHistoryProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistory(HistoryConfig{Packets: 16, Bytes: 700, Age: 300 * msec})
		sent := map[uint16][]byte{}
		seq, now, total, again := uint16(65530), epoch, 0, 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "pass")) * msec)
			if rapid.Bool().Draw(t, "send") {
				b := numbered(seq, rapid.IntRange(2, 120).Draw(t, "size"))
				h.Sent(now, seq, b)
				sent[seq] = b
				total += len(b)
				seq++
				continue
			}
			q := seq - rapid.Uint16Range(0, 20).Draw(t, "back")
			if b, ok := h.Again(now, 0, q); ok {
				again += len(b)
				if !bytes.Equal(b, sent[q]) {
					t.Fatalf("%d: %x, want %x", q, b, sent[q])
				}
			}
			if 4*again > total {
				t.Fatalf("%d of %d bytes", again, total)
			}
		}
	})
}

// A stream of few packets in a second saves up for repair all the same, and a share
// of nothing stays nothing.
func TestHistoryOfASlowStream(t *testing.T) {
	for _, c := range []struct {
		share  float64
		resent int64
	}{{0, 25}, {0.5, 50}, {-1, 0}} {
		h := NewHistory(HistoryConfig{Share: c.share, Age: 4 * time.Second})
		for i := range 100 {
			now := ms(500 * i)
			h.Sent(now, uint16(i), numbered(uint16(i), 1200))
			h.Again(now.Add(100*msec), 50*msec, uint16(i))
		}
		if st := h.Stats(); st.Resent != c.resent {
			t.Errorf("share %v: %+v", c.share, st)
		}
		for i := range 100 {
			h.Sent(ms(50000+500*i), uint16(100+i), numbered(uint16(100+i), 100))
		}
		burst := 0
		for i := range uint16(100) {
			if _, ok := h.Again(ms(99600), 0, 100+i); ok {
				burst++
			}
		}
		if burst > 4 {
			t.Errorf("share %v: %d packets in one burst", c.share, burst)
		}
	}
}

func BenchmarkHistorySent(b *testing.B) {
	h := NewHistory(HistoryConfig{})
	packet := make([]byte, 172)
	now, seq := epoch, uint16(0)
	for b.Loop() {
		h.Sent(now, seq, packet)
		seq++
		now = now.Add(20 * msec)
	}
}
