// Package room is the application in which callers talk with each other.
package room

import (
	"context"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
	"github.com/parley-media/parley/conference"
)

// Handler is a house with rooms, in which callers meet: each one hears all others in
// the same room, and sees as many of them as it has lines of video. See
// [conference.Room]. A browser that wants to see many offers as many lines, at any time.
//
// A room is there while somebody is in it. The zero value is ready; it must not be
// copied after first use.
type Handler struct {
	mu    sync.Mutex
	rooms map[string]*room
}

type room struct {
	*conference.Room
	people int
}

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
	if err := c.WaitConnected(ctx); err != nil {
		return err
	}
	r := h.enter(name)
	defer h.leave(name, r)
	return lines.Anew(ctx, c, used, func(ctx context.Context) error { return r.Join(ctx, c) })
}

// use is what a room uses of a call.
type use struct {
	lines.Both
	screens int
}

func used(c *parley.Call) use {
	u := use{Both: lines.Incoming(c)}
	for range c.Videos() {
		u.screens++
	}
	return u
}

func (h *Handler) enter(name string) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil {
		r = &room{Room: conference.NewRoom()}
		if h.rooms == nil {
			h.rooms = map[string]*room{}
		}
		h.rooms[name] = r
	}
	r.people++
	return r
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
		r.Close()
	}
}
