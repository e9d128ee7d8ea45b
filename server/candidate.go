package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-media/parley/peer"
)

const (
	maxOffered   = 500 // candidates in an offer, where each section may repeat them
	maxHeard     = 100 // candidates in one of its sections, and those that the far end may tell after it
	maxCandidate = 512 // bytes of one
)

// A patch is what the client of a call says in the middle of it: an offer, an
// answer, or candidates, of which an empty one says that there are no more.
type patch struct {
	description // of type "offer" or "answer", or without SDP, and then any
	candidates  []peer.Candidate
}

// trickled is a candidate in JSON, with names as in browsers and as in Python.
type trickled struct {
	Candidate json.RawMessage `json:"candidate"`
	Mid       *string         `json:"sdpMid"`
	Line      *uint16         `json:"sdpMLineIndex"`
	Fragment  *string         `json:"usernameFragment"`
	Mid2      *string         `json:"sdp_mid"`
	Line2     *uint16         `json:"sdp_mline_index"`
}

// parsePatch reads the body of a PATCH: null, a candidate, a list of them, or an
// object with one as "candidate", with "candidates", an offer or an answer in it.
func parsePatch(body []byte) (p patch, no *refusal) {
	var object struct {
		description
		trickled
		Candidates []*trickled `json:"candidates"`
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		no = parseJSON(body, &object.Candidates)
	} else if string(bytes.TrimSpace(body)) == "null" {
		object.Candidate = []byte("null")
	} else {
		no = parseJSON(body, &object)
	}
	if no != nil {
		return p, no
	}
	p.description = object.description
	list := object.Candidates
	if bytes.HasPrefix(object.Candidate, []byte("{")) { // what browsers give in one, as simple-peer sends it
		inner := new(trickled)
		if no := parseJSON(object.Candidate, inner); no != nil {
			return p, no
		}
		list = append(list, inner)
	} else if object.Candidate != nil {
		list = append(list, &object.trickled)
	}
	switch {
	case object.SDP != "" && (object.Type == "offer" || object.Type == "answer") && list == nil:
		return p, nil
	case list == nil || object.SDP != "":
		return p, refuse(http.StatusBadRequest, `the request has to be a candidate, a list of them, or {"sdp": "…", "type": "offer"}`)
	case len(list) == 0:
		p.candidates = []peer.Candidate{{}}
	}
	p.Type = ""
	for _, t := range list {
		c, no := t.candidate()
		if no != nil {
			return p, no
		}
		p.candidates = append(p.candidates, c)
	}
	return p, nil
}

func (t *trickled) candidate() (c peer.Candidate, no *refusal) {
	if t == nil || string(t.Candidate) == "null" {
		return c, nil
	}
	if t.Candidate == nil {
		return c, refuse(http.StatusBadRequest, `no "candidate" in a candidate`)
	}
	if no = parseJSON(t.Candidate, &c.Candidate); no != nil {
		return c, no
	}
	c.SDPMid, c.SDPMLineIndex, c.UsernameFragment = t.Mid, t.Line, t.Fragment
	if c.SDPMid == nil {
		c.SDPMid = t.Mid2
	}
	if c.SDPMLineIndex == nil {
		c.SDPMLineIndex = t.Line2
	}
	return c, nil
}

// usable returns the candidates that can be used. If one of them is not what RFC
// 8839, section 5.1, calls a candidate, or they are too many, none is. Those that
// lead nowhere here, such as names and TCP, are passed over.
func usable(list []peer.Candidate) (useful []peer.Candidate, no *refusal) {
	if len(list) > maxHeard {
		return nil, refuse(http.StatusUnprocessableEntity, "more than %d candidates", maxHeard)
	}
	for _, t := range list {
		switch ok, wellFormed := readCandidate(t.Candidate); {
		case !wellFormed:
			return nil, refuse(http.StatusBadRequest, "not a candidate: %.100q", t.Candidate)
		case ok:
			useful = append(useful, t)
		}
	}
	return useful, nil
}

// hear gives the candidates to the call.
func (c *session) hear(list []peer.Candidate) *refusal {
	useful, no := usable(list)
	if no != nil {
		return no
	}
	c.mu.Lock()
	if c.heard+len(list) > maxHeard {
		c.mu.Unlock()
		return refuse(http.StatusUnprocessableEntity, "more than %d candidates", maxHeard)
	}
	c.heard += len(list)
	var current []peer.Candidate
	for _, t := range useful {
		if u := ufrag(&t); u == "" || slices.Contains(c.ufrags, u) {
			current = append(current, t)
		} else {
			c.early = append(c.early, t)
		}
	}
	c.mu.Unlock()
	for _, t := range current {
		if err := c.peer.AddCandidate(t); c.peer.Err() != nil {
			return noCall()
		} else if err != nil {
			return refuse(http.StatusBadRequest, "%v", err)
		}
	}
	return nil
}

// renew makes the candidates count for the ICE session of an offer that was
// answered. Requests overtake each other, so that some may have come before it.
func (c *session) renew(offer string) {
	names := ufrags(offer)
	c.mu.Lock()
	c.ufrags = names
	early := c.early
	c.early, c.heard = nil, 0
	c.mu.Unlock()
	for _, t := range early {
		if slices.Contains(names, ufrag(&t)) {
			c.peer.AddCandidate(t) //nolint:errcheck // the client has its answer
		}
	}
}

// ufrags returns the names of the ICE session of an offer: one, unless each
// section has its own.
func ufrags(offer string) (names []string) {
	const most = 32
	for line := range strings.Lines(offer) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "a=ice-ufrag:")
		if ok && !slices.Contains(names, name) && len(names) < most {
			names = append(names, name)
		}
	}
	return names
}

// ufrag returns the name of the ICE session that a candidate is for, or "" if it
// does not say.
func ufrag(c *peer.Candidate) string {
	if c.UsernameFragment != nil && *c.UsernameFragment != "" {
		return *c.UsernameFragment
	}
	for f := strings.Fields(c.Candidate); len(f) >= 10; f = f[2:] { // pairs follow the first eight
		if f[8] == "ufrag" {
			return f[9]
		}
	}
	return ""
}

// readCandidate says whether a candidate is one, and whether it can be used. An
// empty one is, and can.
func readCandidate(text string) (useful, wellFormed bool) {
	if len(text) > maxCandidate || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false, false
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "a="), "candidate:")
	if text == "" {
		return true, true
	}
	// foundation component transport priority address port "typ" type …
	f := strings.Fields(text)
	if len(f) < 8 || len(f[0]) > 32 || f[6] != "typ" {
		return false, false
	}
	component, err1 := strconv.ParseUint(f[1], 10, 16)
	_, err2 := strconv.ParseUint(f[3], 10, 32)
	port, err3 := strconv.ParseUint(f[5], 10, 16)
	if err1 != nil || err2 != nil || err3 != nil || component == 0 {
		return false, false
	}
	switch f[7] {
	case "host", "srflx", "prflx", "relay":
	default:
		return false, true
	}
	ip, err := netip.ParseAddr(f[4])
	return err == nil && ip.Zone() == "" && component == 1 && port != 0 && strings.EqualFold(f[2], "udp"), true
}
