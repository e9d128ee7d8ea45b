package peer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// The directions of lines (RFC 3264, section 5.1) are kept from pion: it would
// stop for good what the far end makes inactive, and answer other changes wrongly.
// For pion all lines go both ways, all the time. What the two ends want is put
// into offers and answers, and the call keeps to it.

// A section is what a description of the far end says of one line.
type section struct {
	mid       string
	label     string
	media     string // such as "audio", or "application" of channels
	kind      webrtc.RTPCodecType
	direction parley.Direction // seen from this end
	formats   []string         // payload types
	feedback  parley.VideoFeedback
	named     bool // the description has the SSRC of what the far end sends
	off       bool // turned down, by either end
	apart     bool // by this one, since it is not bundled
}

// parse returns a description and its sections.
func parse(text string) (d *sdp.SessionDescription, all []section, err error) {
	d = &sdp.SessionDescription{}
	if err := d.UnmarshalString(text); err != nil {
		return nil, nil, err
	}
	usual := parley.SendRecv
	for _, a := range d.Attributes {
		if way, ok := reversed(a.Key); ok {
			usual = way
		}
	}
	spread(d)
	for _, m := range d.MediaDescriptions {
		all = append(all, newSection(m, usual))
	}
	return d, all, nil
}

// opened returns the description with all lines open both ways, but for those that
// are turned down, and with nothing that pion would take and this end cannot.
func opened(d *sdp.SessionDescription, all []section) (string, error) {
	for i, m := range d.MediaDescriptions {
		switch s := &all[i]; {
		case s.kind == 0: // channels
		case s.off: // whatever it says
			direct(m, parley.Inactive)
		default:
			direct(m, parley.SendRecv)
			single(m)
			if !s.named && s.direction.Receives() {
				unrepaired(m)
			}
		}
	}
	b, err := d.Marshal()
	return string(b), err
}

// single makes a line one of a single source, with its repair, which the far end then
// sends in place of several of different sizes (RFC 8853, section 5.3.2). Several would
// make pion take the description for one of another kind ("plan B").
func single(m *sdp.MediaDescription) {
	var source string
	of := map[string]string{} // the source that a repair stream is for
	for _, a := range m.Attributes {
		switch a.Key {
		case "ssrc-group":
			if f := strings.Fields(a.Value); len(f) == 3 && f[0] != "SIM" {
				of[f[2]] = f[1]
			}
		case "ssrc":
			if source == "" {
				source, _, _ = strings.Cut(a.Value, " ")
			}
		}
	}
	source = cmp.Or(of[source], source)
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
		switch a.Key {
		case "rid", "simulcast":
			return true
		case "ssrc-group":
			f := strings.Fields(a.Value)
			return len(f) != 3 || of[f[2]] != source
		case "ssrc":
			ssrc, _, _ := strings.Cut(a.Value, " ")
			return cmp.Or(of[ssrc], ssrc) != source
		}
		return false
	})
}

// unrepaired takes the repair formats out of a line. Their streams could not be told
// from others that nothing names.
func unrepaired(m *sdp.MediaDescription) {
	repair := map[string]bool{}
	for _, a := range m.Attributes {
		format, name, _ := strings.Cut(a.Value, " ")
		if a.Key == "rtpmap" && strings.HasPrefix(strings.ToLower(name), "rtx/") {
			repair[format] = true
		}
	}
	m.MediaName.Formats = slices.DeleteFunc(slices.Clone(m.MediaName.Formats), func(format string) bool { return repair[format] })
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
		format, _, _ := strings.Cut(a.Value, " ")
		return (a.Key == "rtpmap" || a.Key == "fmtp" || a.Key == "rtcp-fb") && repair[format]
	})
}

func newSection(m *sdp.MediaDescription, direction parley.Direction) section {
	_, bundled := m.Attribute("bundle-only")
	s := section{
		media:     m.MediaName.Media,
		kind:      webrtc.NewRTPCodecType(m.MediaName.Media),
		formats:   m.MediaName.Formats,
		off:       m.MediaName.Port.Value == 0 && !bundled,
		direction: direction,
	}
	for _, a := range m.Attributes {
		if way, ok := reversed(a.Key); ok {
			s.direction = way
		}
		switch a.Key {
		case "mid":
			s.mid = a.Value
		case "ssrc":
			s.named = true
		case "msid":
			_, track, _ := strings.Cut(a.Value, " ")
			s.label = cmp.Or(track, a.Value)
		case "rtcp-fb":
			_, what, _ := strings.Cut(a.Value, " ")
			s.feedback.NACK = s.feedback.NACK || what == "nack"
			s.feedback.PLI = s.feedback.PLI || what == "nack pli"
			s.feedback.FIR = s.feedback.FIR || what == "ccm fir"
		}
	}
	return s
}

// reversed returns the direction that an attribute of the far end means for this
// end.
func reversed(key string) (d parley.Direction, ok bool) {
	switch key {
	case "sendrecv":
		return parley.SendRecv, true
	case "sendonly":
		return parley.RecvOnly, true
	case "recvonly":
		return parley.SendOnly, true
	case "inactive":
		return parley.Inactive, true
	}
	return 0, false
}

// direct makes d the direction of a line.
func direct(m *sdp.MediaDescription, d parley.Direction) {
	for i := range m.Attributes {
		if _, ok := reversed(m.Attributes[i].Key); ok {
			m.Attributes[i].Key = d.String()
			return
		}
	}
	m.Attributes = append(m.Attributes, sdp.Attribute{Key: d.String()})
}

// both returns the ways that two directions have in common.
func both(d, e parley.Direction) parley.Direction {
	return parley.DirectionOf(d.Sends() && e.Sends(), d.Receives() && e.Receives())
}

// leaveOut takes formats out of a media section, by their payload types.
func leaveOut(m *sdp.MediaDescription, out func(pt string) bool) {
	m.MediaName.Formats = slices.DeleteFunc(slices.Clone(m.MediaName.Formats), out)
	m.Attributes = slices.DeleteFunc(m.Attributes, func(a sdp.Attribute) bool {
		pt, _, _ := strings.Cut(a.Value, " ")
		return (a.Key == "rtpmap" || a.Key == "fmtp" || a.Key == "rtcp-fb") && out(pt)
	})
}

// directed returns an answer with the directions that were agreed on, and without the
// lines that were turned down (RFC 3264, sections 6 and 6.1), or the formats and the
// bundle that the offer did not have. The role in DTLS stays what it is (RFC 8842, section
// 5.3), also where pion has another: Chromium refuses an answer that changes it.
func (c *connection) directed(answer string, offered []section, bundled bool) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	for i, m := range d.MediaDescriptions {
		switch {
		case i >= len(offered) || offered[i].kind == 0:
		case offered[i].off:
			bury(m)
			if _, ok := m.Attribute("mid"); !ok {
				m.Attributes = append(m.Attributes, sdp.Attribute{Key: "mid", Value: offered[i].mid})
			}
		case m.MediaName.Port.Value != 0:
			direct(m, offered[i].direction)
			leaveOut(m, func(pt string) bool { return !slices.Contains(offered[i].formats, pt) }) // pion has those of the first offer
			oneClock(m)
		}
	}
	if c.role == "" {
		c.role = role(&d)
	}
	regroup(&d)
	address(&d)
	if !bundled {
		d.Attributes = slices.DeleteFunc(d.Attributes, func(a sdp.Attribute) bool { return a.Key == "group" })
	}
	b, err := d.Marshal()
	return string(b), err
}
