// Package play is the application that plays a file to its callers.
package play

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
	"github.com/parley-media/parley/file"
)

// Handler plays a file, from its beginning for each caller. They hear its sound and
// see its pictures, which are passed on as they are coded. One of the two is left out
// if the call has not the codec for it, or there is no decoder; later too, while
// pictures have another codec in the call, or once it has the line no more. On lines that
// come later the file is heard and seen from then on. See
// [file.Player] for what can be played; of H.264 with B-frames browsers show few pictures
// or none.
//
// A caller with a data channel is in command by messages of text: "pause", "play",
// "stop", "seek 12.5" in seconds, "loop on" and "loop off". Each is answered, with
// the position in seconds, as "pause 3.20", or with "error: …". The call of such a
// caller goes on after the end of the file; others are hung up then.
type Handler struct {
	File   string
	Loop   bool // begin anew at the end
	Paused bool // wait for the command to play
}

// ServeCall serves one call.
func (h Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	if err := c.WaitConnected(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel(nil)
	now := lines.First(c)
	changes := lines.Changes(ctx, c, lines.First)
	failed := func(err error) {
		end, _ := errors.AsType[*parley.EndError](err)
		goesOn := end != nil && end.Reason == parley.Removed && (c.Audio() != nil || c.Video() != nil)
		if !goesOn && !errors.Is(err, errors.ErrUnsupported) { // pictures of another codec may come back
			cancel(err)
		}
	}
	p, err := file.OpenPlayer(ctx, h.File, file.PlayerConfig{Loop: h.Loop, Paused: h.Paused, Error: failed})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := add(p, now); err != nil {
		return err
	}
	beside.Go(func() {
		for {
			select {
			case <-changes:
			case <-ctx.Done():
				return
			}
			before, added := now, lines.First(c)
			now = added
			if added.Sound == before.Sound {
				added.Sound = nil
			}
			if added.Pictures == before.Pictures {
				added.Pictures = nil
			}
			add(p, added) //nolint:errcheck // what cannot be played is left out
		}
	})
	var commanded atomic.Bool
	beside.Go(func() {
		for {
			ch, err := c.AcceptChannel(ctx)
			if err != nil {
				return
			}
			commanded.Store(true)
			beside.Go(func() { obey(ctx, ch, p) })
		}
	})
	if err := p.Wait(ctx); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	if commanded.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if v := c.Video(); v != nil {
		if err := v.Drain(ctx); err != nil {
			return err
		}
	}
	if a := c.Audio(); a != nil {
		return a.Drain(ctx)
	}
	return nil
}

// add plays to the lines, as far as it can. The error is why it can play to none.
func add(p *file.Player, to lines.Both) error {
	err := fmt.Errorf("play: a call without sound and pictures: %w", errors.ErrUnsupported)
	played := false
	if to.Sound != nil {
		err = p.AddAudio(to.Sound)
		played = err == nil
	}
	if to.Pictures != nil {
		wrong := p.AddVideo(to.Pictures)
		played = played || wrong == nil
		err = cmp.Or(wrong, err)
	}
	if played {
		return nil
	}
	return err
}

// obey executes the commands of a channel until it ends.
func obey(ctx context.Context, ch parley.Channel, p *file.Player) {
	defer ch.Close()
	var m parley.Message
	for ch.ReadMessage(ctx, &m) == nil {
		command := string(m.Data)
		word, _, _ := strings.Cut(command, " ")
		err := execute(p, command)
		answer := fmt.Sprintf("%s %.2f", word, p.Position().Seconds())
		if err != nil {
			answer = "error: " + err.Error()
		}
		if ch.WriteMessage(ctx, &parley.Message{Text: true, Data: []byte(answer)}) != nil {
			return
		}
	}
}

func execute(p *file.Player, command string) error {
	word, value, _ := strings.Cut(command, " ")
	switch {
	case command == "play":
		return p.Play()
	case command == "pause":
		p.Pause()
	case command == "stop":
		p.Stop()
	case word == "loop" && (value == "on" || value == "off"):
		p.SetLoop(value == "on")
	case word == "seek":
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || !(seconds >= 0 && seconds < 1e6) {
			return errors.New("to seek takes seconds")
		}
		return p.Seek(time.Duration(seconds * float64(time.Second)))
	default:
		return errors.New("commands are play, pause, stop, seek and loop")
	}
	return nil
}
