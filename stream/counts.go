package stream

import "github.com/parley-media/parley/rtcpctl"

// counts is what is counted of the packets of the sources that were heard, while each
// of them was, and what was discarded of any source.
type counts struct{ received, lost, duplicated, reordered, discarded int64 }

// add adds what a reception has counted so many times.
func (c *counts) add(r *rtcpctl.Reception, times int64) {
	c.received += times * r.Received()
	c.lost += times * r.Lost()
	c.duplicated += times * r.Duplicates()
	c.reordered += times * r.Reordered()
	c.discarded += times * r.Strays()
}

// hear makes s the source that is heard. The order is that of the packet by which it is:
// First, if it has never been heard before.
func (in *intake) hear(s *source, order rtcpctl.Order) {
	if in.heard != nil {
		past := in.before()
		past.add(&in.heard.reception, 1)
		if order != rtcpctl.First { // what it has counted so far is in past, or was not heard
			past.add(&s.reception, -1)
			past.received++ // but for this packet
		}
	}
	in.heard = s
}

// giveUp counts the packet that is held back of a source which has not proved itself,
// if there is one: another one takes its place.
func (in *intake) giveUp(s *source) {
	if s.held != nil && !s.reception.Valid() {
		in.before().discarded++
	}
}

// before returns what is counted apart from the source that is heard.
func (in *intake) before() *counts {
	if in.past == nil {
		in.past = new(counts)
	}
	return in.past
}

// counted returns what is counted so far.
func (in *intake) counted() counts {
	var c counts
	if in.past != nil {
		c = *in.past
	}
	if in.heard != nil {
		c.add(&in.heard.reception, 1)
	}
	return c
}
