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

	"github.com/pion/transport/v5/packetio"
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

// handsBack reads as pion does: first what it has looked at.
func handsBack(first []byte, r io.Reader) func([]byte) (int, error) {
	seen := false
	return func(b []byte) (int, error) {
		if !seen {
			seen = true
			return copy(b, first), nil
		}
		return r.Read(b)
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
	in.takeRTP(7, handsBack(slices.Clone(b[:n]), w), h.deliver)
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

// A stream that pion has closed and opened again, as with an offer, is delivered again.
func TestIntakeOfReportsAnew(t *testing.T) {
	in, h := newIntake(), heard{}
	w := in.open(packetio.RTCPBufferPacket, 8)
	in.takeRTCP(8, h.deliver)
	write(t, w, "one")
	w.Close()
	write(t, in.open(packetio.RTCPBufferPacket, 8), "two")
	if want := []string{"one", "two"}; !slices.Equal(h, want) {
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

// Streams that belong to nothing share little memory, and leave it to others when they
// end or somebody reads them after all.
func TestIntakeOfStrangers(t *testing.T) {
	const streams, full = 100, 10 // of which so many use up what there is for all
	in, packet, b := newIntake(), make([]byte, 1000), make([]byte, 1000)
	var all []io.ReadWriteCloser
	waiting := 0
	for ssrc := range uint32(streams) {
		w := in.open(packetio.RTPBufferPacket, ssrc)
		for n := range 100 {
			if _, err := w.Write(packet); err == nil {
				waiting += len(packet)
			} else if !errors.Is(err, packetio.ErrFull) {
				t.Fatal(err)
			}
			if n == 0 && ssrc < 5 { // as pion does
				if _, err := w.Read(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, w)
	}
	if want := maxEarly + (streams-full)*len(packet); waiting != want {
		t.Fatalf("%d bytes wait, want %d", waiting, want)
	}
	if n, err := all[99].Read(b); n != len(packet) || err != nil {
		t.Errorf("of the last stream pion sees %d bytes, %v", n, err)
	}
	refused := func(w io.Writer) bool { _, err := w.Write(packet); return err != nil }
	if !refused(all[50]) {
		t.Error("there was room for more")
	}
	h := heard{}
	in.takeRTP(0, handsBack(packet, all[0]), h.deliver)
	if len(h) != 100 {
		t.Errorf("%d packets were early enough", len(h))
	}
	all[1].Close()
	if _, err := all[2].Read(b); err != nil {
		t.Fatal(err)
	}
	for range 3*100 - (streams - full) { // all that the three had, of which one reads on
		if refused(all[50]) {
			t.Fatal("no room is left by others")
		}
	}
	if !refused(all[50]) || refused(all[2]) {
		t.Error("the room is not that which the others left")
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
