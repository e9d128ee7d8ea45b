package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711"
	_ "github.com/parley-media/parley/codec/l16"
)

const ms = time.Millisecond

var (
	pcmu = codec.Params{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	l16  = codec.Params{Name: "L16", PayloadType: 96, ClockRate: 8000, Channels: 1}
	wide = codec.Params{Name: "L16", PayloadType: 97, ClockRate: 16000, Channels: 1}
	opus = codec.Params{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2}
)

// far is a scripted far end: its packets carry 20 ms of L16 in which each
// sample is the number of the packet, so that a test sees what it hears.
type far struct {
	t     *testing.T
	r     *AudioReceiver
	begin time.Time
	ssrc  uint32
	seq   uint16
	ts    uint32
}

func newFar(t *testing.T, c ReceiverConfig) *far {
	if c.Codecs == nil {
		c.Codecs = []codec.Params{l16, wide, pcmu}
	}
	r, err := NewAudioReceiver(c)
	if err != nil {
		t.Fatal(err)
	}
	return &far{t: t, r: r, begin: time.Now(), ssrc: 1, seq: 65530, ts: 1<<32 - 480}
}

// send delivers packet n, counted from 0, at the given time.
func (f *far) send(at time.Duration, n int) Verdict {
	return f.push(at, f.packet(n, 160))
}

func (f *far) packet(n, samples int) *rtp.Packet {
	p := &rtp.Packet{Header: rtp.Header{
		Version: 2, PayloadType: 96, SSRC: f.ssrc,
		SequenceNumber: f.seq + uint16(n), Timestamp: f.ts + uint32(n*samples),
	}}
	for range samples {
		p.Payload = append(p.Payload, byte((n+1)>>8), byte(n+1))
	}
	return p
}

func (f *far) push(at time.Duration, p *rtp.Packet) Verdict {
	return f.r.Push(f.begin.Add(at), p)
}

// hear pulls all frames that are due up to the given time and describes them,
// one word a frame: the number of the packet that it is from, plus 1, or its
// kind.
func (f *far) hear(until time.Duration) []string {
	var words []string
	var frame audio.Frame
	for {
		next := f.r.Next()
		if next.IsZero() || next.After(f.begin.Add(until)) {
			return words
		}
		if !f.r.Pull(next, &frame) {
			f.t.Fatalf("no frame at its time, %v", next.Sub(f.begin))
		}
		words = append(words, describe(&frame))
	}
}

func describe(f *audio.Frame) string {
	if f.Kind != audio.Media {
		return f.Kind.String()
	}
	first, last := f.Samples[0], f.Samples[len(f.Samples)-1]
	if first != last {
		return fmt.Sprintf("%d-%d", first, last)
	}
	return fmt.Sprint(first)
}

func (f *far) wantHeard(until time.Duration, want string) {
	f.t.Helper()
	got := fmt.Sprint(f.hear(until))
	if got != "["+want+"]" {
		f.t.Errorf("heard %s\nwant  [%s]", got, want)
	}
}

func (f *far) stats() ReceiverStats {
	var s ReceiverStats
	f.r.Stats(&s)
	return s
}

func TestClockedPlayout(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 10 { // crosses the wrap of both sequence number and timestamp
		f.send(time.Duration(n)*20*ms, n)
	}
	f.wantHeard(59*ms, "")
	f.wantHeard(60*ms, "1")
	f.wantHeard(240*ms, "2 3 4 5 6 7 8 9 10")
	if s := f.stats(); s.Lost != 0 || s.Concealed != 0 || s.Received != 10 || s.Delay != 60*ms || s.Media != 200*ms {
		t.Errorf("stats %+v", s)
	}
}

// At 11025 Hz there is no frame of 20 ms: neither the clock nor the times of frames
// drift away from the media.
func TestClockOfPartsOfSamples(t *testing.T) {
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{{Name: "L16", PayloadType: 96, ClockRate: 11025, Channels: 1}}})
	var frame audio.Frame
	var heard time.Duration
	for n := range 2500 { // 100 s
		at := time.Duration(n) * 40 * ms
		f.push(at, f.packet(n, 441))
		for next := f.r.Next(); !next.IsZero() && !next.After(f.begin.Add(at)); next = f.r.Next() {
			if !f.r.Pull(next, &frame) {
				t.Fatalf("no frame at its time, %v", next.Sub(f.begin))
			}
			if off := frame.Time - heard; off < -time.Millisecond || off > time.Millisecond {
				t.Fatalf("frame of %d samples at %v, after %v", len(frame.Samples), frame.Time, heard)
			}
			heard += 20 * ms
		}
	}
	// From the depth that playout begins with it comes down once.
	if s := f.stats(); s.Stretched != 0 || s.Compressed > 20*ms || s.Concealed != 0 || s.Media < 99*time.Second {
		t.Errorf("stats %+v", s)
	}
}

