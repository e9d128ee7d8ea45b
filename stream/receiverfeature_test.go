package stream

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
)

// Packets have copies of the ones before (RFC 2198), as many as are lost in a
// row: everything is heard.
func TestRedundancyReceived(t *testing.T) {
	red := codec.Params{Name: "red", PayloadType: 102, ClockRate: 8000}
	for generations := 1; generations <= 3; generations++ {
		f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16, red}, Playout: Fixed, MinDelay: 80 * ms})
		lost := int64(0)
		for n := range 12 {
			p := f.packet(n, 160)
			var blocks []payload.REDBlock
			for back := min(generations, n); back > 0; back-- {
				blocks = append(blocks, payload.REDBlock{PayloadType: 96, Offset: uint16(160 * back), Payload: f.packet(n-back, 160).Payload})
			}
			blocks = append(blocks, payload.REDBlock{PayloadType: 96, Payload: p.Payload})
			coded, err := payload.AppendRED(nil, blocks...)
			if err != nil {
				t.Fatal(err)
			}
			p.PayloadType, p.Payload = 102, coded
			if n%(generations+2) >= 2 && n < 11 {
				lost++
				continue
			}
			f.push(time.Duration(n)*20*ms, p)
		}
		f.wantHeard(300*ms, "1 2 3 4 5 6 7 8 9 10 11 12")
		if s := f.stats(); s.Recovered != lost || s.Lost != lost || s.Concealed != 0 {
			t.Errorf("%d generations, %d lost: %+v", generations, lost, s)
		}
	}
}

// A copy is counted as recovered too where more is lost than has copies, and what comes
// before it is bridged.
func TestRedundancyBehindBridges(t *testing.T) {
	red := codec.Params{Name: "red", PayloadType: 102, ClockRate: 8000}
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16, red}, Playout: Fixed, MinDelay: 80 * ms})
	for n := range 12 {
		p, before := f.packet(n, 160), f.packet(n-1, 160)
		coded, err := payload.AppendRED(nil, payload.REDBlock{PayloadType: 96, Offset: 160, Payload: before.Payload},
			payload.REDBlock{PayloadType: 96, Payload: p.Payload})
		if err != nil {
			t.Fatal(err)
		}
		if p.PayloadType, p.Payload = 102, coded; n != 4 && n != 5 {
			f.push(time.Duration(n)*20*ms, p)
		}
	}
	f.wantHeard(300*ms, "1 2 3 4 concealed 6 7 8 9 10 11 12")
	if s := f.stats(); s.Recovered != 1 || s.Lost != 2 || s.Concealed != 20*ms {
		t.Errorf("%+v", s)
	}
}

// The level of RFC 6464, section 3: a bit for speech, seven for -dBov.
func TestLevelReceived(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed, LevelExtension: 3})
	for n := range 3 {
		p := f.packet(n, 160)
		if err := p.SetExtension(3, []byte{0x80 | byte(30+n)}); err != nil {
			t.Fatal(err)
		}
		f.push(time.Duration(n)*20*ms, p)
	}
	if s := f.stats(); !s.LevelKnown || !s.Voice || s.Level != 32 {
		t.Errorf("level %d, voice %v, known %v", s.Level, s.Voice, s.LevelKnown)
	}
}

func TestSetCodecs(t *testing.T) {
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16}, Playout: Fixed})
	for n := range 3 {
		f.send(time.Duration(n)*20*ms, n)
	}
	before := f.r.decoders.of(96)
	if err := f.r.SetCodecs([]codec.Params{l16, {Name: "L16", PayloadType: 200, ClockRate: 8000}}); err == nil {
		t.Error("payload type 200: no error")
	}
	if err := f.r.SetCodecs([]codec.Params{l16, pcmu}); err != nil {
		t.Fatal(err)
	}
	if f.r.decoders.of(96) != before {
		t.Error("the format that stayed lost its state")
	}
	f.wantHeard(100*ms, "1 2 3")
	if err := f.r.SetCodecs([]codec.Params{pcmu}); err != nil {
		t.Fatal(err)
	}
	for n := range overlap + 1 {
		if v, want := f.send(time.Duration(100+20*n)*ms, 5+n), n < overlap; (v != WrongType) != want {
			t.Errorf("packet %d of a format that is no more: verdict %d", n, v)
		}
	}
	if before.decoder == nil != (f.r.current != before) {
		t.Error("a decoder that nobody needs")
	}
}

