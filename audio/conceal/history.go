package conceal

// A history has what was played last, interleaved.
type history struct {
	most int     // samples that are kept
	ring []int16 // nil before anything was played
	next int     // where in it the next sample goes
	full bool    // all of it has been written to
}

func (h *history) reset() { h.next, h.full = 0, false }

// add appends what was played.
func (h *history) add(pcm []int16) {
	if len(pcm) == 0 {
		return
	}
	if h.ring == nil {
		h.ring = make([]int16, h.most)
	}
	pcm = pcm[max(0, len(pcm)-h.most):]
	n := copy(h.ring[h.next:], pcm)
	if h.next += n; h.next == len(h.ring) {
		h.next, h.full = copy(h.ring, pcm[n:]), true
	}
}

// appendTo appends all that is kept to dst, oldest first.
func (h *history) appendTo(dst []int16) []int16 {
	if h.full {
		dst = append(dst, h.ring[h.next:]...)
	}
	return append(dst, h.ring[:h.next]...)
}