// The sums of delays tell the mean of any time, whatever became of it later.
func TestSumsOfDelays(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed, MinDelay: 60 * ms})
	for n := range 10 { // each 10 ms closer to its time than the one before, and then further again
		late := time.Duration(min(n, 10-n)) * 10 * ms
		f.send(time.Duration(n)*20*ms+late, n)
	}
	f.wantHeard(140*ms, "1 2 3 4 5")
	first := f.stats() // delays of 60, 50, 40, 30 and 20 ms
	f.wantHeard(240*ms, "6 7 8 9 10")
	second := f.stats() // of 10, 20, 30, 40 and 50 ms
	if first.Emitted != 100*ms || first.Waited != 4*ms || first.Aimed != 6*ms {
		t.Errorf("%v emitted, waited for %v, aimed at %v", first.Emitted, first.Waited, first.Aimed)
	}
	if emitted, waited := second.Emitted-first.Emitted, second.Waited-first.Waited; emitted != 100*ms || waited != 3*ms || second.Aimed != 12*ms {
		t.Errorf("then %v emitted, waited for %v; aimed at %v", emitted, waited, second.Aimed)
	}
}

func TestFirstPacketsSwapped(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	f.send(0, 1)
	f.send(1*ms, 0)
	for n := 2; n < 5; n++ {
		f.send(time.Duration(n)*20*ms, n)
	}
	if words := f.hear(121 * ms); words[0] != "1" || slices.Contains(words, "concealed") {
		t.Errorf("heard %v", words)
	}
}

func TestReorderWithinDepth(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for _, n := range []int{0, 1, 3, 2, 5, 4, 7, 6} {
		f.send(time.Duration(n)*20*ms, n)
	}
	f.wantHeard(200*ms, "1 2 3 4 5 6 7 8")
	if s := f.stats(); s.Reordered != 3 || s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestLossAndLate(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 10 {
		if n != 3 && n != 6 {
			f.send(time.Duration(n)*20*ms, n)
		}
	}
	f.wantHeard(200*ms, "1 2 3 concealed 5 6 concealed 8")
	if v := f.send(201*ms, 6); v != TooLate {
		t.Errorf("packet after its time: verdict %d, want TooLate", v)
	}
	f.wantHeard(240*ms, "9 10")
	if s := f.stats(); s.Late != 1 || s.Lost != 1 || s.Concealed != 40*ms {
		t.Errorf("stats %+v", s)
	}
}

// The last frame of a talkspurt plays at its time, without waiting for another
// packet, and the pause after it is no loss for longer than it takes to tell.
func TestPause(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 3 {
		f.send(time.Duration(n)*20*ms, n)
	}
	f.wantHeard(100*ms, "1 2 3")
	for _, word := range f.hear(1000 * ms)[7:] {
		if word != "silence" {
			t.Fatalf("heard %s in a pause", word)
		}
	}
	// The talkspurt begins 1 s after the first: 50 packets' worth of time, but
	// the next number.
	for n := range 3 {
		p := f.packet(3+n, 160)
		p.Timestamp = f.ts + uint32((50+n)*160)
		p.Marker = n == 0
		f.push(1000*ms+time.Duration(n)*20*ms, p)
	}
	words := f.hear(1100 * ms) // 4 begins like the noise before it
	if got := fmt.Sprint(words); !strings.HasPrefix(got, "[silence silence ") || !strings.HasSuffix(got, "4 5 6]") || len(words) != 5 {
		t.Errorf("heard %s", got)
	}
	if s := f.stats(); s.Lost != 0 || s.Concealed > 140*ms {
		t.Errorf("stats %+v", s)
	}
}

// Packets longer than a frame, and several in a burst, as ffmpeg sends them.
func TestLongPacketsInBursts(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed, MinDelay: 200 * ms})
	for n := range 8 {
		at := time.Duration(n/2*2) * 128 * ms
		f.push(at, f.packet(n, 1024))
	}
	words := f.hear(200*ms + 7*128*ms - 20*ms) // the fastest packet is the second of a burst
	for _, word := range words {
		if word == "concealed" || word == "silence" {
			t.Fatalf("gap in %v", words)
		}
	}
	if s := f.stats(); s.Media < 880*ms || s.Discarded != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Wi-Fi that saves power delivers packets in bunches. Once that is known the sound is not
