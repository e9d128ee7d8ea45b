package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/transport/v4/packetio"
)

// heard keeps what is delivered.
type heard []string

func (h *heard) deliver(arrival time.Time, from netip.AddrPort, b []byte) {
	if since := time.Since(arrival); since < 0 || since > time.Minute || from.IsValid() {
		*h = append(*h, fmt.Sprint("wrong: ", arrival, from))
	}
	*h = append(*h, string(b))
}

func write(t *testing.T, w io.Writer, all ...string) {
	t.Helper()
	for _, s := range all {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
}

// What comes before a line takes the stream is delivered first, beginning with what
// pion has looked at.
func TestIntakeOfSound(t *testing.T) {
	in, h := newIntake(), heard{}
	w := in.open(packetio.RTPBufferPacket, 7)
	write(t, w, "one", "two", "three")
	b := make([]byte, 100)
	n, err := w.Read(b) // pion looks at the first
	if err != nil {
		t.Fatal(err)
	}
	seen := []string{string(b[:n])}
	in.takeRTP(7, func(b []byte) (int, error) {
		if len(seen) > 0 {
			n := copy(b, seen[0])
			seen = seen[1:]
			return n, nil
		}
		return w.Read(b)
	}, h.deliver)
	write(t, w, "four", "five")
	if want := []string{"one", "two", "three", "four", "five"}; !slices.Equal(h, want) {
		t.Errorf("%q, want %q", h, want)
	}
	if _, err := w.Read(b); err != io.EOF {
		t.Error(err)
	}
	packet := []byte("six")
	if n := testing.AllocsPerRun(100, func() { h = h[:0]; w.Write(packet) }); n > 1 { // the string
		t.Errorf("%v allocations a packet", n)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write(packet); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if in.takeRTP(7, nil, nil); len(in.inlets) != 0 {
		t.Error("a stream that has ended is kept")
	}
}

// What a reader of pion has not understood does not hold up the rest.
func TestIntakeOfWhatPionRefuses(t *testing.T) {
	in, h := newIntake(), heard{}
	w := in.open(packetio.RTPBufferPacket, 7)
	write(t, w, "one", "two")
	in.takeRTP(7, func([]byte) (int, error) { return 0, errors.New("no such codec") }, h.deliver)
	if !slices.Equal(h, []string{"one", "two"}) {
		t.Errorf("%q", h)
	}
}

func TestIntakeOfReports(t *testing.T) {
	in, h := newIntake(), heard{}
	in.takeRTCP(1, h.deliver) // before pion has the stream
	early, late, rtp := in.open(packetio.RTCPBufferPacket, 1), in.open(packetio.RTCPBufferPacket, 2), in.open(packetio.RTPBufferPacket, 1)
	write(t, early, "early")
	write(t, late, "late")
	write(t, rtp, "rtp")
	in.takeRTCP(2, h.deliver)
	write(t, late, "later")
	if want := []string{"early", "late", "later"}; !slices.Equal(h, want) {
		t.Errorf("%q, want %q", h, want)
	}
}

// What nobody takes is read, as video is.
func TestIntakeThatIsRead(t *testing.T) {
	w := newIntake().open(packetio.RTPBufferPacket, 7).(*inlet)
	b := make([]byte, 100)
	got := make(chan string)
	go func() {
		n, err := w.Read(b)
		got <- fmt.Sprint(string(b[:n]), err)
	}()
	write(t, w, "one")
	if text := <-got; text != "one<nil>" {
		t.Error(text)
	}
	if err := w.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Error(err)
	}
	var late net.Error
	if _, err := w.Read(b); !errors.As(err, &late) || !late.Timeout() {
		t.Error(err)
	}
	w.SetReadDeadline(time.Time{})
	go func() {
		_, err := w.Read(b)
		got <- fmt.Sprint(err)
	}()
	w.Close()
	if text := <-got; text != "EOF" {
		t.Error(text)
	}
	if n, err := newIntake().open(packetio.RTPBufferPacket, 7).(*inlet), error(nil); n.Close() != err {
		t.Error("an empty stream does not close")
	}
}

// Nobody reads, and memory stays bounded.
func TestIntakeIsBounded(t *testing.T) {
	for kind, limit := range map[packetio.BufferPacketType]int{packetio.RTPBufferPacket: maxWaitingRTP, packetio.RTCPBufferPacket: maxWaitingRTCP} {
		w := newIntake().open(kind, 7)
		packet, taken := make([]byte, 1000), 0
		for range 2000 {
			if _, err := w.Write(packet); err == nil {
				taken += len(packet)
			} else if !errors.Is(err, packetio.ErrFull) {
				t.Fatal(err)
			}
		}
		if taken < limit/2 || taken > limit {
			t.Errorf("%d bytes wait, of at most %d", taken, limit)
		}
	}
}

// A far end with more sources than are allowed is told of once, and costs no more.
func TestIntakeOfManySources(t *testing.T) {
	in := newIntake()
	told := make(chan struct{}, 2)
	in.onFull(func() { told <- struct{}{} })
	var refused int
	for ssrc := range uint32(2 * maxStreams) {
		kind := packetio.RTPBufferPacket
		if ssrc%2 == 0 {
			kind = packetio.RTCPBufferPacket
		}
		if _, err := in.open(kind, ssrc).Write([]byte("one")); err != nil {
			refused++
		}
	}
	<-told
	if refused != maxStreams || len(in.inlets) != maxStreams || len(told) != 0 {
		t.Errorf("%d refused, %d kept, told again: %v", refused, len(in.inlets), len(told) != 0)
	}
}
