package peer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// pion keeps each line for ever, and offers it again behind all others once its
// place was given to another one. What it offers is therefore put in the order that
// the far end knows: lines stay where they are, and a new one takes the place of
// one of its kind that both ends have turned down (RFC 8829, section 5.2.2).

// A slot is the place of a line in the descriptions.
type slot struct {
	mid   string
	media string              // such as "audio", or "application" of channels
	kind  webrtc.RTPCodecType // 0: neither audio nor video
	off   bool                // turned down, so that another line may take its place

	untold bool // which the far end does not know yet
}

// agreed notes what both ends have described, by an offer of this end or of the other.
func (c *connection) agreed(all []section, ours bool) {
	c.layout, c.offered = c.layout[:0], nil
	channels := false
	for _, s := range all {
		c.layout = append(c.layout, slot{s.mid, s.media, s.kind, s.off, ours && s.apart && s.kind != 0})
		channels = channels || s.kind == 0 && !s.off
	}
	if ours || channels {
		c.declined = !channels
		c.channels.agreed(!channels)
	}
	close(c.exchanged)
	c.exchanged = make(chan struct{})
	c.review()
}

// tag returns the line that has the transport of all lines (RFC 8843, section
// 7.3): the first one that is not turned down.
func (c *connection) tag() string {
	for _, s := range c.layout {
		if !s.off {
			return s.mid
		}
	}
	return ""
}

// insist puts what this end wants into the sections of an offer of the far end.
func (c *connection) insist(wanted []section) {
	for i := range wanted {
		s := &wanted[i]
		if l := c.legs[c.transceiver(s.mid)]; l != nil {
			l.said = l.own
			s.direction = both(s.direction, l.own)
			s.off = s.off || l.removed && !l.kept
		}
	}
}

// heard limits the sections of an answer to what this end has offered.
func (c *connection) heard(wanted []section) {
	for i := range wanted {
		s := &wanted[i]
		if l := c.legs[c.transceiver(s.mid)]; l != nil {
			s.direction = both(s.direction, l.said)
			s.off = s.off || l.buried
		}
	}
}

// unrefused returns an answer without the new lines that it turns down, unless these are
// all: pion would take their codecs and payload types for agreed on.
func (c *connection) unrefused(d *sdp.SessionDescription, wanted []section) (*sdp.SessionDescription, []section) {
	left, sections := *d, []section(nil)
	left.MediaDescriptions = nil
	for i, m := range d.MediaDescriptions {
		s := wanted[i]
		if s.off && !slices.ContainsFunc(c.layout, func(of slot) bool { return of.mid == s.mid }) {
			continue
		}
		left.MediaDescriptions, sections = append(left.MediaDescriptions, m), append(sections, s)
	}
	if len(sections) == 0 {
		return d, wanted
	}
	return &left, sections
}

// identify gives the lines of an offer names, where it has none, as that of a telephone: those
// that they had before, or else new ones, as browsers do (RFC 8829, section 5.10).
func (c *connection) identify(d *sdp.SessionDescription, wanted []section) {
	known := map[string]bool{}
	for _, s := range wanted {
		known[s.mid] = true
	}
	for _, s := range c.layout {
		known[s.mid] = true
	}
	for i, m := range d.MediaDescriptions {
		s := &wanted[i]
		if s.mid != "" {
			continue
		}
		if i < len(c.layout) {
			s.mid = c.layout[i].mid
		}
		for n := i; s.mid == ""; n++ {
			if mid := strconv.Itoa(n); !known[mid] {
				s.mid, known[mid] = mid, true
			}
		}
		m.Attributes = append(m.Attributes, sdp.Attribute{Key: "mid", Value: s.mid})
	}
}

// fill gives the lines of an answer the names of the offer, and those that are turned down
// its formats. The answer need not have any, and then pion would not take it.
func (c *connection) fill(d *sdp.SessionDescription, wanted []section) {
	for i, m := range d.MediaDescriptions {
		s := &wanted[i]
		if i >= len(c.offered) {
			continue
		}
		offered := c.offered[i]
		if s.mid == "" {
			s.mid, _ = offered.Attribute("mid")
			m.Attributes = append(m.Attributes, sdp.Attribute{Key: "mid", Value: s.mid})
		}
		if !s.off || s.kind == 0 {
			continue
		}
		if _, has := m.Attribute("rtpmap"); has {
			continue
		}
		m.MediaName.Formats = offered.MediaName.Formats
		for _, a := range offered.Attributes {
			if a.Key == "rtpmap" || a.Key == "fmtp" {
				m.Attributes = append(m.Attributes, a)
			}
		}
	}
}

