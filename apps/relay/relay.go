// Package relay is the application that shows one caller to many.
package relay

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/conference"
)

// Handler is a stage: the first caller is heard and seen by all who call afterwards,
// as [conference.Show] tells. When that caller hangs up, the others stay, and hear the
// next one who calls, or who publishes. The zero value is ready; it must not be copied
// after first use.
//
// Who shall publish and who shall watch can be told apart by the path:
//
//	var stage relay.Handler
//	s.HandleWHIP("/publish", stage.Publisher())
//	s.HandleWHEP("/watch", stage.Watcher())
type Handler struct {
	mu      sync.Mutex
	now     *conference.Show
	changed chan struct{} // closed, and made anew, when now changes; nil: nobody waits
}

// ErrTaken is returned to a publisher when there is one already.
var ErrTaken = errors.New("relay: somebody else publishes")

// ServeCall serves one call.
func (h *Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	if err := h.publish(ctx, c); !errors.Is(err, ErrTaken) {
		return err
	}
	return h.watch(ctx, c)
}

// Publisher is the handler of who is heard and seen. One at a time can be: for
// others the error is [ErrTaken].
func (h *Handler) Publisher() parley.Handler { return parley.HandlerFunc(h.publish) }

// Watcher is the handler of who hears and sees the publisher, and is silent and
// dark while there is none.
func (h *Handler) Watcher() parley.Handler { return parley.HandlerFunc(h.watch) }

func (h *Handler) publish(ctx context.Context, c *parley.Call) error {
	if err := c.WaitConnected(ctx); err != nil { // who never comes must not keep others from it
		return err
	}
	show := conference.NewShow(c)
	if !h.change(nil, show) {
		return ErrTaken
	}
	<-ctx.Done()
	h.change(show, nil)
	return show.Close()
}

// change puts one show in the place of another one, if that is on.
func (h *Handler) change(from, to *conference.Show) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now != from {
		return false
	}
	h.now = to
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
	return true
}

func (h *Handler) current() (*conference.Show, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.now, h.changed
}

func (h *Handler) watch(ctx context.Context, c *parley.Call) error {
	if err := c.WaitConnected(ctx); err != nil {
		return err
	}
	for {
		show, changed := h.current()
		if show != nil {
			if err := show.Watch(ctx, c); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
