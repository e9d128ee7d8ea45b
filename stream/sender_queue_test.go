package stream

import (
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// What leaves the queue is counted however it leaves: in whole packets, in parts of a
// frame that is cut, left out, flushed with a faded end, or dropped by a change.
func TestProgress(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: l16, MaxPayload: 200})
	want := func(what string, queued, left int) {
		t.Helper()
		if q, l := n.s.Progress(); q != queued || l != left {
			t.Errorf("%s: %d of %d have left, want %d of %d", what, l, q, left, queued)
		}
	}
	pull := func() {
		t.Helper()
		if _, ok := n.s.AppendPacket(nil, n.begin.Add(n.at)); !ok {
			t.Error("no packet is due")
		}
	}
	want("at first", 0, 0)
	n.mustWrite(480)
	want("written", 480, 0)
	pull()
	want("the first part of a frame", 480, 0)
	pull()
	want("a frame", 480, 160)
	live := &audio.Frame{Format: n.s.Format(), Samples: make([]int16, 1600)}
	if err := n.s.WriteLive(n.begin, live); err != nil {
		t.Fatal(err)
	}
	want("1280 of them have room", 1760, 160)
	n.s.Flush(5 * ms)
	want("flushed, but for 40", 1760, 1720)
	n.run(20 * ms)
	want("faded", 1760, 1760)
	n.mustWrite(100)
	if err := n.s.Reconfigure(n.begin.Add(n.at), SenderConfig{Codec: pcmu}); err != nil {
		t.Fatal(err)
	}
	want("in the same format", 1860, 1760)
	if err := n.s.Reconfigure(n.begin.Add(n.at), SenderConfig{Codec: opus8, Coded: true}); err != nil {
		t.Fatal(err)
	}
	want("dropped", 1860, 1860)
	for range 3 {
		if err := n.s.WriteCoded(n.begin.Add(n.at), []byte{1}, 20*ms); err != nil {
			t.Fatal(err)
		}
	}
	want("coded", 1863, 1860)
	n.run(time.Second)
	want("all", 1863, 1863)
}