// What is in the buffer when its format is no more is played, and so is what is on its
// way then; but not if its payload type means something else now.
func TestFormerFormatsArePlayed(t *testing.T) {
	for _, now := range [][]codec.Params{{pcmu}, {{Name: "PCMU", PayloadType: l16.PayloadType, ClockRate: 8000}}} {
		f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16}, Playout: Fixed})
		for n := range 3 {
			f.send(time.Duration(n)*20*ms, n)
		}
		if err := f.r.SetCodecs(now); err != nil {
			t.Fatal(err)
		}
		if now[0].PayloadType == l16.PayloadType {
			if s := f.stats(); s.Discarded != 3 {
				t.Errorf("%d packets discarded, want 3", s.Discarded)
			}
			continue
		}
		for n := 3; n < 6; n++ {
			f.send(time.Duration(n)*20*ms, n)
		}
		f.wantHeard(160*ms, "1 2 3 4 5 6")
		if err := f.r.SetCodecs([]codec.Params{pcmu}); err != nil {
			t.Fatal(err)
		}
		if v := f.send(160*ms, 8); v != WrongType {
			t.Errorf("after another change: verdict %d, want WrongType", v)
		}
	}
}

// A format that is no more is none in redundancy either.
func TestFormerFormatInRedundancy(t *testing.T) {
	red := codec.Params{Name: "red", PayloadType: 102, ClockRate: 8000, Channels: 1}
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{l16, red}, Playout: Fixed})
	if err := f.r.SetCodecs([]codec.Params{pcmu, red}); err != nil {
		t.Fatal(err)
	}
	for n := range overlap + 3 {
		p := f.packet(n, 160)
		coded, err := payload.AppendRED(nil, payload.REDBlock{PayloadType: l16.PayloadType, Payload: p.Payload})
		if err != nil {
			t.Fatal(err)
		}
		p.PayloadType, p.Payload = red.PayloadType, coded
		if v := f.push(time.Duration(n)*20*ms, p); (v == WrongType) != (n >= overlap-1) { // which counts itself
			t.Errorf("packet %d: verdict %d", n, v)
		}
	}
}

// One packet in eighty is lost: no gap is longer than a frame, and the delay is
// what it was.
func TestRareLoss(t *testing.T) {
	var trace []arrival
	for n := range 3000 {
		if n%80 != 79 {
			trace = append(trace, arrival{n, time.Duration(n) * 20 * ms})
		}
	}
	h := playTrace(t, trace, ReceiverConfig{})
	t.Logf("%d gaps, %v concealed, delay %v", h.stats.Concealments, h.stats.Concealed, h.mean)
	if s := h.stats; s.Concealed > time.Duration(s.Concealments)*20*ms || s.Concealments != 37 || h.mean > 30*ms {
		t.Errorf("%v concealed in %d gaps, delay %v", s.Concealed, s.Concealments, h.mean)
	}
}

// A stall of 120 ms every two seconds, with at most 200 ms of delay.
func TestStalls(t *testing.T) {
	var trace []arrival
	for n := range 6000 {
		at := time.Duration(n) * 20 * ms
		into := at % (2 * time.Second)
		trace = append(trace, arrival{n, at + max(0, 120*ms-into)})
	}
	h := playTrace(t, trace, ReceiverConfig{MaxDelay: 200 * ms})
	t.Logf("%d of 6000 packets late, %.2f %% concealed, delay %v", h.stats.Late, h.concealed, h.mean)
	if share := float64(h.stats.Late) / 6000; share >= 0.005 || h.concealed >= 0.5 || h.p95 > 220*ms {
		t.Errorf("%.2f %% late, %.2f %% concealed, delay %v", 100*share, h.concealed, h.p95)
	}
}

// An outage is caught up with: 250 ms within 2 s, 1000 ms within 4 s.
func TestCatchUp(t *testing.T) {
	for outage, within := range map[time.Duration]time.Duration{250 * ms: 2 * time.Second, 1000 * ms: 4 * time.Second} {
		var trace []arrival
		for n := range 2000 {
			at := time.Duration(n) * 20 * ms
			if at >= 20*time.Second && at < 20*time.Second+outage {
				at = 20*time.Second + outage
			}
			trace = append(trace, arrival{n, at})
		}
		h := playTrace(t, trace, ReceiverConfig{})
		var last time.Duration
		for i, d := range h.delays {
			if d > 100*ms {
				last = time.Duration(i) * 20 * ms
			}
		}
		if took := last - 20*time.Second; took <= 0 || took > within {
			t.Errorf("outage of %v: caught up %v after it began", outage, took)
		}
	}
}

