package parrot_test

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/calltest"
	"github.com/parley-media/parley/apps/parrot"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/l16"
	"github.com/parley-media/parley/internal/speech"
	"github.com/parley-media/parley/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var wide = audio.Format{Rate: speech.Rate, Channels: 1}

// sentence is 2 s of speech, from a vowel on, with nothing before and after.
func sentence() []int16 {
	all := speech.PCM()
	from := 0
	for level(all[from:from+320]) < -30 {
		from += 160
	}
	return all[from : from+2*speech.Rate]
}

// level returns the level of samples in dBov.
func level(samples []int16) float64 {
	sum := 1e-9
	for _, s := range samples {
		sum += float64(s) * float64(s)
	}
	return 10 * math.Log10(sum/float64(len(samples))/(1<<30))
}

// A speaker says what it is told to, and is otherwise softly noisy, until the call
// ends.
type speaker struct {
	call *parley.Call
	line *parley.Audio
	mu   sync.Mutex
	next []int16
}

func (s *speaker) say(samples []int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, samples...)
}

func (s *speaker) run() {
	f := audio.Frame{Format: wide}
	for n := 0; ; n++ {
		s.mu.Lock()
		f.Grow(320)
		k := copy(f.Samples, s.next)
		s.next = s.next[k:]
		s.mu.Unlock()
		for i := range f.Samples[k:] {
			f.Samples[k+i] = int16((n*320+i)*7919%5 - 2)
		}
		if s.line.WriteFrame(&f) != nil {
			return
		}
		select {
		case <-time.After(20 * ms):
		case <-s.call.Done():
			return
		}
	}
}

// begin starts a call with a parrot.
func begin(t *testing.T, h parrot.Handler) (caller *parley.Call, mouth *speaker) {
	t.Helper()
	caller, far := calltest.New(t, calltest.L16(speech.Rate), codec.Params{})
	calltest.Serve(t, far, h)
	mouth = &speaker{call: caller, line: caller.Audio()}
	go mouth.run()
	return caller, mouth
}

// heard is a frame that the caller hears, and when.
type heard struct {
	at      time.Time
	kind    audio.Kind
	samples []int16
}

// hears returns what the caller hears for a time.
func hears(t *testing.T, c *parley.Call, d time.Duration) (all []heard) {
	t.Helper()
	var f audio.Frame
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.Audio().SetReadDeadline(end)
		err := c.Audio().ReadFrame(&f)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, heard{time.Now(), f.Kind, slices.Clone(f.Samples)})
	}
	return all
}

// notes are what Listen is told.
type notes struct {
	samples []int16
	events  []vad.Event
	at      []time.Time // of the events
}

func (n *notes) listen(f *audio.Frame, events []vad.Event) {
	n.samples = append(n.samples, f.Samples...)
	for _, e := range events {
		n.events = append(n.events, e)
		n.at = append(n.at, time.Now())
	}
}

// Who takes a microphone away, and adds another, is heard on, as browsers send that on a
// line of its own.
func TestOtherMicrophone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, calltest.L16(speech.Rate), codec.Params{})
		calltest.Serve(t, far, parrot.Handler{})
		go (&speaker{call: caller, line: caller.Audio()}).run()
		time.Sleep(time.Second)
		microphone, _ := calltest.Replace(t, caller, far)
		mouth := &speaker{call: caller, line: microphone}
		go mouth.run()
		time.Sleep(time.Second)
		mouth.say(sentence())
		loudest := -200.0
		for _, h := range hears(t, caller, 10*time.Second) {
			loudest = max(loudest, level(h.samples))
		}
		if loudest < -40 {
			t.Errorf("the loudest of what comes back has %.0f dBov", loudest)
		}
	})
}

// What was said is said back after the pause, from its beginning to its end.
func TestSaysItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		caller, mouth := begin(t, parrot.Handler{Listen: n.listen})
		hears(t, caller, 2*time.Second)
		began := time.Now()
		mouth.say(sentence())
		back := hears(t, caller, 6*time.Second)
		caller.Close()
		synctest.Wait()

		if len(n.events) != 2 || n.events[0].Kind != vad.Start || n.events[1].Kind != vad.Stop {
			t.Fatalf("events %v", n.events)
		}
		onset, end := span(n.samples)
		start, stop := n.events[0], n.events[1]
		t.Logf("speech from %v to %v, start %+v, stop %+v", onset, end, start, stop)
		if late := start.At - onset; late < 0 || late > 150*ms {
			t.Errorf("speech that began at %v was noticed at %v", onset, start.At)
		}
		if stop.At-stop.Time != 500*ms || (stop.Time-end).Abs() > 100*ms {
			t.Errorf("speech that ended at %v ended at %v by %v", end, stop.Time, stop.At)
		}
		var echo []int16 // silent before the first frame
		for i, h := range back {
			if i == 0 {
				echo = make([]int16, wide.Samples(h.at.Sub(began)))
			}
			echo = append(echo, h.samples...)
		}
		from, to := span(echo)
		if d := to - from - (end - onset); d.Abs() > 60*ms {
			t.Errorf("%v were said back of %v", to-from, end-onset)
		}
		if wait := from - (end - onset); wait < 500*ms || wait > 800*ms {
			t.Errorf("said back after %v", wait)
		}
	})
}

// span returns from where to where samples are loud.
func span(samples []int16) (from, to time.Duration) {
	from = -1
	for i := 0; i+160 <= len(samples); i += 160 {
		if level(samples[i:i+160]) > -45 {
			to = wide.Duration(i + 160)
			if from < 0 {
				from = wide.Duration(i)
			}
		}
	}
	return from, to
}

