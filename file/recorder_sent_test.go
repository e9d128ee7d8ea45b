package file_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/file"
	"github.com/parley-media/parley/stream"
)

// tone returns a tone of so long a time, at 8 kHz: a square wave of 500 Hz.
func tone(level int16, length time.Duration) *audio.Frame {
	f := &audio.Frame{Format: mono8, Samples: make([]int16, mono8.Samples(length))}
	for i := range f.Samples {
		f.Samples[i] = level - 2*level*int16(i/8%2)
	}
	return f
}

// loud reports whether there is a tone of at least the level in a frame.
func loud(f *audio.Frame, level int16) bool {
	n := 0
	for _, s := range f.Samples {
		if s > level || s < -level {
			n++
		}
	}
	return 2*n > len(f.Samples)
}

// A heardTone is where there is a tone in one side of a file.
type heardTone struct{ begin, end time.Duration }

// runsOf finds the tones of at least the level; ones that are nearer to each other
// than the slack are one.
func runsOf(samples []int16, level int16, slack time.Duration) (runs []heardTone) {
	for i, s := range samples {
		if s <= level && s >= -level {
			continue
		}
		at := mono8.Duration(i)
		if n := len(runs); n > 0 && at-runs[n-1].end <= slack {
			runs[n-1].end = at + mono8.Duration(1)
			continue
		}
		runs = append(runs, heardTone{at, at + mono8.Duration(1)})
	}
	return runs
}

