package peer

import (
	"errors"
	"fmt"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// Negotiate returns a channel that has a value whenever the far end has to be
// told of a change by an offer of this end, which may also wait for the next
// offer of the far end.
func (p *Peer) Negotiate() <-chan struct{} { return p.c.needed }

// AddAudio asks for one more line of audio, which the call has after the next
// offer of this end and its answer. It takes the place of one that was removed, if
// there is one. The error wraps [parley.ErrManyLines], or is that of the call if
// it has ended.
func (p *Peer) AddAudio() error {
	return p.change(func(c *connection) error { return c.add(webrtc.RTPCodecTypeAudio) })
}

// AddVideo does the same for video.
func (p *Peer) AddVideo() error {
	return p.change(func(c *connection) error { return c.add(webrtc.RTPCodecTypeVideo) })
}

// A Line is a [*parley.Audio] or a [*parley.Video] of a call.
type Line interface {
	Mid() string
	Direction() parley.Direction
}

// ErrNoLine is returned for a line that is not in the call, or not any more.
var ErrNoLine = errors.New("peer: the call does not have the line")

// Remove takes a line out of the call, at once for this end, where reading it ends
// with [io.EOF], and for the far end with the next exchange, which [Peer.Negotiate]
// asks for. The first line of the descriptions stays in them for good and becomes
// inactive, since browsers would give up the connection with it. The error is
// [ErrNoLine], or that of the call if it has ended.
func (p *Peer) Remove(of Line) error {
	return p.change(func(c *connection) error {
		l := c.legOf(of)
		if l == nil {
			return ErrNoLine
		}
		if l.removed = true; l.line.Mid() == c.tag() {
			l.kept, l.own = true, parley.Inactive
		}
		l.line.Remove()
		l.line = nil
		return nil
	})
}

// SetDirection says which ways media may go on a line, as seen from this end, as
// far as the far end wants it too. It holds from the next exchange on, which
// [Peer.Negotiate] asks for; Direction of the line tells what was agreed. The
// error is [ErrNoLine], or that of the call if it has ended.
func (p *Peer) SetDirection(of Line, d parley.Direction) error {
	if d > parley.Inactive {
		return fmt.Errorf("peer: direction %d", d)
	}
	return p.change(func(c *connection) error {
		l := c.legOf(of)
		if l == nil {
			return ErrNoLine
		}
		l.own = d
		return nil
	})
}

// change changes something that the far end has to be told.
func (p *Peer) change(do func(*connection) error) error {
	c := p.c
	c.signalling.Lock()
	defer c.signalling.Unlock()
	err := p.Err()
	if err == nil {
		err = do(c)
	}
	if err == nil {
		c.review()
	}
	return err
}

// legOf returns the leg of a line that the call has, or nil.
func (c *connection) legOf(of Line) *leg {
	for _, l := range c.legs {
		if l.line != nil && any(l.line) == any(of) {
			return l
		}
	}
	return nil
}

// count returns how many lines of a kind there are.
func (c *connection) count(kind webrtc.RTPCodecType) (n int) {
	for _, l := range c.legs {
		if l.kind == kind && !l.removed && !l.off {
			n++
		}
	}
	return n
}

// drop ends a line that one end has turned down.
func (c *connection) drop(t *webrtc.RTPTransceiver, l *leg) {
	if l.off {
		return
	}
	l.off = true
	if l.line != nil {
		l.line.Remove()
		l.line = nil
	} else {
		l.Close()
	}
	t.Stop() //nolint:errcheck // what it leaves behind ends with the connection
}

// review asks for an offer if the far end has to be told of something, and takes
// that back if it has not. In the middle of an exchange it leaves that to its end.
func (c *connection) review() {
	if c.pc.SignalingState() != webrtc.SignalingStateStable {
		return
	}
	select {
	case <-c.needed:
	default:
	}
	if c.pending() {
		c.needed <- struct{}{}
	}
}

// pending reports whether there is something that the far end does not know yet.
func (c *connection) pending() bool {
	for _, l := range c.legs {
		switch {
		case l.off:
		case !l.settled, l.removed && !l.kept, l.own != l.said:
			return true
		}
	}
	if !c.talks {
		return false
	}
	for _, s := range c.layout {
		if s.kind == 0 && !s.off {
			return false
		}
	}
	return true
}