// made longer before each of them and shorter behind it.
func TestBunchesAreNotStretched(t *testing.T) {
	for _, size := range []int{3, 4, 5, 6} {
		f := newFar(t, ReceiverConfig{})
		var before ReceiverStats
		for n := range 1500 {
			at := time.Duration(n/size*size) * 20 * ms
			for n%size == 0 && f.r.Pull(f.begin.Add(at-ms), new(audio.Frame)) {
			}
			f.push(at+time.Duration(n/size%3)*ms, f.packet(n, 160))
			if n == 500 {
				before = f.stats()
			}
		}
		s := f.stats()
		if d := s.Stretched - before.Stretched; d > 100*ms || s.Concealed != before.Concealed || s.Late > 0 {
			t.Errorf("bunches of %d: %v stretched and %v concealed in 20 s, %d late", size, d, s.Concealed-before.Concealed, s.Late)
		}
	}
}

// Timestamps that were made of whole milliseconds: every sample is heard, with nothing
// in between.
func TestTimestampsThatAreUntrue(t *testing.T) {
	for _, playout := range []Playout{Fixed, Adaptive, InOrder} {
		f := newFar(t, ReceiverConfig{Playout: playout})
		var sum []int16
		var frame audio.Frame
		for n := range 300 {
			at := time.Duration(n) * 20 * ms
			p := f.packet(n, 160)
			p.Timestamp -= []uint32{0, 3, 6}[n%3] // steps of 157, 157 and 166
			f.push(at, p)
			for f.r.Pull(f.begin.Add(at), &frame) {
				sum = append(sum, frame.Samples...)
			}
		}
		for i, run := 0, 0; i < len(sum); i += run {
			for run = 0; i+run < len(sum) && sum[i+run] == sum[i]; {
				run++
			}
			if i > 0 && i+run < len(sum) && (run != 160 || sum[i] != sum[i-1]+1) {
				t.Fatalf("%v: %d samples of %d behind %d", playout, run, sum[i], sum[i-1])
			}
		}
		if len(sum) < 290*160 {
			t.Errorf("%v: %d samples", playout, len(sum))
		}
	}
}

func TestSourceChange(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 5 {
		f.send(time.Duration(n)*20*ms, n)
	}
	g := *f
	g.ssrc, g.seq, g.ts = 2, 100, 5_000_000
	for n := range 5 {
		g.push(time.Duration(5+n)*20*ms, renumber(g.packet(n, 160), 101+n))
	}
	f.wantHeard(240*ms, "1 2 3 4 5 101 102 103 104 105")
	// The old one is heard no more, until the new one has been silent.
	if v := f.send(201*ms, 5); v != OtherSource {
		t.Errorf("old source: verdict %d, want OtherSource", v)
	}
	if v := f.send(600*ms, 6); v != Accepted {
		t.Errorf("old source after silence of the new: verdict %d, want Accepted", v)
	}
}

// The source that was heard before another one, as before music on hold, is heard again at
// once when that has said goodbye.
func TestSourceComesBack(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 5 {
		f.send(time.Duration(n)*20*ms, n)
	}
	g := *f
	g.ssrc, g.seq, g.ts = 2, 100, 5_000_000
	for n := range 5 {
		g.push(time.Duration(5+n)*20*ms, renumber(g.packet(n, 160), 101+n))
	}
	f.r.Pause()
	for n := 10; n < 15; n++ {
		if v := f.send(time.Duration(n)*20*ms, n); v != Accepted {
			t.Errorf("packet %d: verdict %d, want Accepted", n+1, v)
		}
	}
	f.wantHeard(340*ms, "1 2 3 4 5 101 102 103 104 105 11 12 13 14 15")
}

