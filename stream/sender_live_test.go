package stream

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// A liveEnd writes live, in virtual time, what falls due each 20 ms, and keeps
// what leaves.
type liveEnd struct {
	t      *testing.T
	s      *AudioSender
	begin  time.Time
	source func(n int) int // sample n of the left channel; the right one is its negative
	step   time.Duration   // between frames
	frame  audio.Frame
	read   int           // samples, all channels
	next   time.Duration // when a frame is due
	pcm    []int16       // that left
	jumps  map[int]bool  // samples of it with a pause before them
	end    uint32
	queued time.Duration // the most since it was set to 0
}

func newLiveEnd(t *testing.T, c SenderConfig, source func(n int) int) *liveEnd {
	t.Helper()
	s, err := NewAudioSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return &liveEnd{
		t: t, s: s, begin: time.Now(), source: source, step: 20 * ms,
		frame: audio.Frame{Format: s.Format()}, jumps: map[int]bool{},
	}
}

// run looks each millisecond of a time at what is due.
func (e *liveEnd) run(from, until time.Duration) {
	e.t.Helper()
	for at := from; at < until; at += ms {
		e.send(at) // the loop of a call may come first
		for ; e.next <= at; e.next += e.step {
			e.write(at)
			e.send(at)
		}
		e.queued = max(e.queued, e.s.Queued())
	}
}

func (e *liveEnd) write(at time.Duration) {
	e.t.Helper()
	f := &e.frame
	f.Grow(f.Format.Samples(20 * ms))
	f.Time = f.Format.Duration(e.read)
	for i := range f.Samples {
		v := e.source(e.read / f.Format.Channels)
		if i%f.Format.Channels == 1 {
			v = -v
		}
		f.Samples[i] = int16(v)
		e.read++
	}
	if err := e.s.WriteLive(e.begin.Add(at), f); err != nil {
		e.t.Fatal(err)
	}
}

func (e *liveEnd) send(at time.Duration) {
	e.t.Helper()
	var p rtp.Packet
	for {
		b, ok := e.s.AppendPacket(nil, e.begin.Add(at))
		if !ok {
			return
		}
		if err := p.Unmarshal(b); err != nil {
			e.t.Fatal(err)
		}
		if len(e.pcm) > 0 && p.Timestamp != e.end {
			e.jumps[len(e.pcm)] = true
		}
		for i := 0; i < len(p.Payload); i += 2 {
			e.pcm = append(e.pcm, int16(binary.BigEndian.Uint16(p.Payload[i:])))
		}
		e.end = p.Timestamp + uint32(len(p.Payload)/2/e.frame.Format.Channels)
	}
}

// leftOut returns how much was, and checks that all that was written is accounted
// for.
func (e *liveEnd) leftOut() time.Duration {
	e.t.Helper()
	var s SenderStats
	e.s.Stats(&s)
	f := e.frame.Format
	left := f.Duration(e.read - len(e.pcm) - e.s.queue.pcm.count)
	if diff := (s.LeftOut - left).Abs(); diff > ms/100 || s.LeftOut != e.s.Played().Dropped {
		e.t.Errorf("%v of what was written is gone, %v was counted, and %+v", left, s.LeftOut, e.s.Played())
	}
	return s.LeftOut
}

// steepest returns the largest step between samples that follow each other.
func (e *liveEnd) steepest() (most int) {
	n := e.frame.Format.Channels
	for i := n; i < len(e.pcm); i++ {
		if !e.jumps[i/n*n] {
			most = max(most, max(int(e.pcm[i])-int(e.pcm[i-n]), int(e.pcm[i-n])-int(e.pcm[i])))
		}
	}
	return most
}

func hum(rate int, hertz float64) func(n int) int {
	return func(n int) int { return int(8000 * math.Sin(2*math.Pi*hertz*float64(n)/float64(rate))) }
}

// rumble is loud, smooth and never the same again.
func rumble() func(n int) int {
	r := rand.New(rand.NewPCG(3, 4))
	var low, lower float64
	return func(int) int {
		low += (60000*(r.Float64()-0.5) - low) / 8
		lower += (low - lower) / 8
		return int(lower)
	}
}

