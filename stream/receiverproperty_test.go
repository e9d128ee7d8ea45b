package stream

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// A disturbance is what a script of random events does to the stream of packets
// that a far end would have sent.
var disturbances = []string{
	"none", "none", "none", "lost", "twice", "late", "pause", "timestamps", "numbers", "source", "stranger", "rate", "garbage",
}

// disturbed is a far end whose packets are lost, copied, swapped and renumbered
// by chance.
type disturbed struct {
	packet   rtp.Packet
	samples  int
	delayed  []*rtp.Packet
	restarts int // how often something began anew
}

// step delivers what the far end sends in 20 ms to push.
func (d *disturbed) step(t *rapid.T, push func(*rtp.Packet)) {
	p := &d.packet
	p.SequenceNumber++
	p.Timestamp += uint32(d.samples)
	p.Marker = false
	for _, q := range d.delayed {
		push(q)
	}
	d.delayed = d.delayed[:0]
	switch what := rapid.SampledFrom(disturbances).Draw(t, "what"); what {
	case "lost":
		return
	case "twice":
		push(p)
	case "late":
		q := *p
		d.delayed = append(d.delayed, &q)
		return
	case "pause":
		p.Timestamp += uint32(rapid.IntRange(0, 16000).Draw(t, "pause"))
		d.restarts++
		p.Marker = true
	case "timestamps":
		p.Timestamp = rapid.Uint32().Draw(t, "timestamp")
		d.restarts++
	case "numbers":
		p.SequenceNumber = rapid.Uint16().Draw(t, "number")
		d.restarts++
	case "source":
		p.SSRC = uint32(rapid.IntRange(1, 12).Draw(t, "ssrc"))
		d.restarts++
	case "stranger":
		q := *p
		q.SSRC = rapid.Uint32().Draw(t, "stranger")
		push(&q)
	case "rate":
		d.samples = 480 - d.samples // of 160 or 320
		p.PayloadType = uint8(96 + (d.samples-160)/160)
		p.Payload = make([]byte, 2*d.samples)
		d.restarts++
	case "garbage":
		q := *p
		q.SequenceNumber, q.Timestamp = rapid.Uint16().Draw(t, "number"), rapid.Uint32().Draw(t, "timestamp")
		q.Payload = make([]byte, rapid.IntRange(0, 3).Draw(t, "bytes"))
		d.restarts++
		push(&q)
	}
	push(p)
}

func newDisturbed() *disturbed {
	return &disturbed{samples: 160, packet: rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 96, SSRC: 1, SequenceNumber: 65000},
		Payload: make([]byte, 320),
	}}
}

// Whatever arrives, a clocked reader gets one frame each PTime for ever, each of
// exactly that length.
func TestAnyPacketsGiveASteadyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ptime := rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 30 * ms}).Draw(t, "ptime")
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{l16, wide}, PTime: ptime})
		if err != nil {
			t.Fatal(err)
		}
		d := newDisturbed()
		now := time.Now()
		var first time.Time
		var frame audio.Frame
		frames := 0
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			d.step(t, func(p *rtp.Packet) { r.Push(now, p) })
			if first.IsZero() {
				first = r.Next()
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "ms")) * ms)
			for r.Pull(now, &frame) {
				if frame.Duration() != ptime || len(frame.Samples) != frame.Format.Samples(ptime) {
					t.Fatalf("frame of %v", frame.Duration())
				}
				if want := time.Duration(frames) * ptime; frame.Time != want {
					t.Fatalf("frame %d is at %v", frames, frame.Time)
				}
				frames++
			}
			if first.IsZero() {
				continue
			}
			due := 0
			if !now.Before(first) {
				due = int(now.Sub(first)/ptime) + 1
			}
			if frames != due {
				t.Fatalf("%d frames in %v", frames, now.Sub(first))
			}
		}
		if d.restarts > 0 || first.IsZero() {
			return
		}
		var s ReceiverStats
		r.Stats(&s)
		if s.Media > time.Duration(frames)*ptime {
			t.Fatalf("%v of media in %d frames", s.Media, frames)
		}
	})
}

