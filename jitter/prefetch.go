package jitter

import "github.com/parley-media/parley/internal/prefetch"

// Prefetch asks the processor for the memory that the next packet in order needs, and
// the next one to play.
func (b *Buffer) Prefetch() {
	if len(b.ring) == 0 {
		return
	}
	prefetch.Value(&b.ring[b.index(b.high+1)])
	prefetch.Slice(b.free)
	if b.count > 0 {
		first := &b.ring[b.index(b.low)]
		prefetch.Value(first)
		prefetch.Slice(first.Payload)
	}
}

// Prefetch asks the processor for the memory that the next packet needs.
func (e *Estimator) Prefetch() {
	prefetch.Slice(e.late.weight)
	prefetch.Slice(e.reordered.weight)
}