// An hour of a sender whose clock is wrong by half a per cent.
func TestDriftForAnHour(t *testing.T) {
	for _, ppm := range []int{-5000, 5000} {
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		p := &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}
		var frame audio.Frame
		for n := 0; n < 180_000; n++ {
			at := begin.Add(time.Duration(n) * 20 * ms * time.Duration(1_000_000+ppm) / 1_000_000)
			for next := r.Next(); !next.IsZero() && next.Before(at); next = r.Next() {
				r.Pull(next, &frame)
			}
			p.SequenceNumber, p.Timestamp = uint16(n), uint32(n*160)
			p.Payload = voiced(p.Payload[:0], n)
			r.Push(at, p)
		}
		var s ReceiverStats
		r.Stats(&s)
		t.Logf("%d ppm: delay %v, target %v, concealed %v", ppm, s.Added, s.Target, s.Concealed)
		if off := s.Added - s.Target; off < -20*ms || off > 20*ms || s.Concealed > time.Hour/2000 {
			t.Errorf("%d ppm: delay %v, target %v, concealed %v", ppm, s.Added, s.Target, s.Concealed)
		}
	}
}

// course drives a receiver of PCMU for allocation tests and benchmarks.
type course struct {
	r     *AudioReceiver
	p     rtp.Packet
	frame audio.Frame
	begin time.Time
	n     int
}

func newCourse(t testing.TB, c ReceiverConfig) *course {
	c.Codecs = []codec.Params{pcmu}
	r, err := NewAudioReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	return &course{r: r, begin: time.Now(), p: rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}}
}

// step delivers a packet, unless it is lost, after the given time in all, and
// pulls a frame.
func (c *course) step(at time.Duration, lost bool) {
	if !lost {
		c.p.SequenceNumber, c.p.Timestamp = uint16(c.n), uint32(c.n*160)
		c.p.Payload = voiced(c.p.Payload[:0], c.n)
		c.r.Push(c.begin.Add(at), &c.p)
	}
	c.n++
	for next := c.r.Next(); !next.IsZero() && !next.After(c.begin.Add(at)); next = c.r.Next() {
		c.r.Pull(next, &c.frame)
	}
}

var courses = map[string]func(n int) (at time.Duration, lost bool){
	"ordinary":  func(n int) (time.Duration, bool) { return time.Duration(n) * 20 * ms, false },
	"stretched": func(n int) (time.Duration, bool) { return time.Duration(n) * 20200 * time.Microsecond, false },
	"shortened": func(n int) (time.Duration, bool) { return time.Duration(n) * 19800 * time.Microsecond, false },
	"concealed": func(n int) (time.Duration, bool) { return time.Duration(n) * 20 * ms, n%3 == 2 },
	"stalling":  func(n int) (time.Duration, bool) { return time.Duration(n/8) * 160 * ms, false },
}

func TestAdaptivePlayoutDoesNotAllocate(t *testing.T) {
	for name, delivery := range courses {
		c := newCourse(t, ReceiverConfig{})
		step := func() { c.step(delivery(c.n)) }
		for range 2000 {
			step()
		}
		if a := testing.AllocsPerRun(2000, step); a != 0 {
			t.Errorf("%s: %v allocations per packet, want 0", name, a)
		}
	}
}

func BenchmarkPlayout(b *testing.B) {
	for _, name := range []string{"ordinary", "stretched", "shortened", "concealed", "stalling"} {
		b.Run(name, func(b *testing.B) {
			c := newCourse(b, ReceiverConfig{})
			for b.Loop() {
				c.step(courses[name](c.n))
			}
			var s ReceiverStats
			c.r.Stats(&s)
			b.ReportMetric(float64(s.Concealments)/float64(c.n), "gaps/op")
		})
	}
}