// After a stall of 300 ms, what was missed comes at once. Two seconds later the
// delay is what it was, without a click, and all that is missing is counted.
func TestLiveWritingAfterStall(t *testing.T) {
	tests := []struct {
		name   string
		codec  codec.Params
		source func(n int) int
		steep  int // as a source, and in a cross-fade of 5 ms
	}{
		{"voice", l16, hum(8000, 140), 1700},
		{"high tone", l16, hum(8000, 900), 6400},
		{"stereo", cd, hum(44100, 140), 300},
		{"rumble", l16, rumble(), 2000},
		{"nothing", l16, func(int) int { return 0 }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newLiveEnd(t, SenderConfig{Codec: tt.codec}, tt.source)
			e.run(0, 5*time.Second)
			if d := e.leftOut(); d != 0 || e.queued > 20*ms {
				t.Errorf("without a stall %v is left out, %v queued", d, e.queued)
			}
			e.run(5300*ms, 5301*ms)
			first, queued := e.leftOut(), e.s.Queued()
			e.run(5301*ms, 7300*ms)
			e.queued = 0
			e.run(7300*ms, 20*time.Second)
			t.Logf("%v left out and %v queued at once, %v left out at the end, then %v queued; steps of %d", first, queued, e.leftOut(), e.queued, e.steepest())
			if first != 100*ms || queued < 180*ms || queued > 200*ms {
				t.Errorf("at once %v left out, %v queued", first, queued)
			}
			if d := e.leftOut(); e.queued >= 40*ms || d < 260*ms || d > 300*ms {
				t.Errorf("at the end %v left out, %v queued", d, e.queued)
			}
			if e.steepest() > tt.steep {
				t.Errorf("a step of %d", e.steepest())
			}
		})
	}
}

// However the clock of the far end goes, nothing is left out of an hour without
// stalls: what is read goes by the clock of this machine, a little late now and then.
func TestLiveEchoOfAnHour(t *testing.T) {
	for _, ppm := range []time.Duration{-200, 200} {
		random := rand.New(rand.NewPCG(5, uint64(ppm)))
		r, err := NewAudioReceiver(ReceiverConfig{Codecs: []codec.Params{pcmu}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewAudioSender(SenderConfig{Codec: pcmu})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		late := func() time.Duration { return time.Duration(random.IntN(8000)) * time.Microsecond }
		in := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1}}
		var out []byte
		var f audio.Frame
		var at, far, reads, sends time.Duration
		var queued time.Duration
		n := 0
		for at < time.Hour {
			switch {
			case far <= reads && far <= sends:
				at = far
				in.Payload = voiced(in.Payload[:0], n)
				r.Push(begin.Add(at), &in)
				in.SequenceNumber++
				in.Timestamp += 160
				n++
				far = time.Duration(n) * 20 * ms * (1_000_000 + ppm) / 1_000_000
			case reads <= sends:
				at = reads
				if r.Pull(begin.Add(at), &f) && f.Kind != audio.Silence {
					if err := s.WriteLive(begin.Add(at), &f); err != nil {
						t.Fatal(err)
					}
					queued = max(queued, s.Queued())
				}
			default:
				at = sends
				for ok := true; ok; {
					out, ok = s.AppendPacket(out[:0], begin.Add(at))
				}
			}
			reads, sends = at+20*ms, at+20*ms
			if next := r.Next(); !next.IsZero() {
				reads = max(at, next.Sub(begin)) + late()
			}
			if next := s.Next(); !next.IsZero() {
				sends = max(at, next.Sub(begin)) + late()
			}
		}
		var stats SenderStats
		s.Stats(&stats)
		t.Logf("%d ppm: at most %v queued, %+v", ppm, queued, stats)
		if stats.LeftOut != 0 || stats.Packets < 179_000 || queued > 40*ms {
			t.Errorf("%d ppm: %v left out, %v queued, %d packets", ppm, stats.LeftOut, queued, stats.Packets)
		}
	}
}

// A writer whose clock is a little fast is followed. One whose clock is faster than that
// fills the queue, and only what it is ahead of time is left out.
func TestLiveWriterWithFastClock(t *testing.T) {
	for _, tt := range []struct{ ppm, leftOut, queued time.Duration }{
		{200, 0, 20 * ms},
		{20_000, 2 * time.Minute / 50, 100 * ms},
	} {
		e := newLiveEnd(t, SenderConfig{Codec: l16}, hum(8000, 140))
		e.step = 20 * ms * (1_000_000 - tt.ppm) / 1_000_000
		e.run(0, 2*time.Minute)
		d := e.leftOut()
		t.Logf("%d ppm: %v left out, %v queued at most", tt.ppm, d, e.queued)
		if d > tt.leftOut || d < tt.leftOut-tt.queued || e.queued > tt.queued {
			t.Errorf("%d ppm: %v left out, %v queued at most", tt.ppm, d, e.queued)
		}
		if len(e.jumps) > 0 || e.steepest() > 1700 {
			t.Errorf("%d ppm: %d pauses, a step of %d", tt.ppm, len(e.jumps), e.steepest())
		}
	}
}

// A writer who came late once waits for the time of each packet no longer than for a few
// seconds, after which they leave as soon as they are written, without a pause.
func TestLiveWriterWhoWasLate(t *testing.T) {
	e := newLiveEnd(t, SenderConfig{Codec: l16}, hum(8000, 140))
	e.run(0, time.Millisecond)
	e.next = 7 * ms // the first one came 13 ms late
	e.run(time.Millisecond, 5*time.Second)
	e.queued = 0
	e.run(5*time.Second, 10*time.Second)
	if e.queued > 0 {
		t.Errorf("%v waited", e.queued)
	}
	if d := e.leftOut(); d > 0 || len(e.jumps) > 0 {
		t.Errorf("%v left out, %d pauses", d, len(e.jumps))
	}
}