func renumber(p *rtp.Packet, v int) *rtp.Packet {
	for i := 0; i < len(p.Payload); i += 2 {
		p.Payload[i], p.Payload[i+1] = byte(v>>8), byte(v)
	}
	return p
}

func TestOnePacketOfAStrangerIsNothing(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 6 {
		f.send(time.Duration(n)*20*ms, n)
		stranger := f.packet(n, 160)
		stranger.SSRC = uint32(1000 + n)
		f.push(time.Duration(n)*20*ms, stranger)
	}
	f.wantHeard(160*ms, "1 2 3 4 5 6")
}

func TestSequenceRestart(t *testing.T) {
	for _, jump := range []int{-30000, -5000, -90, -5, 5000, 30000} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			f := newFar(t, ReceiverConfig{Playout: Fixed})
			for n := range 5 {
				f.send(time.Duration(n)*20*ms, n)
			}
			for n := 5; n < 10; n++ {
				p := f.packet(n, 160)
				p.SequenceNumber += uint16(jump)
				p.Timestamp += 0x70000000 // and a new random timestamp
				f.push(time.Duration(n)*20*ms, p)
			}
			words := f.hear(240 * ms)
			if len(words) != 10 || words[9] != "10" {
				t.Fatalf("heard %v", words)
			}
			missing := 0
			for _, w := range words {
				if w == "concealed" || w == "silence" {
					missing++
				}
			}
			if missing > 2 {
				t.Errorf("heard %v", words)
			}
		})
	}
}

func TestTimestampJump(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 10 {
		p := f.packet(n, 160)
		if n >= 5 {
			p.Timestamp += 3_000_000
		}
		f.push(time.Duration(n)*20*ms, p)
	}
	f.wantHeard(240*ms, "1 2 3 4 5 6 7 8 9 10")
}

// A sender that sets its timestamps back, as when another prompt begins, is heard whole:
// what follows by its numbers is not late.
func TestTimestampsSetBack(t *testing.T) {
	for _, playout := range []Playout{Fixed, InOrder} {
		f := newFar(t, ReceiverConfig{Playout: playout})
		for n := range 10 {
			p := f.packet(n, 160)
			if n >= 5 {
				p.Timestamp -= 3 * 160
			}
			f.push(time.Duration(n)*20*ms, p)
		}
		f.r.End()
		f.wantHeard(240*ms, "1 2 3 4 5 6 7 8 9 10")
		if s := f.stats(); s.Late != 0 {
			t.Errorf("%v: %d late", playout, s.Late)
		}
	}
}

func TestCodecAndRateChange(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 5 {
		f.send(time.Duration(n)*20*ms, n)
	}
	for n := 5; n < 10; n++ { // 16 kHz, with timestamps of its own clock
		p := f.packet(n, 320)
		p.PayloadType = 97
		f.push(time.Duration(n)*20*ms, p)
	}
	var frame audio.Frame
	var words []string
	for f.r.Next().Before(f.begin.Add(250 * ms)) {
		f.r.Pull(f.r.Next(), &frame)
		words = append(words, fmt.Sprintf("%s@%d", describe(&frame), frame.Format.Rate/1000))
	}
	if got, want := fmt.Sprint(words), "[1@8 2@8 3@8 4@8 5@8 6@16 7@16 8@16 9@16 10@16]"; got != want {
		t.Errorf("heard %s\nwant  %s", got, want)
	}
}

func TestDriftIsFollowed(t *testing.T) {
	for _, ppm := range []int{-5000, -300, 300, 5000} {
		t.Run(fmt.Sprint(ppm), func(t *testing.T) {
			f := newFar(t, ReceiverConfig{Playout: Fixed})
			sent, heard := 0, 0
			for at := time.Duration(0); at < 10*time.Minute; at += 20 * ms {
				for due := time.Duration(0); ; sent++ {
					due = time.Duration(sent) * 20 * ms * time.Duration(1_000_000-ppm) / 1_000_000
					if due > at {
						break
					}
					f.send(due, sent%30000)
				}
				heard += len(f.hear(at))
			}
			s := f.stats()
			if s.Delay < 20*ms || s.Delay > 110*ms {
				t.Errorf("delay %v after 10 minutes, want about 60 ms", s.Delay)
			}
			if limit := 10 * time.Minute * time.Duration(abs(ppm)+500) / 1_000_000; s.Concealed > limit {
				t.Errorf("%v made up, more than %v", s.Concealed, limit)
			}
			if heard < 29990 {
				t.Errorf("heard %d frames in 10 minutes", heard)
			}
		})
	}
}