// lecture is an answer of 24 s, in one piece.
type lecture struct{}

func (lecture) ReadFrame(f *audio.Frame) error {
	*f = audio.Frame{Format: wide, Samples: speech.PCM()}
	return nil
}

// Who is interrupted falls silent at once, however much of the answer is there
// already, and stays so.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		caller, mouth := begin(t, parrot.Handler{Listen: n.listen, Answer: func(context.Context, audio.Frame) (audio.Reader, error) {
			return lecture{}, nil
		}})
		hears(t, caller, 2*time.Second)
		mouth.say(sentence())
		hears(t, caller, 4*time.Second)
		spoke := time.Now()
		mouth.say(sentence())
		after := hears(t, caller, 2*time.Second)
		caller.Close()
		synctest.Wait()

		if len(n.events) < 3 || n.events[2].Kind != vad.Start {
			t.Fatalf("events %v", n.events)
		}
		silent, loudest := spoke, -100.
		for _, h := range after {
			if h.at.Before(n.at[2]) {
				loudest = max(loudest, level(h.samples))
			}
			if level(h.samples) > -50 {
				silent = h.at.Add(20 * ms)
			}
		}
		if loudest < -35 {
			t.Fatalf("there was nothing to interrupt: %.1f dBov", loudest)
		}
		t.Logf("interrupted after %v, silent after %v", n.at[2].Sub(spoke), silent.Sub(spoke))
		if d := silent.Sub(n.at[2]); d > 200*ms {
			t.Errorf("silent %v after the interruption", d)
		}
		if d := silent.Sub(spoke); d > 350*ms {
			t.Errorf("silent %v after the speech began", d)
		}
	})
}

// An answer that is still being thought about is given up for the next turn.
func TestThinkingIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var given, turns int
		caller, mouth := begin(t, parrot.Handler{Answer: func(ctx context.Context, f audio.Frame) (audio.Reader, error) {
			turns++
			if turns > 1 {
				return nil, errors.New("lost for words")
			}
			<-ctx.Done()
			given++
			return nil, ctx.Err()
		}})
		for range 2 {
			hears(t, caller, 2*time.Second)
			mouth.say(sentence())
			hears(t, caller, 3*time.Second)
		}
		synctest.Wait()
		if turns != 2 || given != 1 {
			t.Errorf("%d turns, %d given up", turns, given)
		}
		if caller.Err() != nil {
			t.Error(caller.Err())
		}
	})
}

// How much of an answer was said is told once that is over: all of it, or after an
// interruption as much as was heard.
func TestSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type result struct {
			answer audio.Reader
			played stream.Played
			err    error
		}
		var answers []audio.Reader
		var said []result
		caller, mouth := begin(t, parrot.Handler{
			Answer: func(context.Context, audio.Frame) (audio.Reader, error) {
				answers = append(answers, &buzz{frames: []int{50, 1000}[len(answers)%2]})
				return answers[len(answers)-1], nil
			},
			Said: func(r audio.Reader, p stream.Played, err error) { said = append(said, result{r, p, err}) },
		})
		hears(t, caller, 2*time.Second)
		mouth.say(sentence())
		hears(t, caller, 5*time.Second)
		if len(said) != 1 || said[0] != (result{answers[0], stream.Played{Sent: time.Second}, nil}) {
			t.Fatalf("of the first answer %+v", said)
		}

		mouth.say(sentence())
		back := hears(t, caller, 4*time.Second)
		mouth.say(sentence())
		back = append(back, hears(t, caller, time.Second)...)
		caller.Close()
		synctest.Wait()
		var heard time.Duration
		for _, h := range back {
			if level(h.samples) > -30 {
				heard += wide.Duration(len(h.samples))
			}
		}
		if len(said) != 2 || said[1].answer != answers[1] || !errors.Is(said[1].err, context.Canceled) {
			t.Fatalf("after the interruption %+v", said)
		}
		if d := said[1].played.Sent - heard; d.Abs() > 40*ms || heard < time.Second {
			t.Errorf("%v were said, and %v heard", said[1].played.Sent, heard)
		}
	})
}

// A buzz is an answer that is equally loud all the time, in frames of 20 ms.
type buzz struct{ frames int }

func (b *buzz) ReadFrame(f *audio.Frame) error {
	if b.frames == 0 {
		return io.EOF
	}
	b.frames--
	f.Format = wide
	f.Grow(320)
	for i := range f.Samples {
		f.Samples[i] = int16(4000 - i/40%2*8000)
	}
	return nil
}

func TestPanicInAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, calltest.L16(speech.Rate), codec.Params{})
		served := calltest.Serve(t, far, parrot.Handler{Answer: func(context.Context, audio.Frame) (audio.Reader, error) { panic("no idea") }})
		mouth := &speaker{call: caller, line: caller.Audio()}
		go mouth.run()
		time.Sleep(2 * time.Second)
		mouth.say(sentence())
		end, ok := errors.AsType[*parley.EndError](<-served)
		if !ok || end.Reason != parley.Panicked || end.Detail != "no idea" {
			t.Errorf("ended by %v", end)
		}
	})
}

// The parrot ends when its context is cancelled, also while somebody speaks.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caller, far := calltest.New(t, calltest.L16(speech.Rate), codec.Params{})
		mouth := &speaker{call: caller, line: caller.Audio()}
		go mouth.run()
		calltest.Cancel(t, far, parrot.Handler{})
	})
}
