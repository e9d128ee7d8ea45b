package stream

import "time"

// maxPieces bounds how many coded frames and jumps of the timestamp can wait.
const maxPieces = 64

// A piece of the queue is a run of PCM without a jump, or one coded frame.
type piece struct {
	samples int // of PCM, all channels; 0: coded
	payload []byte
	units   uint32 // of a coded frame
	length  time.Duration
	stamp   uint32 // timestamp, if it was given
	stamped bool
	closed  bool // nothing is added to it: the faded rest of what was flushed, which counts as sent
}

// A frameQueue has the audio that waits to be sent.
type frameQueue struct {
	pcm    sampleQueue
	length time.Duration // of the coded frames
	pieces []piece       // ring, which grows up to maxPieces
	first  int
	count  int
	added  int // samples and coded frames, ever
}

// push appends samples to those of the last piece, or of the one that is added next.
// All are taken, or none if there is no room.
func (q *frameQueue) push(samples []int16) bool {
	ok := q.pcm.push(samples)
	if ok {
		q.added += len(samples)
	}
	return ok
}

// left returns how much of what was added is not in the queue any more.
func (q *frameQueue) left() int {
	n := q.added - q.pcm.count
	for i := range q.count {
		if q.piece(i).samples == 0 {
			n--
		}
	}
	return n
}

func (q *frameQueue) piece(i int) *piece { return &q.pieces[(q.first+i)%len(q.pieces)] }

// add returns a new last piece, or nil if there are too many.
func (q *frameQueue) add() *piece {
	if q.count == len(q.pieces) {
		if q.count == maxPieces {
			return nil
		}
		grown := make([]piece, max(2, 2*q.count))
		for i := range q.count {
			grown[i] = *q.piece(i)
		}
		q.pieces, q.first = grown, 0
	}
	q.count++
	p := q.piece(q.count - 1)
	*p = piece{payload: p.payload[:0]}
	return p
}

// addCoded appends a coded frame and returns it, or nil if there are too many.
func (q *frameQueue) addCoded(payload []byte, units uint32, length time.Duration) *piece {
	p := q.add()
	if p != nil {
		p.payload = append(p.payload, payload...)
		p.units, p.length = units, length
		q.length += length
		q.added++
	}
	return p
}

// drop removes the first piece, whose samples are gone already.
func (q *frameQueue) drop() {
	if p := q.piece(0); p.samples == 0 {
		q.length -= p.length
	}
	q.first = (q.first + 1) % len(q.pieces)
	q.count--
}

// keep drops everything but the first n samples of the first piece, if n > 0.
func (q *frameQueue) keep(n int) {
	q.length = 0
	q.pcm.count = n
	q.count = min(n, 1)
	if n > 0 {
		p := q.piece(0)
		p.samples, p.closed = n, true
	}
}

// A sampleQueue is a ring of samples.
type sampleQueue struct {
	limit        int     // how many there can be
	ring         []int16 // which grows up to that
	first, count int
}

// room returns how many samples can be pushed.
func (q *sampleQueue) room() int { return q.limit - q.count }

// push appends all samples, or none if there is no room.
func (q *sampleQueue) push(samples []int16) bool {
	if len(samples) > q.room() {
		return false
	}
	if len(samples) == 0 {
		return true
	}
	if n := q.count + len(samples); n > len(q.ring) {
		q.move(min(max(n, 2*len(q.ring)), q.limit))
	}
	end := (q.first + q.count) % len(q.ring)
	n := copy(q.ring[end:], samples)
	copy(q.ring, samples[n:])
	q.count += len(samples)
	return true
}

// pop moves samples into dst until it is full or the queue is empty, and
// returns how many.
func (q *sampleQueue) pop(dst []int16) int {
	n := q.peek(dst)
	if n > 0 {
		q.skip(n)
	}
	return n
}

// peek copies the first samples into dst, and returns how many.
func (q *sampleQueue) peek(dst []int16) int {
	n := min(len(dst), q.count)
	if n == 0 {
		return 0
	}
	m := copy(dst[:n], q.ring[q.first:])
	copy(dst[m:n], q.ring)
	return n
}

// whole returns the first n samples if they are in one piece, or nil. They are valid
// until the next push.
func (q *sampleQueue) whole(n int) []int16 {
	if n > q.count || q.first+n > len(q.ring) {
		return nil
	}
	return q.ring[q.first : q.first+n]
}

// skip drops the first n samples.
func (q *sampleQueue) skip(n int) {
	q.first = (q.first + n) % len(q.ring)
	q.count -= n
}

// replace changes the first samples, which there have to be.
func (q *sampleQueue) replace(samples []int16) {
	n := copy(q.ring[q.first:], samples)
	copy(q.ring, samples[n:])
}

// cut drops the first n samples, of a number of channels. Over the next ones they
// fade out, and what follows fades in.
func (q *sampleQueue) cut(n, fade, channels int) {
	steps := fade / channels
	for i := fade - 1; i >= 0; i-- { // from the end, so that none is read after its change
		old := int(q.ring[(q.first+i)%len(q.ring)])
		v := &q.ring[(q.first+n+i)%len(q.ring)]
		j := i / channels
		*v = int16((old*(steps-j) + int(*v)*j) / steps)
	}
	q.skip(n)
}

// fade lets the first n samples, of a number of channels, go down to nothing.
func (q *sampleQueue) fade(n, channels int) {
	steps := n / channels
	for i := range n {
		v := &q.ring[(q.first+i)%len(q.ring)]
		*v = int16(int(*v) * (steps - 1 - i/channels) / steps)
	}
}

// resize changes how many samples there can be, but not below what is queued.
func (q *sampleQueue) resize(limit int) {
	q.limit = max(limit, q.count)
	if len(q.ring) > q.limit {
		q.move(q.limit)
	}
}

// move moves what is queued to a new ring.
func (q *sampleQueue) move(size int) {
	ring := make([]int16, size)
	n := q.pop(ring)
	q.ring, q.first, q.count = ring, 0, n
}