func abs(n int) int { return max(n, -n) }

// A path that becomes slower for good costs a few frames, not the call.
func TestDelayStep(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 500 {
		at := time.Duration(n) * 20 * ms
		if n >= 100 {
			at += 150 * ms
		}
		f.hear(at)
		f.send(at, n)
	}
	f.hear(500 * 20 * ms)
	if s := f.stats(); s.Concealed > 300*ms || s.Late > 10 {
		t.Errorf("after a step of 150 ms: %v made up, %d late", s.Concealed, s.Late)
	}
}

func TestSlowReaderComesBackToThePresent(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 200 {
		f.send(time.Duration(n)*20*ms, n)
	}
	var frame audio.Frame
	f.r.Pull(f.begin.Add(60*ms), &frame)
	f.r.Pull(f.begin.Add(2060*ms), &frame) // the reader was away for two seconds
	if got := describe(&frame); got != "101" {
		t.Errorf("heard packet %s first after the pause, want 101", got)
	}
	if s := f.stats(); s.Skipped != 99*20*ms {
		t.Errorf("%v counted as left out, of 2 s without a reader", s.Skipped)
	}
}

func TestPatience(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 200 {
		f.send(time.Duration(n)*20*ms, n)
	}
	f.r.SetPatience(100 * ms)
	var frame audio.Frame
	f.r.Pull(f.begin.Add(60*ms), &frame)
	heard := func(at time.Duration, want string) {
		t.Helper()
		if f.r.Pull(f.begin.Add(at), &frame); describe(&frame) != want {
			t.Errorf("heard packet %s at %v, want %s", describe(&frame), at, want)
		}
	}
	heard(120*ms, "2") // 40 ms behind
	heard(279*ms, "11")
	f.r.SetPatience(time.Second)
	heard(800*ms, "12")
}

func TestInOrder(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: InOrder})
	f.send(0, 0)
	f.send(20*ms, 1)
	f.wantHeard(20*ms, "1 2")
	f.send(60*ms, 3)
	f.send(80*ms, 4)
	f.wantHeard(559*ms, "") // packet 2 may still come
	f.wantHeard(560*ms, "concealed 4 5")
	f.send(600*ms, 6)
	f.send(610*ms, 5)
	f.wantHeard(610*ms, "6 7")
	if s := f.stats(); s.Media != 120*ms || s.Concealed != 20*ms {
		t.Errorf("stats %+v", s)
	}
}

// Gaps are counted in order as they are on a clock: each one once, and those of 150 ms
// or more as interruptions.
func TestInOrderCountsGaps(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: InOrder})
	for n := range 60 {
		if n != 10 && n/2 != 10 && n/10 != 4 { // one is lost, two in a row, and ten
			f.send(time.Duration(n)*20*ms, n)
		}
	}
	f.hear(time.Hour)
	if s := f.stats(); s.Concealed != 13*20*ms || s.Concealments != 3 || s.Interrupted != 1 {
		t.Errorf("%v concealed, %d times, %d interruptions", s.Concealed, s.Concealments, s.Interrupted)
	}
}

func TestInOrderKeepsPauses(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: InOrder})
	f.send(0, 0)
	f.send(20*ms, 1)
	p := f.packet(2, 160)
	p.Timestamp = f.ts + 7*160
	f.push(140*ms, p)
	f.wantHeard(140*ms, "1 2 silence silence silence silence silence 3")
}