// arranged returns an offer of pion as it is to be sent.
func (c *connection) arranged(text string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return "", err
	}
	c.nameChannels(&d)
	c.numberExtension(&d)
	byMid := map[string]*sdp.MediaDescription{}
	known := map[string]bool{}
	for _, s := range c.layout {
		known[s.mid] = true
	}
	var fresh []*sdp.MediaDescription
	for _, m := range d.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		byMid[mid] = m
		l := c.legs[c.transceiver(mid)]
		if !known[mid] && (l == nil && m.MediaName.Media == "application" || l != nil && !l.settled) {
			fresh = append(fresh, m)
		}
		if l != nil {
			l.before, l.said = l.said, l.own
			direct(m, l.own)
		}
	}
	all := make([]*sdp.MediaDescription, 0, len(c.layout)+len(fresh))
	for _, s := range c.layout {
		l, m := c.legs[c.transceiver(s.mid)], byMid[s.mid]
		if s.off {
			for i, other := range fresh {
				if s.kind != 0 && other.MediaName.Media == s.media {
					m = other
					fresh = append(fresh[:i:i], fresh[i+1:]...)
					break
				}
			}
		}
		switch {
		case m == nil:
			m = &sdp.MediaDescription{
				MediaName:  sdp.MediaName{Media: s.media, Protos: []string{"UDP", "TLS", "RTP", "SAVPF"}, Formats: []string{"0"}},
				Attributes: []sdp.Attribute{{Key: "mid", Value: s.mid}},
			}
			bury(m)
		case m == byMid[s.mid] && s.kind != 0 && (s.off || l != nil && l.removed && !l.kept):
			if l != nil {
				l.buried = l.removed && !l.kept
			}
			bury(m)
		}
		all = append(all, m)
	}
	d.MediaDescriptions = append(all, fresh...)
	c.offered = d.MediaDescriptions
	regroup(&d)
	address(&d)
	b, err := d.Marshal()
	return string(b), err
}

// bundle turns down what a description does not send on the way of its other lines: pion
// has one way. One that bundles nothing keeps its first line (RFC 8829, section 5.3.1),
// in a bundle for pion's sake, and is reported as not bundled.
func bundle(d *sdp.SessionDescription, all []section) (bundled bool) {
	var mids []string
	for _, a := range d.Attributes {
		if f := strings.Fields(a.Value); a.Key == "group" && len(f) > 1 && f[0] == "BUNDLE" {
			mids, bundled = f[1:], true
			break
		}
	}
	for i := range all {
		s := &all[i]
		if len(mids) == 0 && !s.off {
			mids = []string{s.mid}
			d.Attributes = append(d.Attributes, sdp.Attribute{Key: "group", Value: "BUNDLE " + s.mid})
		}
		s.apart = !s.off && !slices.Contains(mids, s.mid)
		s.off = s.off || s.apart
	}
	return bundled
}

// bury turns a line down.
func bury(m *sdp.MediaDescription) {
	m.MediaName.Port.Value = 0
	direct(m, parley.Inactive)
	if m.ConnectionInformation == nil { // Firefox wants one in each section
		m.ConnectionInformation = &sdp.ConnectionInformation{NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: "0.0.0.0"}}
	}
}

// regroup takes the lines that are turned down out of the bundle (RFC 8843,
// section 7.3.3), and the candidates out of them into the first line that is left.
func regroup(d *sdp.SessionDescription) {
	live := map[string]*sdp.MediaDescription{}
	var first *sdp.MediaDescription
	for _, m := range d.MediaDescriptions {
		if mid, ok := m.Attribute("mid"); ok && m.MediaName.Port.Value != 0 {
			live[mid] = m
			if first == nil {
				first = m
			}
		}
	}
	for i, a := range d.Attributes {
		mids, ok := strings.CutPrefix(a.Value, "BUNDLE")
		if a.Key != "group" || !ok {
			continue
		}
		value := "BUNDLE"
		for mid := range strings.FieldsSeq(mids) {
			if live[mid] != nil {
				value += " " + mid
			}
		}
		d.Attributes[i].Value = value
	}
	if first == nil {
		return
	}
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Port.Value != 0 {
			continue
		}
		var kept []sdp.Attribute
		for _, a := range m.Attributes {
			if a.Key == "candidate" || a.Key == "end-of-candidates" {
				first.Attributes = append(first.Attributes, a)
			} else {
				kept = append(kept, a)
			}
		}
		m.Attributes = kept
	}
}