// What was written in advance is sent in full, also when somebody writes live next,
// whose delay comes to nothing behind it.
func TestLiveBehindPrompt(t *testing.T) {
	e := newLiveEnd(t, SenderConfig{Codec: l16}, func(n int) int { return n % 30_000 })
	prompt := audio.Frame{Format: e.s.Format(), Samples: make([]int16, 1600)}
	for i := range prompt.Samples {
		prompt.Samples[i] = int16(-1 - i)
	}
	if err := e.s.Write(e.begin, &prompt); err != nil {
		t.Fatal(err)
	}
	e.read, e.pcm = len(prompt.Samples), nil
	e.run(0, 5*time.Second)
	for i := range prompt.Samples {
		if e.pcm[i] != prompt.Samples[i] {
			t.Fatalf("sample %d is %d, want %d", i, e.pcm[i], prompt.Samples[i])
		}
	}
	if d := e.leftOut(); d < 160*ms || d > 200*ms || e.s.Queued() >= 40*ms || len(e.jumps) > 0 {
		t.Errorf("%v left out, %v queued, %d pauses", d, e.s.Queued(), len(e.jumps))
	}
}

// In a call with video, sound that is written live does not wait for the time that
// its frames tell, and pictures leave with it all the same.
func TestLiveWithPictures(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: l16})
	n.s.written.paused = true
	n.frame.Format = n.s.Format()
	n.frame.Grow(160)
	for k := range 10 {
		n.frame.Time = time.Duration(k) * 20 * ms
		if k >= 5 { // 400 ms were left out in 60 ms of time
			n.frame.Time += 400 * ms
			n.at = time.Duration(k)*20*ms + 60*ms
			n.poll()
		}
		if err := n.s.WriteLive(n.begin.Add(n.at), &n.frame); err != nil {
			t.Fatal(err)
		}
		at, _, ok := n.s.due(n.frame.Time)
		if got := n.poll(); len(got) != 1 || got[0].at != n.at {
			t.Errorf("frame %d: %v at %v", k, got, n.at)
		}
		if !ok || at != n.begin.Add(n.at) {
			t.Errorf("picture %d is due at %v, %v", k, at.Sub(n.begin), ok)
		}
		n.at += 20 * ms
	}
}

// A frame longer than the queue loses its begin, and prepared frames lose nothing
// however long they wait.
func TestLiveAndLong(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu})
	long := audio.Frame{Format: n.s.Format(), Samples: make([]int16, 8000)}
	if err := n.s.WriteLive(n.begin, &long); err != nil {
		t.Fatal(err)
	}
	var s SenderStats
	if n.s.Stats(&s); s.LeftOut != 800*ms || n.s.Queued() != 200*ms {
		t.Errorf("%v left out, %v queued", s.LeftOut, n.s.Queued())
	}
	n.s.Flush(0)
	for n.at < 10*time.Second {
		for n.s.Room() >= 160 {
			n.mustWrite(160)
		}
		n.run(n.at + 20*ms)
	}
	if n.s.Stats(&s); s.LeftOut != 800*ms || n.s.Queued() < 160*ms {
		t.Errorf("%v left out, %v queued", s.LeftOut, n.s.Queued())
	}
}

func TestLiveErrors(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu})
	wrong := audio.Frame{Format: audio.Format{Rate: 16000, Channels: 1}, Samples: make([]int16, 320)}
	if err := n.s.WriteLive(n.begin, &wrong); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("16 kHz: %v", err)
	}
	if err := n.s.WriteLive(n.begin, &audio.Frame{Format: n.s.Format()}); err != nil || !n.s.Next().IsZero() {
		t.Errorf("no samples: %v, next %v", err, n.s.Next())
	}
	s, err := NewAudioSender(SenderConfig{Codec: opus8, Coded: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteLive(n.begin, &wrong); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("without an encoder: %v", err)
	}
}

// Once something was left out, what is left out next allocates nothing.
func TestLiveWritingDoesNotAllocate(t *testing.T) {
	n := newNear(t, SenderConfig{Codec: pcmu})
	n.frame.Format = n.s.Format()
	n.frame.Grow(160)
	out := make([]byte, 0, 200)
	write := func() { n.s.WriteLive(n.begin.Add(n.at), &n.frame) } //nolint:errcheck // the format is right
	steps := 0
	step := func() {
		if steps%100 == 0 {
			for range 5 {
				write()
			}
		}
		steps++
		n.at += 20 * ms
		write()
		for ok := true; ok; {
			out, ok = n.s.AppendPacket(out[:0], n.begin.Add(n.at))
		}
	}
	for range 100 {
		step()
	}
	var before, after SenderStats
	n.s.Stats(&before)
	if a := testing.AllocsPerRun(1000, step); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if n.s.Stats(&after); after.LeftOut < before.LeftOut+900*ms {
		t.Errorf("only %v left out", after.LeftOut-before.LeftOut)
	}
}