// A pause is as long as it was, also the first one, and also when packets were
// taken coded before.
func TestInOrderKeepsLongPauses(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: InOrder})
	first := 0
	for range 2 {
		for n := first; n < first+100; n++ {
			p := f.packet(n, 160)
			at := time.Duration(n) * 20 * ms
			if n >= first+50 {
				p.Timestamp += 30 * 8000
				at += 30 * time.Second
			}
			f.push(at, p)
		}
		heard := f.hear(time.Hour)
		if pause := slices.Repeat([]string{"silence"}, 1500); len(heard) != 1600 || !slices.Equal(heard[50:1550], pause) {
			t.Errorf("%d frames from packet %d on, want 1600", len(heard), first)
		}
		f.r.Divert(nobody{}, true)
		f.r.Divert(nil, false)
		f.begin = f.begin.Add(30 * time.Second)
		f.ts += 30 * 8000
		first += 100
	}
}

// nobody wants packets.
type nobody struct{}

func (nobody) Takes(*codec.Params) bool { return false }
func (nobody) Take(*Packet)             {}

// What is made up behind the last packet fills no gap.
func TestEndIsNoLoss(t *testing.T) {
	for _, playout := range []Playout{Adaptive, Fixed} {
		for _, silence := range []time.Duration{20 * ms, 90 * ms, time.Second} {
			f := newFar(t, ReceiverConfig{Playout: playout})
			for n := range 10 {
				if n != 5 {
					f.send(time.Duration(n)*20*ms, n)
				}
			}
			f.hear(250 * ms)
			lost := 20 * ms
			if s := f.stats(); playout == Fixed && s.Concealed != lost {
				t.Fatalf("%v concealed", s.Concealed)
			}
			f.hear(250*ms + silence)
			f.r.End()
			f.hear(5 * time.Second)
			if s := f.stats(); !f.r.Ended() || s.Concealed > lost || s.Concealments != 1 {
				t.Errorf("%v, ended after %v: %v concealed, %d times", playout, silence, s.Concealed, s.Concealments)
			}
		}
	}
}

func TestInOrderEnd(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: InOrder})
	f.send(0, 0)
	f.send(20*ms, 1)
	f.send(60*ms, 3)
	f.r.End()
	f.wantHeard(60*ms, "1 2 concealed 4")
	if !f.r.Ended() {
		t.Error("not ended after the last frame")
	}
}

func TestCodedPackets(t *testing.T) {
	f := newFar(t, ReceiverConfig{Codecs: []codec.Params{opus}})
	var q PacketQueue
	f.r.TakeCoded(&q)
	for n := range 3 {
		p := f.packet(n, 960)
		p.PayloadType = 111
		if v := f.push(time.Duration(n)*20*ms, p); v != Accepted && n > 0 {
			t.Errorf("packet %d: verdict %d", n, v)
		}
	}
	var p Packet
	for n := range int64(3) {
		if !q.Pop(&p) || p.Codec != opus || p.Payload[1] != byte(n+1) || p.Timestamp != f.ts+uint32(n)*960 {
			t.Errorf("packet %d: %+v", n, p)
		}
	}
	if q.Pop(&p) {
		t.Error("a packet too many")
	}
}

// What comes in a format that was not agreed upon is not played, but it is not lost.
func TestUnknownFormatIsNotLost(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for n := range 20 {
		p := f.packet(n, 160)
		if n >= 5 && n < 8 {
			p.PayloadType = 101
		}
		if v := f.push(time.Duration(n)*20*ms, p); v != Accepted && n != 0 && p.PayloadType != 101 {
			t.Errorf("packet %d: verdict %d", n, v)
		}
	}
	if s := f.stats(); s.Received != 20 || s.Lost != 0 || s.Discarded != 3 {
		t.Errorf("%d received, %d lost, %d discarded", s.Received, s.Lost, s.Discarded)
	}
	other := f.packet(20, 160)
	other.PayloadType, other.SSRC = 101, other.SSRC+1
	if f.push(400*ms, other); len(f.r.sources) != 1 {
		t.Error("a source that says nothing that is understood is known")
	}
}

func TestUnwantedPackets(t *testing.T) {
	f := newFar(t, ReceiverConfig{Playout: Fixed})
	for pt := range uint8(128) {
		want := WrongType
		if pt == 96 || pt == 97 || pt == 0 {
			continue
		}
		p := f.packet(0, 160)
		p.PayloadType = pt
		if v := f.push(0, p); v != want {
			t.Fatalf("payload type %d: verdict %d, want WrongType", pt, v)
		}
	}
	if s := f.stats(); s.Discarded != 125 {
		t.Errorf("%d discarded, want 125", s.Discarded)
	}
	f.send(0, 0)
	f.send(20*ms, 1)
	empty := f.packet(2, 0)
	if v := f.push(40*ms, empty); v != Malformed {
		t.Errorf("no payload: verdict %d, want Malformed", v)
	}
	odd := f.packet(3, 160)
	odd.Payload = odd.Payload[:101]
	f.push(60*ms, odd)
	f.send(80*ms, 4)
	f.wantHeard(140*ms, "1 2 concealed concealed 5")
}

