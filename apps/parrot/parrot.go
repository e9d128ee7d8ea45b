// Package parrot is a talking agent in small: it listens until somebody has spoken,
// answers, and is silent at once when it is interrupted. It has no mind: what it
// says is what it heard. A real one puts its recogniser and its voice in the two
// places where this one has none.
package parrot

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/stream"
)

// Handler talks with each caller, on a telephone or in a browser. They hear an
// answer when they have paused, and no more of it once they speak again: it ends
// within 200 ms, of which package vad takes half to be sure that it is speech. Who
// listens without headphones needs echo cancelling, as browsers have it, or else the
// parrot interrupts itself.
//
// Hooks that need to know whose call it is are made for each:
//
//	s.Handle("/offer", parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error {
//		mind := newMind(c)
//		return parrot.Handler{Listen: mind.listen, Answer: mind.answer}.ServeCall(ctx, c)
//	}))
type Handler struct {
	// VAD says what counts as speech. Its Hangover is the pause after which the
	// parrot answers; 0: 500 ms.
	VAD vad.Config

	// Listen, if it is not nil, is told all that is heard at once, for a recogniser
	// that works meanwhile: frames of 20 ms at [Rate], mono, with the events that
	// have become clear in them. It must not block, nor keep anything.
	Listen func(f *audio.Frame, events []vad.Event)

	// Answer returns what to say to what was heard: one turn, at [Rate], mono,
	// from before its first sound to the pause, or its last 30 s. It may take
	// its time, and so may the reader, whose frames are of any length and format. The
	// context is cancelled, and nothing is read any more, when the speaker goes on
	// or the call ends. An error is the event [Speechless]. nil: what was heard.
	Answer func(ctx context.Context, heard audio.Frame) (audio.Reader, error)

	// Said, if it is not nil, is told what has become of each answer when it is over,
	// with what [parley.Audio.Say] returned: after an interruption Sent is what was
	// said of it, for the notes of a mind that has to know. It is called by the
	// goroutine that read the answer.
	Said func(answer audio.Reader, p stream.Played, err error)
}

// Rate is that of what is heard, in samples per second of one channel.
const Rate = 16000

// Speechless is the event that there is no answer, or no more of it. Its Detail
// says why.
const Speechless parley.EventKind = "speechless"

// ServeCall serves one call.
func (h Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	sound := func(c *parley.Call) *parley.Audio { return lines.Incoming(c).Sound }
	return lines.Anew(ctx, c, sound, func(ctx context.Context) error { return h.talk(ctx, c, sound(c)) })
}

// talk listens to a line.
func (h Handler) talk(ctx context.Context, c *parley.Call, line *parley.Audio) error {
	if line == nil {
		return errors.New("parrot: the call has no audio")
	}
	format := audio.Format{Rate: Rate, Channels: 1}
	h.VAD.Hangover = cmp.Or(h.VAD.Hangover, 500*time.Millisecond)
	detector, err := vad.New(format, h.VAD)
	if err != nil {
		return err
	}
	if h.Answer == nil {
		h.Answer = repeat
	}
	v := voice{call: c, answer: h.Answer, said: h.Said}
	defer v.talking.Wait()
	defer v.hush()
	defer lines.Until(ctx, line)()
	in := audio.Convert(line, format, 20*time.Millisecond)
	ears := memory{format: format}
	var f audio.Frame
	var events []vad.Event
	for {
		if err := in.ReadFrame(&f); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return ctx.Err()
			}
			return err
		}
		ears.add(&f, detector.Active())
		if events, err = detector.Detect(events[:0], &f); err != nil {
			return err
		}
		if h.Listen != nil {
			h.Listen(&f, events)
		}
		for _, e := range events {
			switch e.Kind {
			case vad.Start:
				v.hush()
				ears.from(e.Time)
			case vad.Stop:
				v.say(ctx, ears.upTo(e.Time))
			}
		}
	}
}
