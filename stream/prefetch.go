package stream

import "github.com/parley-media/parley/internal/prefetch"

// Prefetch asks the processor for the memory of the receiver. It changes nothing; a
// call that is one of thousands finds little of it in the caches.
func (r *AudioReceiver) Prefetch() { prefetch.Until(r, &r.taken) }

// PrefetchBuffers asks for what the memory of the receiver points to.
func (r *AudioReceiver) PrefetchBuffers() {
	if r.heard != &r.first {
		prefetch.Value(r.heard)
	}
	r.buffer.Prefetch()
	r.estimate.Prefetch()
	prefetch.Slice(r.pendMem)
	if d := r.current; d != nil {
		prefetch.Value(d)
		prefetch.Value(d.voice)
	}
	for _, d := range r.events {
		prefetch.Value(d.digits)
	}
}

// Prefetch asks the processor for the memory of the sender, like that of a receiver.
func (s *AudioSender) Prefetch() { prefetch.Value(s) }

// PrefetchBuffers asks for what the memory of the sender points to.
func (s *AudioSender) PrefetchBuffers() {
	prefetch.Value(s.digits)
	prefetch.Slice(s.queue.pieces)
	s.queue.pcm.prefetch(s.frame)
	prefetch.Slice(s.coded[:cap(s.coded)])
}

// prefetch asks for room for n samples behind what is queued.
func (q *sampleQueue) prefetch(n int) {
	if len(q.ring) > 0 {
		end := (q.first + q.count) % len(q.ring)
		prefetch.Slice(q.ring[end:min(end+n, len(q.ring))])
	}
}
