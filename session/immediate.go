package session

import "github.com/parley-media/parley"

// Immediate makes the packets of audio be received as soon as they come, for those who
// send them on. RTCP, and all where the system cannot, stays with the loop.
func (l *leg) Immediate() {
	if l.polls != nil {
		l.hurry.Store(true)
		l.call.Wake()
	}
}

// hasten is Immediate on the loop, which reads the socket until then: two must not.
func (l *leg) hasten() {
	p := l.polls[0]
	r := &reader{leg: l, socket: p, plain: make([]byte, packetSize)} // beside the loop's
	audio := l.medium.(*parley.Audio)                                // nothing else is polled
	ahead := func() { l.Prefetch(); audio.Prefetch() }
	if err := p.Immediate(ahead, r.receive); err != nil {
		l.call.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
	}
}
