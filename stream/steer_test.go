package stream

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// pulse delivers packet n of a sound that can be stretched anywhere.
func (f *far) pulse(at time.Duration, n int) {
	p := &rtp.Packet{Header: rtp.Header{
		Version: 2, PayloadType: 96, SSRC: f.ssrc,
		SequenceNumber: f.seq + uint16(n), Timestamp: f.ts + uint32(n*160),
	}}
	for i := range 160 {
		v := (n*160 + i) % 40 * 100
		p.Payload = append(p.Payload, byte(v>>8), byte(v))
	}
	f.push(at, p)
}

// When nothing comes any more, what is left is stretched to twice its length at
// most: from then on it would be a drone of what was heard before.
func TestStretchedTwiceAtMost(t *testing.T) {
	for _, depth := range []time.Duration{60 * ms, 100 * ms, 200 * ms, 400 * ms} {
		for _, ptime := range []time.Duration{10 * ms, 20 * ms, 30 * ms} {
			f := newFar(t, ReceiverConfig{MinDelay: depth, PTime: ptime})
			for n := range 100 {
				f.hear(time.Duration(n) * 20 * ms)
				f.pulse(time.Duration(n)*20*ms, n)
			}
			f.hear(1990 * ms)
			before := f.stats()
			f.hear(4 * time.Second)
			after := f.stats()
			stretched, heard := after.Stretched-before.Stretched, after.Media-before.Media
			if left := heard - stretched; stretched == 0 || stretched > left {
				t.Errorf("%v deep, frames of %v: %v of media made longer by %v", depth, ptime, left, stretched)
			}
		}
	}
}

// What is left out of a sound that was decoded already is joined on both sides.
func TestLeftOutWithoutClick(t *testing.T) {
	f := newFar(t, ReceiverConfig{MinDelay: 80 * ms})
	var frame audio.Frame
	last, step := 0, 0
	for n := range 100 {
		at := time.Duration(n) * 20 * ms
		p := f.packet(n, 320)
		p.PayloadType = wide.PayloadType
		for i := range 320 {
			v := uint16(int16(10000 * math.Sin(2*math.Pi*440*float64(n*320+i)/16000)))
			p.Payload[2*i], p.Payload[2*i+1] = byte(v>>8), byte(v)
		}
		if n == 50 {
			if !f.r.lookAhead(audio.Format{Rate: 16000, Channels: 1}, 480) {
				t.Fatal("nothing is pending")
			}
			f.r.skip(9 * ms)
		}
		for now := f.r.Next(); !now.IsZero() && !now.After(f.begin.Add(at)); now = f.r.Next() {
			f.r.Pull(now, &frame)
			for _, v := range frame.Samples {
				step, last = max(step, abs(int(v)-last)), int(v)
			}
		}
		f.push(at, p)
	}
	if s := f.stats(); s.Skipped == 0 || step > 2500 { // the tone itself has 1725
		t.Errorf("%v left out, with a step of %d", s.Skipped, step)
	}
}

// After an outage whose packets come only as fast as they were sent, nothing is
// left out and no second gap made: it is no use to hurry to where no packet is.
func TestNoHurryBeforeTheNewest(t *testing.T) {
	var trace []arrival
	for n := range 2050 {
		d := 0 * ms
		if n >= 2000 {
			d = 440 * ms
			if n < 2004 { // the first of them together
				d = time.Duration(2003-n)*20*ms + 440*ms
			}
		}
		trace = append(trace, arrival{n, time.Duration(n)*20*ms + d})
	}
	h := playTrace(t, trace, ReceiverConfig{})
	if s := h.stats; s.Interrupted != 1 || s.Concealments != 1 || s.Skipped != 0 {
		t.Errorf("%d interruptions, concealed %d times, %v left out", s.Interrupted, s.Concealments, s.Skipped)
	}
}

// One outage, of whatever length, is overcome within a second.
func TestCatchUpAfterOneOutage(t *testing.T) {
	for _, length := range []int{150, 200, 300, 500, 700, 900, 950, 1100, 2000} {
		var trace []arrival
		for n := range 2000 {
			d := time.Duration(0)
			if n >= 1000 && n*20 < 20000+length {
				d = time.Duration(20000+length-n*20) * ms
			}
			trace = append(trace, arrival{n, time.Duration(n)*20*ms + d})
		}
		h := playTrace(t, trace, ReceiverConfig{})
		for i, d := range h.delays {
			if end := 1000 + length/20; i > end+50 && d > 90*ms {
				t.Errorf("outage of %d ms: %v behind %v later", length, d, time.Duration(i-end)*20*ms)
				break
			}
		}
	}
}

// Steering takes no memory once the buffers have grown.
func TestSteeringDoesNotAllocate(t *testing.T) {
	f := newFar(t, ReceiverConfig{})
	var frame audio.Frame
	n := 0
	packets := make([]*rtp.Packet, 0, 4000)
	for i := range cap(packets) {
		packets = append(packets, f.packet(i, 160))
	}
	// Each second the path is 100 ms longer or shorter than before.
	feed := func() {
		at := time.Duration(n)*20*ms + time.Duration(n/50%2)*100*ms
		for next := f.r.Next(); !next.IsZero() && next.Before(f.begin.Add(at)); next = f.r.Next() {
			f.r.Pull(next, &frame)
		}
		f.push(at, packets[n])
		n++
	}
	for range 2000 {
		feed()
	}
	before := f.stats()
	if a := testing.AllocsPerRun(1900, feed); a != 0 {
		t.Errorf("%v allocations per packet, want 0", a)
	}
	if s := f.stats(); s.Stretched == before.Stretched || s.Compressed == before.Compressed {
		t.Errorf("stretched %v, compressed %v", s.Stretched, s.Compressed)
	}
}

// Sound that has no pitch period of 15 ms or less, or one that is longer than what there
// is too much, is not cut to save a few milliseconds; where it is cut, all that there is
// too much is gone.
func TestNoCutForALittle(t *testing.T) {
	for _, tt := range []struct {
		name      string
		tones     []float64
		harmonics int
		early     time.Duration // of each packet, by which the clock of the sender is fast
		cuts      int
	}{
		{"two tones", []float64{770, 1336}, 1, 0, 0},
		{"music, a fast clock", []float64{261.63, 329.63, 392, 523.25}, 5, 20 * time.Microsecond, 1},
	} {
		f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16}})
		random := rand.New(rand.NewPCG(3, 4))
		for n := range 3000 {
			at := time.Duration(n)*(20*ms-tt.early) + time.Duration(random.Int64N(int64(3*ms)))
			f.hear(at)
			p := f.packet(n, 160)
			for i := range 160 {
				var v float64
				for _, hz := range tt.tones {
					for h := 1.; h <= float64(tt.harmonics); h++ {
						v += 2000 / h * math.Cos(2*math.Pi*hz*h*float64(160*n+i)/8000)
					}
				}
				binary.BigEndian.PutUint16(p.Payload[2*i:], uint16(int16(v)))
			}
			f.push(at, p)
		}
		s := f.stats()
		cuts := int(s.Concealed / merge)
		t.Logf("%s: %d cuts, %v skipped, %v compressed, %v added", tt.name, cuts, s.Skipped, s.Compressed, s.Added)
		if tt.cuts == 0 && cuts > 0 || tt.cuts > 0 && cuts == 0 {
			t.Errorf("%s: %d cuts", tt.name, cuts)
		}
		if gained := s.Skipped - s.Concealed; gained < time.Duration(cuts)*15*ms {
			t.Errorf("%s: %v less delay by %d cuts", tt.name, gained, cuts)
		}
	}
}
