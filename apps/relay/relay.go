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
// Who shall publish and who shall watch can be told apart by the path; then the newest
// who publishes is heard and seen:
//
//	var stage relay.Handler
//	s.HandleWHIP("/publish", stage.Publisher())
//	s.HandleWHEP("/watch", stage.Watcher())
type Handler struct {
	mu      sync.Mutex
	now     *conference.Show
	changed chan struct{} // closed, and made anew, when now changes; nil: nobody waits
}

// ErrTaken is returned to a publisher when another one has come.
var ErrTaken = errors.New("relay: somebody else publishes")

// ServeCall serves one call.
func (h *Handler) ServeCall(ctx context.Context, c *parley.Call) error {
	if err := h.publish(ctx, c, false); !errors.Is(err, ErrTaken) {
		return err
	}
	return h.watch(ctx, c)
}

// Publisher is the handler of who is heard and seen: the newest one is, and for the
// one before the error is [ErrTaken]. So an encoder that comes again need not wait
// until its lost connection is noticed.
func (h *Handler) Publisher() parley.Handler {
	return parley.HandlerFunc(func(ctx context.Context, c *parley.Call) error { return h.publish(ctx, c, true) })
}

// Watcher is the handler of who hears and sees the publisher, and is silent and
// dark while there is none.
func (h *Handler) Watcher() parley.Handler { return parley.HandlerFunc(h.watch) }

// publish shows c until another one is shown, which for who is polite may be so at once.
func (h *Handler) publish(ctx context.Context, c *parley.Call, takesOver bool) error {
	if err := c.WaitConnected(ctx); err != nil { // who never comes must not keep others from it
		return err
	}
	show := conference.NewShow(c)
	defer show.Close()
	if !h.begin(show, takesOver) {
		return ErrTaken
	}
	now, changed := h.current()
	for now == show {
		select {
		case <-changed:
			now, changed = h.current()
		case <-ctx.Done():
			h.end(show)
			return nil
		}
	}
	return ErrTaken
}

// begin puts a show on, in the place of another one only if it takes over.
func (h *Handler) begin(show *conference.Show, takesOver bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now != nil && !takesOver {
		return false
	}
	h.changeLocked(show)
	return true
}

// end takes a show off, if it is on.
func (h *Handler) end(show *conference.Show) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == show {
		h.changeLocked(nil)
	}
}

func (h *Handler) changeLocked(to *conference.Show) {
	h.now = to
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
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
