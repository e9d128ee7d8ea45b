// Package play is the application that plays a file to its callers.
package play

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/file"
)

// Handler plays a file, from its beginning for each caller. They hear its sound and
// see its pictures, which are passed on as they are coded. One of the two is left out
// if the call has not the codec for it, or there is no decoder; later too, while
// pictures have another codec in the call, or once it has the line no more. See
// [file.Player] for what can be played.
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
	var commands sync.WaitGroup
	defer commands.Wait()
	defer cancel(nil)
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
	if err := p.AddCall(c); err != nil {
		sound := c.Audio() != nil && p.AddAudio(c.Audio()) == nil
		pictures := c.Video() != nil && p.AddVideo(c.Video()) == nil
		if !sound && !pictures {
			return err
		}
	}
	var commanded atomic.Bool
	commands.Go(func() {
		for {
			ch, err := c.AcceptChannel(ctx)
			if err != nil {
				return
			}
			commanded.Store(true)
			commands.Go(func() { obey(ctx, ch, p) })
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
