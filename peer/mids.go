package peer

import (
	"strings"

	"github.com/pion/sdp/v3"
)

// The name of a line (a=mid) is chosen by the end that offers it first. Numbers, which pion
// and browsers take, may be those of other lines where offers have crossed, or where the
// far end does not count from 0.

// congestionID is the number that browsers made of libwebrtc, as Chromium, give the header
// extension of congestion control by themselves, and pion does not.
const congestionID = "4"

// numberExtension gives the header extension of an offer that number while none is agreed
// on. A page whose first pictures cross those of this end gives way only if both offers
// mean the same by a number.
func (c *connection) numberExtension(d *sdp.SessionDescription) {
	if heard := c.pc.RemoteDescription(); heard != nil && strings.Contains(heard.SDP, sdp.TransportCCURI) {
		return
	}
	for _, m := range d.MediaDescriptions {
		for i := range m.Attributes {
			if a := &m.Attributes[i]; a.Key == "extmap" && strings.HasSuffix(a.Value, " "+sdp.TransportCCURI) {
				a.Value = congestionID + " " + sdp.TransportCCURI
			}
		}
	}
}

// channelsMid names the channels that this end offers to a far end that has none.
const channelsMid = "data"

// nameLines names the new lines of an offer in a call after the role of this end, which the
// far end does not have.
func (c *connection) nameLines() error {
	for t, l := range c.legs {
		if l.settled || t.Mid() != "" || c.role == "" {
			continue
		}
		if err := t.SetMid(c.role[:1] + strings.TrimPrefix(l.id, l.kind.String())); err != nil {
			return err
		}
	}
	return nil
}

// nameChannels gives the channels of an offer of pion their name if they are new there: the
// one that they had when the far end has turned them down, or one that no line has. pion
// takes the number of its lines, which may be the name of one.
func (c *connection) nameChannels(d *sdp.SessionDescription) {
	if len(c.layout) == 0 {
		return
	}
	name := channelsMid
	for _, s := range c.layout {
		if s.off && s.media == "application" {
			name = s.mid
		}
	}
	for _, m := range d.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		if m.MediaName.Media != "application" || c.hasChannels(mid) {
			continue
		}
		for i := range m.Attributes {
			if a := &m.Attributes[i]; a.Key == "mid" {
				a.Value = name
			}
		}
		for i := range d.Attributes {
			if a := &d.Attributes[i]; a.Key == "group" { // of which they are the last
				a.Value = strings.TrimSuffix(a.Value, mid) + name
			}
		}
	}
}

// hasChannels reports whether the line of that name is one of channels.
func (c *connection) hasChannels(mid string) bool {
	for _, s := range c.layout {
		if s.mid == mid && s.media == "application" {
			return true
		}
	}
	return false
}
