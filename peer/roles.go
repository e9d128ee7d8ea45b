package peer

import "github.com/pion/sdp/v3"

// The roles in DTLS (a=setup of RFC 8842) are those of the first exchange for as long as
// the call lasts, whoever offers later. pion keeps them in what it says itself.

// role returns the role of the end that has described itself so, or "".
func role(d *sdp.SessionDescription) string {
	for _, m := range d.MediaDescriptions {
		if role, ok := m.Attribute("setup"); ok && m.MediaName.Port.Value != 0 {
			return role
		}
	}
	return ""
}

// otherRole returns the role of the other end, or "".
func otherRole(role string) string {
	switch role {
	case "active":
		return "passive"
	case "passive":
		return "active"
	}
	return ""
}

// assign gives all lines a role, unless it is "".
func assign(d *sdp.SessionDescription, role string) {
	for _, m := range d.MediaDescriptions {
		for i := range m.Attributes {
			if a := &m.Attributes[i]; a.Key == "setup" && role != "" {
				a.Value = role
			}
		}
	}
}

// spread gives the role of the session to the lines that have none of their own (RFC 4145,
// section 4). pion looks for it there.
func spread(d *sdp.SessionDescription) {
	role, ok := d.Attribute("setup")
	if !ok {
		return
	}
	for _, m := range d.MediaDescriptions {
		if _, own := m.Attribute("setup"); !own {
			m.Attributes = append(m.Attributes, sdp.Attribute{Key: "setup", Value: role})
		}
	}
}
