package peer

import (
	"errors"
	"fmt"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

var (
	errFirstOffer = errors.New("peer: without the far end's description there is no call to go on with")
	errRestarting = errors.New("peer: the offer restarts ICE, which has given up the way to the far end")
)

// Rollback takes back the last offer of this end that has no answer, as when the far end
// has refused it (488 or 491 of SIP), or has crossed it with one of its own ([ErrGlare])
// and does not give way (RFC 8829, section 4.1.10.2). The call goes on as it was, and
// either end can offer anew; what was offered is wanted still, which [Peer.Negotiate]
// tells at once. The first offer of a call cannot be taken back, nor one that restarts
// ICE: the call can be closed, or the same offer be sent again.
func (p *Peer) Rollback() error {
	c := p.c
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	theirs := c.pc.CurrentRemoteDescription()
	switch {
	case c.pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer:
		return fmt.Errorf("peer: %w", errNoOffer)
	case theirs == nil:
		return errFirstOffer
	case c.restarting:
		return errRestarting
	}
	if err := c.unchanged(theirs.SDP); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	c.offered = nil
	for _, l := range c.legs {
		l.said, l.buried = l.before, false
	}
	c.review()
	return nil
}

// unchanged has pion, which knows no way back, take an answer that says what the far end
// has said the last time. What is new in the offer is not in it.
func (c *connection) unchanged(last string) error {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(last); err != nil {
		return err
	}
	assign(&d, otherRole(c.role))
	text, err := d.Marshal()
	if err != nil {
		return err
	}
	for t, l := range c.legs {
		if l.settled || l.off {
			continue
		}
		sender, err := c.api.NewRTPSender(l, c.pc.SCTP().Transport()) // pion would begin to send with the one that was offered
		if err == nil {
			err = errors.Join(l.sender.Stop(), t.SetSender(sender, l))
		}
		if err != nil {
			return err
		}
		l.sender = sender
	}
	return c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(text)})
}
