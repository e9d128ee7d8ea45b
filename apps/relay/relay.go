// Package relay is the application that shows one caller to many.
package relay

import (
	"context"
	"errors"
	"sync"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/apps/internal/lines"
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

// publish shows c, on whatever lines it sends, until another one is shown, which for who
// is polite may be so at once.
func (h *Handler) publish(ctx context.Context, c *parley.Call, takesOver bool) error {
	if err := c.WaitConnected(ctx); err != nil { // who never comes must not keep others from it
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	otherLines := lines.Changes(ctx, c, lines.Incoming)
	show := conference.NewShow(c)
	defer func() {
		h.change(show, nil)
		show.Close()
	}()
	if !h.begin(show, takesOver) {
		return ErrTaken
	}
	for {
		now, changed := h.current()
		if now != show {
			return ErrTaken
		}
		select {
		case <-changed:
		case <-otherLines:
			show.Close()
			next := conference.NewShow(c)
			h.change(show, next)
			show = next
		case <-ctx.Done():
			return nil
		}
	}
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

// change puts one show in the place of another one, if that is on.
func (h *Handler) change(from, to *conference.Show) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == from {
		h.changeLocked(to)
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
	return lines.Anew(ctx, c, lines.First, func(ctx context.Context) error {
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
	})
}
