package peer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// ErrMessageTooLarge is returned for a message that the far end does not take
// for its size, which its session description tells (RFC 8841, section 6).
var ErrMessageTooLarge = errors.New("peer: message larger than the far end takes")

var errChannelConfig = errors.New("peer: unusable channel")

// channelInit says in pion's words what c says.
func channelInit(c *parley.ChannelConfig) (*webrtc.DataChannelInit, error) {
	const most = math.MaxUint16
	invalid := func(format string, args ...any) (*webrtc.DataChannelInit, error) {
		return nil, fmt.Errorf("%w: %s", errChannelConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case len(c.Label) > most || len(c.Protocol) > most:
		return invalid("a label of %d and a protocol of %d bytes; at most %d", len(c.Label), len(c.Protocol), most)
	case !utf8.ValidString(c.Label) || !utf8.ValidString(c.Protocol):
		return invalid("the label or the protocol is not UTF-8")
	case c.MaxRetransmits != 0 && c.MaxLifetime != 0:
		return invalid("both MaxRetransmits and MaxLifetime")
	case c.MaxRetransmits > most:
		return invalid("%d retransmits; at most %d", c.MaxRetransmits, most)
	case c.MaxLifetime < 0 || c.MaxLifetime > most*time.Millisecond:
		return invalid("a lifetime of %v; 0 to %v", c.MaxLifetime, most*time.Millisecond)
	case c.MaxLifetime%time.Millisecond != 0:
		return invalid("a lifetime of %v; whole milliseconds only", c.MaxLifetime)
	case c.Negotiated && c.ID == most: // RFC 8832, section 6
		return invalid("ID %d", c.ID)
	}
	ordered := !c.Unordered
	init := &webrtc.DataChannelInit{Ordered: &ordered, Protocol: &c.Protocol}
	if c.MaxRetransmits != 0 {
		n := uint16(max(c.MaxRetransmits, 0))
		init.MaxRetransmits = &n
	}
	if c.MaxLifetime != 0 {
		ms := uint16(c.MaxLifetime / time.Millisecond)
		init.MaxPacketLifeTime = &ms
	}
	if c.Negotiated {
		id, yes := c.ID, true
		init.ID, init.Negotiated = &id, &yes
	}
	return init, nil
}

// channelConfig says what the far end told of a channel that it has opened.
func channelConfig(dc *webrtc.DataChannel) parley.ChannelConfig {
	c := parley.ChannelConfig{Label: dc.Label(), Protocol: dc.Protocol(), Unordered: !dc.Ordered()}
	retransmits, lifetime := dc.MaxRetransmits(), dc.MaxPacketLifeTime()
	switch {
	case retransmits != nil && *retransmits > 0:
		c.MaxRetransmits = int(*retransmits)
	case lifetime != nil && *lifetime > 0:
		c.MaxLifetime = time.Duration(*lifetime) * time.Millisecond
	case retransmits != nil || lifetime != nil:
		c.MaxRetransmits = -1
	}
	return c
}

// unsaid is how large a message may be if the far end does not say. It is pion's
// number, one less than that of RFC 8841, section 6.1.
const unsaid = math.MaxUint16

// largest returns how large a message the far end of pc takes, by its session
// description.
func largest(pc *webrtc.PeerConnection) int {
	remote := pc.RemoteDescription()
	if remote == nil {
		return unsaid
	}
	// A copy, since Unmarshal writes to what pion uses too.
	parsed, err := (&webrtc.SessionDescription{Type: remote.Type, SDP: remote.SDP}).Unmarshal()
	if err != nil {
		return unsaid
	}
	for _, m := range parsed.MediaDescriptions {
		if m.MediaName.Media != "application" {
			continue
		}
		if value, ok := m.Attribute("max-message-size"); ok {
			if n, err := strconv.ParseUint(value, 10, 32); err == nil && n > 0 {
				return int(min(n, math.MaxInt32))
			}
		}
	}
	return unsaid
}