// The far end interrupts an agent that has queued a long answer, and gets a short
// one. What the file has is what was heard: the answer ends where it ended for the far
// end, and each side is where it was for the agent.
func TestRecordBothSides(t *testing.T) {
	for _, loses := range []int32{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			x, y := callsLosing(t, loses)
			var agentHeard, answered, farBegin, farEnd time.Time
			r, path := recorder(t, "a.wav", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			relay := audio.NewRelay(x.Audio(), audio.RelayConfig{})
			left := addAudio(t, r, file.Track{Codec: file.PCM, Rate: 8000})
			if err := left.Record(relay.Subscribe()); err != nil {
				t.Fatal(err)
			}
			right, err := r.AddSent(x.Audio())
			if err != nil {
				t.Fatal(err)
			}
			agent := relay.Subscribe()
			far := make(chan struct{})
			go func() { // the far end listens
				defer close(far)
				var f audio.Frame
				for y.Audio().ReadFrame(&f) == nil {
					for i, v := range f.Samples {
						if v <= 2000 && v >= -2000 {
							continue
						}
						at := time.Now().Add(mono8.Duration(i))
						if farBegin.IsZero() {
							farBegin = at
						}
						if at.Sub(farBegin) < 3800*time.Millisecond { // before the answer
							farEnd = at
						}
					}
				}
			}()
			go x.Audio().WriteFrame(tone(3000, 10*time.Second))
			time.AfterFunc(3*time.Second, func() { y.Audio().WriteFrame(tone(3000, time.Second)) })
			spoken, sent := 0, time.Duration(0)
			var f audio.Frame
			for {
				if err := agent.ReadFrame(&f); err != nil {
					t.Fatal(err)
				}
				switch {
				case loud(&f, 1000):
					if spoken++; spoken == 1 {
						agentHeard = time.Now()
						sent = x.Audio().Flush(8 * time.Millisecond).Sent
					}
					continue
				case spoken < 40:
					continue
				}
				break
			}
			answered = time.Now()
			if err := x.Audio().WriteFrame(tone(3000, 500*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			begin := time.Now().Add(-r.Duration())
			if n := right.Skipped(); n != 0 {
				t.Errorf("%d packets of what was sent were left out", n)
			}
			closed(t, r)
			relay.Close()
			x.Close()
			y.Close()
			<-far
			_, samples := wavOf(t, path)
			sides := [2][]int16{}
			for i, s := range samples {
				sides[i%2] = append(sides[i%2], s)
			}
			lefts, rights := runsOf(sides[0], 1000, 200*time.Millisecond), runsOf(sides[1], 1000, 5*time.Millisecond)
			if len(lefts) != 1 || len(rights) != 2 {
				t.Errorf("one in %d lost: tones are at %v and %v", loses, lefts, rights)
				return
			}
			said := rights[0].end - rights[0].begin
			at := func(t time.Time) time.Duration { return t.Sub(begin) }
			t.Logf("one in %d lost: %v and %v; heard by the far end from %v to %v, by the agent at %v, answered at %v, %v sent", loses, lefts, rights,
				at(farBegin), at(farEnd), at(agentHeard), at(answered), sent)
			for _, c := range []struct {
				what      string
				got, want time.Duration
			}{
				{"the length that was said", said, sent},
				{"the end of what was said, by what was heard", rights[0].end, at(farEnd) - 90*time.Millisecond},
				{"the length that was heard", said, farEnd.Sub(farBegin)},
				{"the end of what was said", rights[0].end, lefts[0].begin},
				{"the beginning of what was heard", lefts[0].begin, at(agentHeard)},
				{"the beginning of the answer", rights[1].begin, at(answered)},
				{"the end of what was heard", lefts[0].end, at(answered)},
				{"the answer", rights[1].end - rights[1].begin, 500 * time.Millisecond},
			} {
				if (c.got - c.want).Abs() > 20*time.Millisecond {
					t.Errorf("one in %d lost: %s is %v, want %v", loses, c.what, c.got, c.want)
				}
			}
		})
	}
}

// callsLosing returns two calls with 30 ms between them, and losses both ways.
func callsLosing(t *testing.T, loses int32) (x, y *parley.Call) {
	t.Helper()
	var wires []*wire
	for range 2 {
		w := newWire()
		w.way = 30 * time.Millisecond
		w.loses.Store(loses)
		c, err := parley.New(parley.Config{Audio: &parley.AudioConfig{Leg: w, Send: pcmu, Receive: []codec.Params{pcmu}, Playout: stream.Fixed}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			c.Close()
			w.flying.Wait()
		})
		wires = append(wires, w)
		x, y = y, c
	}
	wires[0].to.Store(&far{y.Audio()})
	wires[1].to.Store(&far{x.Audio()})
	x.Connected()
	y.Connected()
	return x, y
}

// Packets of Opus are in the file as they were sent, beside what was heard.
func TestRecordSentPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := calls(t, opusCodec)
		r, path := recorder(t, "a.webm", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
		if _, _, err := r.AddCall(x); err != nil {
			t.Fatal(err)
		}
		right, err := r.AddSent(x.Audio())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 250 {
			if i < 100 || i >= 200 { // the far end goes on alone
				if err := x.Audio().WritePacket(opusPacket(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := y.Audio().WritePacket(opusPacket(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * ms)
		}
		time.Sleep(100 * ms)
		if err := right.Close(); err != nil {
			t.Error(err)
		}
		x.Audio().WritePacket(opusPacket(250))
		time.Sleep(100 * ms)
		if n := right.Skipped(); n != 0 {
			t.Errorf("%d packets were left out", n)
		}
		closed(t, r)
		tracks, packets := packetsOf(t, path)
		if len(tracks) != 2 || tracks[0].Codec != file.Opus || tracks[1].Codec != file.Opus {
			t.Fatalf("tracks %v, want two of sound, since nothing was seen", tracks)
		}
		heard, sent := timesOf(packets, 0), timesOf(packets, 1)
		if len(heard) != 251 && len(heard) != 250 || len(sent) != 150 {
			t.Fatalf("%d packets heard, %d sent", len(heard), len(sent))
		}
		for _, i := range []int{0, 99, 100, 149} {
			j := i
			if i >= 100 {
				j += 100
			}
			if off := (sent[i] - heard[j]).Abs(); off > 20*ms {
				t.Errorf("packet %d is at %v, and what was heard at the same time at %v", j, sent[i], heard[j])
			}
		}
	})
}

func TestRecordSentRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := calls(t, pcmu)
		r, _ := recorder(t, "a.ivf", file.RecorderConfig{})
		if _, err := r.AddSent(x.Audio()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("sound in IVF: %v", err)
		}
		r.Close()
		r, _ = recorder(t, "a.wav", file.RecorderConfig{})
		for range 2 {
			if _, err := r.AddSent(x.Audio()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.AddSent(x.Audio()); !errors.Is(err, file.ErrTrack) {
			t.Errorf("a third side: %v", err)
		}
		x.Close()
		if _, err := r.AddSent(x.Audio()); err == nil {
			t.Error("what has ended was taken")
		}
		closed(t, r)
	})
}

// That this end hangs up is no error of a recording.
func TestRecordUntilWeHangUp(t *testing.T) {
	for _, reason := range []parley.Reason{parley.Closed, parley.Finished, parley.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			x, y := calls(t, opusCodec)
			r, _ := recorder(t, "a.webm", file.RecorderConfig{Error: func(err error) { t.Error(err) }})
			if _, _, err := r.AddCall(x); err != nil {
				t.Fatal(err)
			}
			if _, err := r.AddSent(x.Audio()); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if err := y.Audio().WritePacket(opusPacket(i)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * ms)
			}
			x.EndWith(&parley.EndError{Reason: reason})
			time.Sleep(time.Second)
			closed(t, r)
		})
	}
}
