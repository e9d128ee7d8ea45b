package server

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pion/sdp/v3"

	"github.com/parley-media/parley/peer"
)

// A fragment is a piece of a session description that carries what ICE needs
// (application/trickle-ice-sdpfrag, RFC 8840, section 9).
type fragment struct {
	ufrag, pwd string // both or none
	candidates []peer.Candidate
}

var errFragment = errors.New("not a fragment of a session description")

// parseFragment reads a fragment. Attributes that are not about ICE are passed
// over.
func parseFragment(text string) (f fragment, err error) {
	mid, known := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		kind, value, ok := strings.Cut(line, "=")
		switch {
		case !ok || len(kind) != 1:
			return f, fmt.Errorf("%w: %.40q", errFragment, line)
		case kind == "m":
			mid = ""
		case kind != "a":
			continue
		}
		known = true
		name, value, _ := strings.Cut(value, ":")
		switch name {
		case "mid":
			mid = value
		case "ice-ufrag":
			if !iceText(value, 4) || f.ufrag != "" && f.ufrag != value {
				return f, fmt.Errorf("%w: ice-ufrag %.40q", errFragment, value)
			}
			f.ufrag = value
		case "ice-pwd":
			if !iceText(value, 22) || f.pwd != "" && f.pwd != value {
				return f, fmt.Errorf("%w: the password", errFragment)
			}
			f.pwd = value
		case "candidate":
			section := mid
			f.candidates = append(f.candidates, peer.Candidate{Candidate: "candidate:" + value, SDPMid: &section})
		case "end-of-candidates":
			f.candidates = append(f.candidates, peer.Candidate{})
		}
	}
	switch {
	case !known:
		return f, fmt.Errorf("%w: it is empty", errFragment)
	case (f.ufrag == "") != (f.pwd == ""):
		return f, fmt.Errorf("%w: ice-ufrag and ice-pwd go together", errFragment)
	}
	return f, nil
}

// iceText reports whether s is of characters that ICE uses, at least so many, and
// 256 at most (RFC 8839, section 5.4).
func iceText(s string, least int) bool {
	return len(s) >= least && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '+' && r != '/'
	})
}

// fragments are what WHIP and WHEP need to make descriptions of fragments.
type fragments struct {
	mu    sync.Mutex
	tag   string // of the ICE session, with quotes
	offer string // the last one, whole
}

// restarts reports whether f has other credentials than the last offer.
func (s *fragments) restarts(f *fragment) bool {
	return f.ufrag != "" && !(strings.Contains(s.offer, "a=ice-ufrag:"+f.ufrag+"\r\n") && strings.Contains(s.offer, "a=ice-pwd:"+f.pwd+"\r\n"))
}

// restarted returns the last offer as it would be after the restart that f asks
// for. Its candidates have gone; those of f are not in it.
func (s *fragments) restarted(f *fragment) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(s.offer); err != nil {
		return "", err
	}
	d.Origin.SessionVersion++
	d.Attributes = f.applied(d.Attributes)
	for _, m := range d.MediaDescriptions {
		m.Attributes = f.applied(m.Attributes)
	}
	text, err := d.Marshal()
	return string(text), err
}

func (f *fragment) applied(attributes []sdp.Attribute) (result []sdp.Attribute) {
	for _, a := range attributes {
		switch a.Key {
		case "ice-ufrag":
			a.Value = f.ufrag
		case "ice-pwd":
			a.Value = f.pwd
		case "candidate", "end-of-candidates":
			continue
		}
		result = append(result, a)
	}
	return result
}

// excerpt returns what a client of WHIP needs of an answer to a restart: all that
// is about ICE in the section that carries the others too.
func excerpt(answer string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(answer); err != nil {
		return "", err
	}
	var b strings.Builder
	write := func(attributes []sdp.Attribute, names ...string) {
		for _, name := range names {
			for _, a := range attributes {
				if a.Key == name {
					b.WriteString("a=" + a.String() + "\r\n")
				}
			}
		}
	}
	write(d.Attributes, "ice-lite", "ice-options", "group")
	for _, m := range d.MediaDescriptions {
		if _, ok := m.Attribute("ice-ufrag"); !ok || m.MediaName.Port.Value == 0 {
			continue
		}
		fmt.Fprintf(&b, "m=%s\r\n", m.MediaName.String())
		write(m.Attributes, "mid", "ice-options", "ice-ufrag", "ice-pwd", "candidate", "end-of-candidates")
		return b.String(), nil
	}
	return "", errFragment
}

// errDirection is for an offer that wants media to go the wrong way.
var errDirection = errors.New("media can go one way only here")

// oneWay returns the offer with each line of media going the way given, "sendonly"
// or "recvonly", for the end that offers. Lines both ways become so; any other is
// an error.
func oneWay(offer, way string) (string, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return "", err
	}
	all := direction(d.Attributes, "sendrecv")
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media != "audio" && m.MediaName.Media != "video" {
			continue
		}
		_, bundled := m.Attribute("bundle-only")
		is := direction(m.Attributes, all)
		switch {
		case m.MediaName.Port.Value == 0 && !bundled: // turned down
			continue
		case is != "sendrecv" && is != way:
			return "", fmt.Errorf("%w: %s has to be %s", errDirection, m.MediaName.Media, way)
		}
		kept := m.Attributes[:0]
		for _, a := range m.Attributes {
			if key := attribute(a); key != "sendrecv" && key != way {
				kept = append(kept, a)
			}
		}
		m.Attributes = append(kept, sdp.NewPropertyAttribute(way))
	}
	text, err := d.Marshal()
	return string(text), err
}

// turnedDown returns the first kind of media, "audio" or "video", that is offered but
// not in the answer, or "". Who publishes would not be told of it (RFC 9725, section 4.4).
func turnedDown(offer, answer string) (kind string) {
	var o, a sdp.SessionDescription
	if o.UnmarshalString(offer) != nil || a.UnmarshalString(answer) != nil {
		return ""
	}
	for i, m := range o.MediaDescriptions {
		_, bundled := m.Attribute("bundle-only")
		switch {
		case m.MediaName.Media != "audio" && m.MediaName.Media != "video", m.MediaName.Port.Value == 0 && !bundled:
		case i >= len(a.MediaDescriptions) || a.MediaDescriptions[i].MediaName.Port.Value == 0:
			return m.MediaName.Media
		}
	}
	return ""
}

// attribute returns the name of an attribute: what ends in CR alone is read without it
// once it has been written.
func attribute(a sdp.Attribute) string { return strings.TrimRight(a.Key, "\r") }

// direction returns the direction among attributes, or the one that holds if
// there is none (RFC 8866, section 6.7).
func direction(attributes []sdp.Attribute, otherwise string) string {
	for _, a := range attributes {
		switch key := attribute(a); key {
		case "sendrecv", "sendonly", "recvonly", "inactive":
			return key
		}
	}
	return otherwise
}
