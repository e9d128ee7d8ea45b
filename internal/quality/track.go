package quality

import "slices"

// A tracker finds what was heard in what was sent, and so knows which moment of
// the media each frame of output is from, whatever the receiver says. The sound
// itself is the mark: with a little noise in it, no two stretches of it are the
// same sample by sample.
type tracker struct {
	exact bool // what is heard of a packet does not depend on those before

	sent []int16 // decoded in order without a network, so that only the receiver can differ
	rate int
	next int // where the next frame begins if nothing was skipped, repeated or stretched
	last int // end of what was recognised last

	misses int // frames since then
}

// reach is how far before the end of what was heard a frame may go on. No
// repetition of a stretch is that long, but a place that was mistaken may be
// ahead.
func (t *tracker) reach() int { return t.rate / 2 }

// tolerance is the greatest share of the energy in which a match may differ
// behind a codec with a state, which takes a while until it is exact again after
// a loss.
const tolerance = 0.02

// find returns the place of a frame in what was sent: sample at of the frame is
// sample place of the media, which lies before limit. It reports false if it is
// not there, or if the frame says too little to be sure, like digital silence.
func (t *tracker) find(frame []int16, limit int) (at, place int, ok bool) {
	n, expected := len(frame), t.next
	t.next += n
	if telling(frame) && t.equal(frame, expected) {
		t.last, t.misses = t.next, 0
		return 0, expected, true
	}
	// A frame that was stretched or joined to something is unchanged in parts.
	// Later ones tell more about what follows. What has to be equal can be short
	// and still be told from anything else.
	parts := 2
	if t.exact {
		parts = 4
	}
	for part := parts - 1; part >= 0; part-- {
		at := n * part / parts
		piece := frame[at:][:n/parts]
		if !telling(piece) {
			continue
		}
		if place, ok := t.search(piece, max(0, t.last-t.reach()), min(limit, len(t.sent)), expected+at); ok {
			t.next = place - at + n
			t.last, t.misses = t.next, 0
			return at, place, true
		}
	}
	t.misses++
	return 0, 0, false
}

// whole reports whether the frame is, sample by sample, a stretch of what was
// sent before limit.
func (t *tracker) whole(frame []int16, limit int) bool {
	at, place, ok := t.find(frame, limit)
	return ok && t.equal(frame, place-at)
}

// search returns the place of piece between from and to that is nearest to
// expected.
func (t *tracker) search(piece []int16, from, to, expected int) (place int, ok bool) {
	to -= len(piece)
	if !t.exact && t.misses < lostTrack {
		near := t.rate * 3 / 50 // what one stretch or a lost frame or two can do
		from, to = max(from, expected-near), min(to, expected+near)
	}
	expected = max(from, min(expected, to))
	for away := 0; expected-away >= from || expected+away <= to; away++ {
		for _, p := range [2]int{expected + away, expected - away} {
			if p < from || p > to || !t.matches(piece, p) {
				continue
			}
			return t.refine(piece, p), true
		}
	}
	return 0, false
}

// lostTrack is how many frames in a row are not recognised until they are looked
// for everywhere.
const lostTrack = 25

func (t *tracker) matches(piece []int16, place int) bool {
	if t.exact {
		return t.equal(piece, place)
	}
	return t.distance(piece, place) < tolerance
}

// refine returns the best place beside one that matches.
func (t *tracker) refine(piece []int16, place int) int {
	if t.exact {
		return place
	}
	for _, step := range [2]int{1, -1} {
		for t.distance(piece, place+step) < t.distance(piece, place) {
			place += step
		}
	}
	return place
}

// equal reports whether piece is what was sent at a place.
func (t *tracker) equal(piece []int16, place int) bool {
	return place >= 0 && place+len(piece) <= len(t.sent) && slices.Equal(piece, t.sent[place:][:len(piece)])
}

// distance returns the energy of the difference between piece and what was sent
// at a place, as a share of the energy of both: of as many samples as there are
// at 8 kHz. Beyond the ends it is large.
func (t *tracker) distance(piece []int16, place int) float64 {
	if place < 0 || place+len(piece) > len(t.sent) {
		return 2
	}
	var difference, energy float64
	sent := t.sent[place:][:len(piece)]
	for i := 0; i < len(piece); i += max(1, t.rate/8000) {
		a, b := float64(piece[i]), float64(sent[i])
		difference += (a - b) * (a - b)
		energy += a*a + b*b
	}
	if difference == 0 {
		return 0
	}
	return difference / energy
}

// telling reports whether a piece moves enough to be recognised.
func telling(piece []int16) bool {
	moves := 0
	for i := 1; i < len(piece); i++ {
		if piece[i] != piece[i-1] {
			moves++
		}
	}
	return moves > len(piece)/8
}
