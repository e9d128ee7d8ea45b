package peer

import (
	"context"
	"fmt"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// Negotiate returns a channel that has a value whenever the far end has to be
// told of a change by an offer of this end, which may also wait for the next
// offer of the far end.
func (p *Peer) Negotiate() <-chan struct{} { return p.c.needed }

// RequestAudio asks for one more line of audio, which the call has after the next
// offer of this end and its answer: [parley.Call.AddAudio] waits for that. The line
// takes the place of one that was removed, if there is one. The error wraps
// [parley.ErrManyLines], or is that of the call if it has ended.
func (p *Peer) RequestAudio() error { return p.request(webrtc.RTPCodecTypeAudio) }

// RequestVideo does the same for video.
func (p *Peer) RequestVideo() error { return p.request(webrtc.RTPCodecTypeVideo) }

func (p *Peer) request(kind webrtc.RTPCodecType) error {
	return p.c.change(func() error {
		_, err := p.c.add(kind)
		return err
	})
}

// AddAudio is for the call.
func (c *connection) AddAudio(ctx context.Context) (*parley.Audio, error) {
	l, err := c.agreedOn(ctx, webrtc.RTPCodecTypeAudio)
	a, _ := l.(*parley.Audio)
	return a, err
}

// AddVideo is for the call.
func (c *connection) AddVideo(ctx context.Context) (*parley.Video, error) {
	l, err := c.agreedOn(ctx, webrtc.RTPCodecTypeVideo)
	v, _ := l.(*parley.Video)
	return v, err
}

// patience is how long the far end may take to agree to a line.
const patience = 15 * time.Second

// agreedOn asks for a line, and waits until both ends have described it.
func (c *connection) agreedOn(ctx context.Context, kind webrtc.RTPCodecType) (got line, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w: no answer of the far end within %v", parley.ErrNotAgreed, patience))
	defer cancel()
	var l *leg
	err = c.change(func() (err error) {
		l, err = c.add(kind)
		return err
	})
	for err == nil {
		c.signalling.Lock()
		got = l.line
		settled, exchanged := l.settled, c.exchanged
		c.signalling.Unlock()
		switch {
		case got != nil:
			return got, nil
		case settled:
			return nil, fmt.Errorf("%w: the far end turned it down", parley.ErrNotAgreed)
		}
		select {
		case <-exchanged:
		case <-c.call.Done():
			return nil, c.call.Err()
		case <-ctx.Done():
			err = c.takeBack(l, context.Cause(ctx))
		}
	}
	return got, err
}

// takeBack does without a line that was asked for, unless it is there by now.
func (c *connection) takeBack(l *leg, why error) error {
	return c.change(func() error {
		if l.line == nil && !l.off {
			l.removed = true
			c.review()
			return why
		}
		return nil
	})
}

// Remove is for the call. The first line of the descriptions stays in them for good
// and becomes inactive, since browsers would give up the connection with it.
func (c *connection) Remove(of parley.Line) error {
	return c.change(func() error {
		l := c.legOf(of)
		if l == nil {
			return parley.ErrNoLine
		}
		if l.removed = true; l.line.Mid() == c.tag() {
			l.kept, l.own = true, parley.Inactive
		}
		l.line.Remove()
		l.serve(nil)
		return nil
	})
}

// SetDirection says which ways media may go on a line, as seen from this end, as
// far as the far end wants it too. It holds from the next exchange on, which
// [Peer.Negotiate] asks for; Direction of the line tells what was agreed. The
// error is [parley.ErrNoLine], or that of the call if it has ended.
func (p *Peer) SetDirection(of parley.Line, d parley.Direction) error {
	if d > parley.Inactive {
		return fmt.Errorf("peer: direction %d", d)
	}
	return p.c.change(func() error {
		l := p.c.legOf(of)
		if l == nil {
			return parley.ErrNoLine
		}
		l.own = d
		return nil
	})
}

// change changes something that the far end has to be told.
func (c *connection) change(do func() error) error {
	c.signalling.Lock()
	defer c.signalling.Unlock()
	err := c.call.Err()
	if err == nil {
		err = do()
	}
	if err == nil {
		c.review()
	}
	return err
}

// legOf returns the leg of a line that the call has, or nil.
func (c *connection) legOf(of parley.Line) *leg {
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
		l.serve(nil)
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
		case l.off, l.removed && !l.settled:
		case !l.settled, l.removed && !l.kept, l.own != l.said:
			return true
		}
	}
	for _, s := range c.layout {
		if s.untold {
			return true
		}
	}
	if !c.talks || c.declined {
		return false
	}
	for _, s := range c.layout {
		if s.kind == 0 && !s.off {
			return false
		}
	}
	return true
}
