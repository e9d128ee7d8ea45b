package parley

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Packets that are not understood are received all the same: what was lost before them is
// asked for, they themselves are not, and one with a number of another sequence changes
// nothing.
func TestUnknownFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, y, _, _ := pair(t, AudioConfig{}, AudioConfig{RTCP: RTCPConfig{NACK: true, ReducedSize: true}}, Deadlines{})
		a := y.Audio()
		begin := time.Now()
		deliver := func(n int, payloadType uint8) {
			b := make([]byte, 172)
			b[0], b[1], b[11] = 0x80, payloadType, 7
			binary.BigEndian.PutUint16(b[2:], uint16(1000+n))
			binary.BigEndian.PutUint32(b[4:], uint32(n*160))
			a.DeliverRTP(begin.Add(time.Duration(n)*20*ms), netip.AddrPort{}, b)
		}
		pending := func() bool {
			y.mu.Lock()
			defer y.mu.Unlock()
			return !a.repair.requester.Next().IsZero()
		}
		for n := range 50 {
			deliver(n, 0)
		}
		deliver(51, 77)
		if !pending() {
			t.Error("what was lost before a packet that is not understood is not asked for")
		}
		deliver(50, 77)
		if pending() {
			t.Error("a packet that has come, and is not understood, is asked for")
		}
		for n := 52; n < 200; n++ {
			deliver(n, 0)
		}
		deliver(40000, 77)
		for n := 200; n < 400; n += 2 {
			deliver(n, 0)
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		if r, _ := a.rate(); r > 60 {
			t.Errorf("every second packet is lost, and the rating is %.1f", r)
		}
		if n := a.receiver.Reception().Lost(); n < 99 || n > 100 {
			t.Errorf("%d packets lost, want 100 but for the one after the last", n)
		}
	})
}
