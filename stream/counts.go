package stream

import "github.com/parley-media/parley/rtcpctl"

// counts is what is counted of the packets of the sources that were heard, while each
// of them was.
type counts struct{ received, lost, duplicated, reordered, strays int64 }

// add adds what a reception has counted so many times.
func (c *counts) add(r *rtcpctl.Reception, times int64) {
	c.received += times * r.Received()
	c.lost += times * r.Lost()
	c.duplicated += times * r.Duplicates()
	c.reordered += times * r.Reordered()
	c.strays += times * r.Strays()
}

// hear makes s the source that is heard. The order is that of the packet by which it is:
// First, if it has never been heard before.
func (in *intake) hear(s *source, order rtcpctl.Order) {
	if in.heard != nil {
		if in.past == nil {
			in.past = new(counts)
		}
		in.past.add(&in.heard.reception, 1)
		if order != rtcpctl.First { // what it has counted so far is in past, or was not heard
			in.past.add(&s.reception, -1)
			in.past.received++ // but for this packet
		}
	}
	in.heard = s
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
