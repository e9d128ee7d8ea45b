// Package room is the application in which callers talk with each other.
package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/mix"
)

// Handler is a house with rooms. Each caller hears all others in the same room, and
// not themselves, whatever codecs they have: telephones and browsers meet. Each
// line of video that a caller has from the beginning shows one of the others who
// send pictures, in the order in which they came; if there are more of them than
// lines, the first line shows who speaks, or has spoken last. A browser that wants
// to see many offers as many lines. Pictures, of which everybody sends one line, are
// passed on as they are, to those who have their codec.
//
// Callers come and go, and one who is slow or stuck harms nobody. A room is there
// while somebody is in it. The zero value is ready; it must not be copied after
// first use.
type Handler struct {
	mu    sync.Mutex
	rooms map[string]*room
}

// What is mixed is for browsers; telephones get what they can take of it.
const (
	rate = 48000
	tick = 20 * time.Millisecond
)

// ServeCall serves one call, in the room without a name.
func (h *Handler) ServeCall(ctx context.Context, c *parley.Call) error { return h.serve(ctx, c, "") }

// Room returns the handler of the room with a name.
func (h *Handler) Room(name string) parley.Handler {
	return parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error { return h.serve(ctx, c, name) })
}

// Rooms returns how many people are in each room that is not empty.
func (h *Handler) Rooms() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	people := map[string]int{}
	for name, r := range h.rooms {
		people[name] = r.people
	}
	return people
}

func (h *Handler) serve(ctx context.Context, c *parley.Call, name string) error {
	if c.Audio() == nil {
		return errors.New("room: the call has no audio")
	}
	if err := c.WaitConnected(ctx); err != nil {
		return err
	}
	r, err := h.enter(name)
	if err != nil {
		return err
	}
	defer h.leave(name, r)
	return r.serve(ctx, c)
}

func (h *Handler) enter(name string) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil {
		mixer, err := mix.New(mix.Config{Format: audio.Format{Rate: rate, Channels: 1}})
		if err != nil {
			return nil, err
		}
		r = &room{mixer: mixer, began: time.Now(), closed: make(chan struct{})}
		if h.rooms == nil {
			h.rooms = map[string]*room{}
		}
		h.rooms[name] = r
		r.mixing.Go(r.mix)
	}
	r.people++
	return r, nil
}

func (h *Handler) leave(name string, r *room) {
	h.mu.Lock()
	r.people--
	last := r.people == 0
	if last {
		delete(h.rooms, name)
	}
	h.mu.Unlock()
	if last {
		close(r.closed)
		r.mixing.Wait()
	}
}
