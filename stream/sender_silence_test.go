package stream

import (
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
)

// After the end of what was written silence is sent for as long as is wanted, and
// then nothing.
func TestSilenceAfterTheEnd(t *testing.T) {
	n := newNear(t, SenderConfig{Silence: 50 * ms})
	n.mustWrite(320)
	got := n.run(500 * ms)
	n.want(got, "0s 0 M", "20ms 160", "60ms 320", "80ms 480", "100ms 640")
	for i, p := range got {
		for at, v := range p.Payload {
			if i >= 2 && v != 0 {
				t.Fatalf("octet %d of packet %d is %d, want silence", at, i, v)
			}
		}
	}
	if next := n.s.Next(); !next.IsZero() {
		t.Errorf("something to do at %v", next.Sub(n.begin))
	}
	if p := n.s.Played(); p != (Played{Sent: 40 * ms}) || n.s.Queued() != 0 {
		t.Errorf("played %+v, queued %v; silence counts as nothing written", p, n.s.Queued())
	}
	n.mustWrite(160)
	n.want(n.run(time.Second), "500ms 4000 M", "540ms 4160", "560ms 4320", "580ms 4480")
}

// Silence for ever has no end, and what is written in it goes on at once.
func TestSilenceForEver(t *testing.T) {
	n := newNear(t, SenderConfig{Silence: -1})
	n.want(n.run(100*ms), []string{}...)
	n.mustWrite(160)
	got := n.run(10*time.Second + 100*ms)
	if last := got[len(got)-1]; len(got) != 500 || last.Timestamp != 499*160 || last.Marker {
		t.Errorf("%d packets, the last one %v", len(got), last)
	}
	n.mustWrite(320)
	n.want(n.run(10*time.Second+165*ms), "10.1s 80000", "10.12s 80160", "10.16s 80320")
	// A stall is made up for by no burst.
	n.at += time.Minute
	if got := n.poll(); len(got) > 2 {
		t.Errorf("%d packets at once after a stall", len(got))
	}
}

// On hold, while a digit is sent, with comfort noise and without an encoder no
// silence is sent.
func TestSilenceGivesWay(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu, Noise: cn, Silence: -1})
	n.mustWrite(160)
	for _, p := range n.run(time.Second)[1:] {
		if p.PayloadType != cn.PayloadType {
			t.Errorf("%v in a pause with comfort noise", p)
		}
	}
	n = newNear(t, SenderConfig{Silence: -1})
	n.mustWrite(160)
	n.run(100 * ms)
	n.s.Hold(n.begin.Add(100*ms), true)
	n.want(n.run(time.Second), []string{}...)
	n.s.Hold(n.begin.Add(time.Second), false)
	if got := n.run(1100 * ms); len(got) != 5 || !got[0].Marker || got[0].Timestamp != 8000 {
		t.Errorf("after the hold %v", got)
	}
	s := coded(t, SenderConfig{Codec: pcmu, Silence: -1})
	if err := s.WriteCoded(n.begin, []byte{1}, 20*ms); err != nil {
		t.Fatal(err)
	}
	packets := 0
	for at := time.Duration(0); at < time.Second; at += 5 * ms {
		if _, ok := s.AppendPacket(nil, n.begin.Add(at)); ok {
			packets++
		}
	}
	if packets != 1 {
		t.Errorf("%d packets of a coded frame", packets)
	}
}

// Pictures leave with the sound of their time, whether or not silence is sent
// behind it.
func TestSilenceMovesNoPictures(t *testing.T) {
	for _, silence := range []time.Duration{0, 40 * ms, -1} {
		s, err := NewAudioSender(SenderConfig{Codec: l16, Silence: silence})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		f := audio.Frame{Format: s.Format(), Samples: make([]int16, 160), Time: time.Second}
		if err := s.Write(begin, &f); err != nil {
			t.Fatal(err)
		}
		for at := time.Duration(0); at < 200*ms; at += ms {
			s.AppendPacket(nil, begin.Add(at))
			if due, _, ok := s.due(time.Second + 5*ms); !ok || !due.Equal(begin.Add(5*ms)) {
				t.Fatalf("silence of %v: after %v the picture leaves at %v, %v", silence, at, due.Sub(begin), ok)
			}
		}
	}
}

func TestSilenceDoesNotAllocate(t *testing.T) {
	n := newNear(t, SenderConfig{Silence: -1})
	n.mustWrite(160)
	n.run(100 * ms)
	buf := make([]byte, 0, 1500)
	now := n.begin.Add(100 * ms)
	if allocs := testing.AllocsPerRun(100, func() {
		now = now.Add(20 * ms)
		n.s.AppendPacket(buf, now)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
