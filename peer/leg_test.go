package peer

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// A tray is a track of pion that keeps the numbers of packets.
type tray struct {
	mu      sync.Mutex
	numbers []uint16
	entered chan struct{} // not nil: told of each packet
	leave   chan struct{} // not nil: which then waits for this
}

func (w *tray) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	w.mu.Lock()
	if len(w.numbers) < cap(w.numbers) {
		w.numbers = append(w.numbers, h.SequenceNumber)
	}
	w.mu.Unlock()
	if w.entered != nil {
		w.entered <- struct{}{}
		<-w.leave
	}
	return len(payload), nil
}

func (w *tray) Write([]byte) (int, error) { panic("a packet was not taken apart") }

func packetOf(number uint16) []byte {
	b := make([]byte, 172)
	b[0] = 0x80
	binary.BigEndian.PutUint16(b[2:], number)
	return b
}

func testLeg(kind webrtc.RTPCodecType, direct bool, w *tray) *leg {
	l := newLeg(&connection{}, kind, "0")
	l.track = w
	l.c.direct.Store(direct)
	return l
}

// Sound goes to pion at once, by whoever writes it, and there is no goroutine.
func TestLegWritesAtOnce(t *testing.T) {
	w := &tray{numbers: make([]uint16, 0, 3)}
	l := testLeg(webrtc.RTPCodecTypeAudio, true, w)
	for i := range uint16(3) {
		if err := l.WriteRTP(packetOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(w.numbers, []uint16{0, 1, 2}) || l.wake != nil {
		t.Errorf("%v, and a goroutine is %v", w.numbers, l.wake != nil)
	}
	b := packetOf(9)
	if n := testing.AllocsPerRun(100, func() { l.WriteRTP(b) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
	if err := l.WriteRTP([]byte{1, 2, 3}); err != nil { // is lost
		t.Error(err)
	}
	l.Close()
	l.wait()
	if l.WriteRTP(b) == nil {
		t.Error("a closed leg takes packets")
	}
}

// While a packet is being written others wait, and come after it.
func TestLegKeepsOrder(t *testing.T) {
	w := &tray{numbers: make([]uint16, 0, 10), entered: make(chan struct{}), leave: make(chan struct{})}
	l := testLeg(webrtc.RTPCodecTypeAudio, true, w)
	first := make(chan struct{})
	go func() {
		defer close(first)
		l.WriteRTP(packetOf(0))
	}()
	<-w.entered
	for i := range uint16(5) {
		if err := l.WriteRTP(packetOf(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.leave <- struct{}{}
	<-first
	for range 5 {
		<-w.entered
		w.leave <- struct{}{}
	}
	l.Close()
	l.wait()
	if !slices.Equal(w.numbers, []uint16{0, 1, 2, 3, 4, 5}) {
		t.Error(w.numbers)
	}
}

// What is being written by another when a leg is closed does not hold up its
// goroutine, which sends what is left.
func TestLegClosedInTheMiddle(t *testing.T) {
	w := &tray{numbers: make([]uint16, 0, 10), entered: make(chan struct{}), leave: make(chan struct{})}
	l := testLeg(webrtc.RTPCodecTypeAudio, true, w)
	go l.WriteRTP(packetOf(0))
	<-w.entered
	l.WriteRTP(packetOf(1))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l.Close()
		l.wait()
	}()
	w.leave <- struct{}{}
	<-w.entered
	w.leave <- struct{}{}
	<-closed
	if !slices.Equal(w.numbers, []uint16{0, 1}) {
		t.Error(w.numbers)
	}
}

// Video, and what may block, goes through the queue.
func TestLegQueues(t *testing.T) {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		w := &tray{numbers: make([]uint16, 0, 100)}
		l := testLeg(kind, kind == webrtc.RTPCodecTypeVideo, w)
		for i := range uint16(20) {
			if err := l.WriteRTP(packetOf(i)); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		l.wait()
		if len(w.numbers) != 20 || !slices.IsSorted(w.numbers) {
			t.Errorf("%v: %v", kind, w.numbers)
		}
	}
}
