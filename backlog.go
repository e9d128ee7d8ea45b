package parley

import (
	"context"
	"log/slog"
	"slices"
	"sync"
)

// backlogLimit is how many records wait for a handler that takes its time.
const backlogLimit = 64

// A backlog is what a call has to say and its log's handler has not taken yet, the
// newest of it if that is too much. The handler is called on a goroutine of its own,
// which is there only while something waits: one that blocks, or uses the call, holds up
// no loop.
type backlog struct {
	mu      sync.Mutex
	waiting []logEntry
	leftOut int           // records that newer ones took the place of
	written chan struct{} // closed when nothing waits any more; nil: nothing does
}

type logEntry struct {
	handler slog.Handler
	record  slog.Record
}

func (b *backlog) add(e logEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == backlogLimit {
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.leftOut++
	}
	b.waiting = append(b.waiting, e)
	if b.written == nil {
		b.written = make(chan struct{})
		go b.write()
	}
}

func (b *backlog) write() {
	for {
		b.mu.Lock()
		if len(b.waiting) == 0 {
			close(b.written)
			b.waiting, b.written = nil, nil
			b.mu.Unlock()
			return
		}
		e, n := b.waiting[0], b.leftOut
		b.waiting, b.leftOut = slices.Delete(b.waiting, 0, 1), 0
		b.mu.Unlock()
		if n > 0 {
			slog.New(e.handler).Warn("the log is slow, records were left out", "records", n)
		}
		e.handler.Handle(context.Background(), e.record) //nolint:errcheck // as slog.Logger does
	}
}

// logged blocks until the handler of the log has taken everything.
func (c *Call) logged() {
	h, ok := c.logger.Handler().(*backlogHandler)
	if !ok {
		return
	}
	b := h.backlog
	b.mu.Lock()
	written := b.written
	b.mu.Unlock()
	if written != nil {
		<-written
	}
}

// A backlogHandler has what it is given handled by another one, through a backlog.
type backlogHandler struct {
	slog.Handler
	backlog *backlog
}

func (h *backlogHandler) Handle(_ context.Context, r slog.Record) error {
	h.backlog.add(logEntry{h.Handler, r})
	return nil
}

func (h *backlogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &backlogHandler{h.Handler.WithAttrs(attrs), h.backlog}
}

func (h *backlogHandler) WithGroup(name string) slog.Handler {
	return &backlogHandler{h.Handler.WithGroup(name), h.backlog}
}