func TestConfigErrors(t *testing.T) {
	for name, codecs := range map[string][]codec.Params{
		"same payload type": {pcmu, {Name: "L16", PayloadType: 0, ClockRate: 8000}},
		"payload type 128":  {{Name: "L16", PayloadType: 128, ClockRate: 8000}},
		"no clock rate":     {{Name: "L16", PayloadType: 96}},
	} {
		if _, err := NewAudioReceiver(ReceiverConfig{Codecs: codecs}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReceiverDoesNotAllocate(t *testing.T) {
	for _, playout := range []Playout{Fixed, InOrder} {
		f := newFar(t, ReceiverConfig{Playout: playout})
		var frame audio.Frame
		packets := make([]*rtp.Packet, 64)
		for i := range packets {
			packets[i] = f.packet(i, 160)
		}
		n := 0
		step := func() {
			p := packets[n%64]
			p.SequenceNumber, p.Timestamp = f.seq+uint16(n), f.ts+uint32(n*160)
			now := f.begin.Add(time.Duration(n) * 20 * ms)
			f.r.Push(now, p)
			f.r.Pull(now, &frame)
			n++
		}
		for range 200 {
			step()
		}
		if a := testing.AllocsPerRun(1000, step); a != 0 {
			t.Errorf("%v: %v allocations per packet, want 0", playout, a)
		}
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{0, 1, 20, 0, 1, 1, 20, 0, 0, 0, 200, 3, 255, 255, 1, 9}, uint8(0))
	f.Add([]byte{1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, ops []byte, playout uint8) {
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{l16, wide, pcmu}, Playout: Playout(playout % 3)})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		var frame audio.Frame
		var given time.Duration
		begin := now
		packets := 0
		begun := time.Time{}
		for ; len(ops) >= 4; ops = ops[4:] {
			now = now.Add(time.Duration(ops[2]) * ms)
			p := &rtp.Packet{Header: rtp.Header{
				Version: 2, PayloadType: []uint8{0, 96, 97, 5}[ops[3]&3], SSRC: uint32(ops[3] >> 6),
				SequenceNumber: uint16(int8(ops[0])) * uint16(1+ops[3]&0x30), Timestamp: uint32(int8(ops[1])) * 160,
			}, Payload: make([]byte, int(ops[2])*8)}
			r.Push(now, p)
			packets++
			if begun.IsZero() && !r.Next().IsZero() {
				begun = r.Next()
			}
			for range 10_000 {
				next := r.Next()
				if next.IsZero() || next.After(now) || !r.Pull(now, &frame) {
					break
				}
				if frame.Check() != nil || len(frame.Samples) == 0 || frame.Duration() > 21*ms {
					t.Fatalf("frame of %v, %d samples", frame.Format, len(frame.Samples))
				}
				given += frame.Duration()
			}
			if next := r.Next(); playout%3 != 2 && !next.IsZero() && !next.After(now) {
				t.Fatal("the clock stopped")
			}
			limit := now.Sub(begin) + 20*ms
			if playout%3 == uint8(InOrder) { // a packet lasts 255 ms at most, after a step of a second at most
				limit += time.Duration(packets) * 1280 * ms
			}
			if given > limit {
				t.Fatalf("%v given out, of %d packets in %v", given, packets, now.Sub(begin))
			}
		}
	})
}

func BenchmarkReceiver(b *testing.B) {
	r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
	if err != nil {
		b.Fatal(err)
	}
	p := &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}, Payload: make([]byte, 160)}
	var frame audio.Frame
	now := time.Now()
	for b.Loop() {
		p.SequenceNumber++
		p.Timestamp += 160
		now = now.Add(20 * ms)
		r.Push(now, p)
		r.Pull(now, &frame)
	}
}