// In order, no more comes out than the media lasts, and at most a second for
// each time that something began anew, besides the time that went by then.
func TestInOrderOutputIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{l16, wide}, Playout: InOrder})
		if err != nil {
			t.Fatal(err)
		}
		d := newDisturbed()
		begin := time.Now()
		now := begin
		var frame audio.Frame
		var given time.Duration
		packets := rapid.IntRange(1, 300).Draw(t, "packets")
		pull := func() {
			for r.Pull(now, &frame) {
				if n := frame.Duration(); n <= 0 || n > 20*ms || frame.Time != given {
					t.Fatalf("frame of %v at %v, expected at %v", n, frame.Time, given)
				}
				given += frame.Duration()
			}
			if next := r.Next(); !next.IsZero() && !next.After(now) {
				t.Fatalf("due at %v, but not given out", next.Sub(begin))
			}
		}
		for range packets {
			d.step(t, func(p *rtp.Packet) { r.Push(now, p) })
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "ms")) * ms)
			pull()
		}
		now = now.Add(time.Minute)
		r.End()
		pull()
		if !r.Ended() {
			t.Fatal("not all was given out at the end")
		}
		media := time.Duration(packets) * 40 * ms // two rates: a packet lasts 20 or 40 ms at most
		if limit := media + now.Sub(begin) - time.Minute + time.Duration(d.restarts)*1100*ms; given > limit {
			t.Fatalf("%v given out, more than %v, after %d restarts", given, limit, d.restarts)
		}
	})
}

// Timestamps that run away from time, each step too small to be a new run: the
// clock goes on, the far end is heard again soon after it behaves, and what
// waits does not grow beyond the maximum delay.
func TestTimestampsRunAhead(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 100 { // 900 ms of timestamps in 20 ms
		p := f.packet(n, 160)
		p.Timestamp = f.ts + uint32(n*7200)
		f.push(time.Duration(n)*20*ms, p)
		f.hear(time.Duration(n) * 20 * ms)
	}
	f.ts += 99 * 7040

	for n := 100; n < 300; n++ {
		f.send(time.Duration(n)*20*ms, n)
		f.hear(time.Duration(n) * 20 * ms)
	}
	for n := 300; n < 310; n++ {
		f.send(time.Duration(n)*20*ms, n)
		for _, word := range f.hear(time.Duration(n) * 20 * ms) {
			if word == "silence" || word == "concealed" {
				t.Fatalf("heard %s 4 s after", word)
			}
		}
	}
	if s := f.stats(); s.Delay > 600*ms {
		t.Errorf("delay %v", s.Delay)
	}
}

// What is given out as media is what came in time, as much longer and shorter as
// the statistics say: nothing is heard twice, and nothing is lost that they do
// not know of.
func TestMediaIsConserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
		if err != nil {
			t.Fatal(err)
		}
		steady := rapid.IntRange(0, 40).Draw(t, "jitter")
		spike := rapid.IntRange(0, 300).Draw(t, "spike")
		var all []arrival
		for n := range rapid.IntRange(50, 400).Draw(t, "packets") {
			delay := rapid.IntRange(0, steady).Draw(t, "delay")
			switch rapid.IntRange(0, 40).Draw(t, "fate") {
			case 0:
				continue
			case 1:
				delay += spike
			case 2:
				all = append(all, arrival{n, time.Duration(20*n+delay+5) * ms}) // a copy
			}
			all = append(all, arrival{n, time.Duration(20*n+delay) * ms})
		}
		slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
		begin := time.Now()
		p := &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}}
		var frame audio.Frame
		var given time.Duration
		pull := func(until time.Time) {
			for next := r.Next(); !next.IsZero() && !next.After(until); next = r.Next() {
				if !r.Pull(next, &frame) {
					t.Fatal("no frame at its time")
				}
				given += frame.Duration()
			}
		}
		accepted, held := 0, 0
		for _, a := range all {
			pull(begin.Add(a.at))
			p.SequenceNumber, p.Timestamp = uint16(a.n), uint32(160*a.n)
			p.Payload = voiced(p.Payload[:0], a.n)
			switch v := r.Push(begin.Add(a.at), p); v {
			case Accepted:
				accepted++
			case Probation: // is heard if the next one proves it
				held++
			case DuplicateSeen, TooLate:
			default:
				t.Fatalf("packet %d: verdict %d", a.n, v)
			}
			if d := r.Delay(); d > time.Second {
				t.Fatalf("a delay of %v", d)
			}
		}
		r.End()
		pull(begin.Add(time.Minute))
		var s ReceiverStats
		r.Stats(&s)
		heard := s.Media + s.Compressed - s.Stretched
		media := time.Duration(accepted) * 20 * ms
		late := time.Duration(s.Late+s.Discarded) * 20 * ms
		// Of a packet that begins to be late, only the rest is heard.
		cut := s.Skipped + late + time.Duration(s.Concealments)*20*ms
		if heard > media+time.Duration(held)*20*ms || heard < media-cut-20*ms {
			t.Fatalf("%v of media heard, %v came, %v were left out: %+v", heard, media, cut, s)
		}
		if s.Media+s.Concealed+s.Noise > given {
			t.Fatalf("%v were given out, which is less than %+v", given, s)
		}
	})
}
