package netem

import "time"

// An entry is a packet on its way.
type entry struct {
	due    time.Duration
	order  int64 // of entry, for packets that are due at the same time
	number int64 // of the packet; a copy has that of its original
	copied bool
	tag    uint8
	packet []byte
}

func (e *entry) before(o *entry) bool {
	return e.due < o.due || e.due == o.due && e.order < o.order
}

// store is a heap of packets, the next one first, with their memory.
type store struct {
	heap  []entry
	bytes int
	order int64
	free  [][]byte // each of slotBytes
}

// slotBytes is the memory of a packet. That of larger ones is not used again, so
// that a few of them do not stay for good.
const slotBytes = 2048

func (s *store) len() int { return len(s.heap) }

func (s *store) push(e entry, packet []byte) {
	s.order++
	e.order = s.order
	e.packet = append(s.memory(len(packet)), packet...)
	s.bytes += len(packet)
	s.heap = append(s.heap, e)
	i := len(s.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s.heap[i].before(&s.heap[up]) {
			break
		}
		s.heap[i], s.heap[up] = s.heap[up], s.heap[i]
		i = up
	}
}

// pop takes out the next packet. Its memory has to be released.
func (s *store) pop() entry {
	e := s.heap[0]
	last := len(s.heap) - 1
	s.heap[0] = s.heap[last]
	s.heap[last] = entry{}
	s.heap = s.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && s.heap[down+1].before(&s.heap[down]) {
			down++
		}
		if !s.heap[down].before(&s.heap[i]) {
			break
		}
		s.heap[i], s.heap[down] = s.heap[down], s.heap[i]
		i = down
	}
	s.bytes -= len(e.packet)
	return e
}

func (s *store) memory(n int) []byte {
	last := len(s.free) - 1
	switch {
	case n > slotBytes:
		return make([]byte, 0, n)
	case last < 0:
		return make([]byte, 0, slotBytes)
	}
	b := s.free[last]
	s.free[last] = nil
	s.free = s.free[:last]
	return b
}

func (s *store) release(b []byte) {
	if cap(b) == slotBytes {
		s.free = append(s.free, b[:0])
	}
}