// Talkspurts with pauses of 0.4 to 3 s in which nothing is sent: nothing is
// clipped, and nothing is counted as lost or concealed once a pause has proved to
// be one.
func TestTalkspurts(t *testing.T) {
	f := newFar(t, ReceiverConfig{})
	at, seq := time.Duration(0), 0
	for spurt := range 20 {
		for range 25 {
			f.hear(at)
			p := f.packet(seq, 160)
			p.Timestamp = f.ts + uint32(at/ms*8)
			f.push(at, p)
			at += 20 * ms
			seq++
		}
		at += 400*ms + time.Duration(spurt)*130*ms
	}
	f.hear(at)
	p := f.packet(seq, 160)
	p.Timestamp = f.ts + uint32(at/ms*8)
	f.push(at, p)
	f.hear(at + 20*ms)
	t.Logf("%d packets of 20 talkspurts, %v heard, %v concealed", seq, f.stats().Media, f.stats().Concealed)
	if s := f.stats(); s.Media < 500*20*ms-s.Compressed || s.Concealed != 0 || s.Concealments != 0 || s.Late != 0 || s.Lost != 0 || s.Interrupted != 0 || s.Discarded != 0 {
		t.Errorf("after %d packets: %s", seq, fmt.Sprintf("%+v", s))
	}
}

// Whoever comes back to a codec begins with a new encoder, of which a decoder that goes
// on from where it was would make a bang.
func TestBackToACodec(t *testing.T) {
	for _, playout := range []Playout{InOrder, Fixed} {
		f := newFar(t, ReceiverConfig{Codecs: []codec.Params{pcmu, g722}, Playout: playout})
		loudest := 0
		var encoder codec.Encoder
		var frame audio.Frame
		for n := range 100 {
			at := time.Duration(n) * 20 * ms
			p := f.packet(n, 160)
			params := []codec.Params{g722, pcmu}[n/25%2]
			impl, err := codec.Lookup(params)
			if err != nil {
				t.Fatal(err)
			}
			format, err := impl.Format(params)
			if err != nil {
				t.Fatal(err)
			}
			if n%25 == 0 {
				if encoder, err = impl.NewEncoder(params); err != nil {
					t.Fatal(err)
				}
			}
			pcm := make([]int16, format.Samples(20*ms))
			for i := range pcm {
				pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*(at.Seconds()+float64(i)/float64(format.Rate))))
			}
			p.PayloadType = params.PayloadType
			p.Payload, err = encoder.Encode(p.Payload[:0], pcm)
			if err != nil {
				t.Fatal(err)
			}
			f.push(at, p)
			for f.r.Pull(f.begin.Add(at), &frame) {
				for _, v := range frame.Samples {
					loudest = max(loudest, int(max(v, -v)))
				}
			}
		}
		if loudest > 10000 {
			t.Errorf("%v: a sample of %d, of a tone of 8000", playout, loudest)
		}
	}
}

// Timestamps that stand still, or count milliseconds or samples of another rate, so that
// packets seem to overlap, are believed no more after the first few: all is heard. Those of
// the next source are.
func TestTimestampsThatDoNotCountSamples(t *testing.T) {
	for _, playout := range []Playout{Fixed, Adaptive, InOrder} {
		for _, step := range []int{0, 1, 20, 80, 120} {
			f := newFar(t, ReceiverConfig{Playout: playout})
			heard := make([]int, 200)
			made := 0
			run := func(first, last int, begin time.Duration) {
				var frame audio.Frame
				for n := first; n < last; n++ {
					at := begin + time.Duration(n)*20*ms
					p := f.packet(n, 160)
					if f.ssrc == 1 {
						p.Timestamp = f.ts + uint32(n*step)
					}
					f.push(at, p)
					for f.r.Pull(f.begin.Add(at), &frame) {
						for _, v := range frame.Samples {
							switch {
							case v > 0 && int(v) <= len(heard) && frame.Kind == audio.Media:
								heard[v-1]++
							case n > 30:
								made++
							}
						}
					}
				}
			}
			run(0, 150, 0)
			whole := func(first, last int) {
				t.Helper()
				sum, want := 0, 160*(last-first)
				for _, n := range heard[first:last] {
					sum += n
				}
				if off := sum - want; max(off, -off) > want/10 || playout == InOrder && off != 0 {
					t.Errorf("%v, step %d: %d samples of %d are heard", playout, step, sum, want)
				}
			}
			whole(20, 130)
			if made != 0 {
				t.Errorf("%v, step %d: %d samples that nobody sent", playout, step, made)
			}
			f.ssrc, f.ts = 2, 1000
			run(150, 170, 0)
			f.ts += 160 * 50
			run(170, 190, time.Second)
			if playout != InOrder {
				continue
			}
			whole(150, 190)
			if made != 160*50 {
				t.Errorf("step %d: the pause of a source that counts is of %d samples", step, made)
			}
		}
	}
}
