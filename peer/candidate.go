package peer

import (
	"errors"
	"strings"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// ErrCandidate is wrapped by the error for a candidate that cannot be used.
var ErrCandidate = errors.New("peer: unusable candidate")

// maxEarlyCandidates is how many addresses of the far end wait for its answer.
const maxEarlyCandidates = 100

// AddCandidate takes an address of the far end, also before it can be used, as before the
// answer to an offer of this end, and more than once, as browsers write it or as the line
// of SDP that it is elsewhere ("a=candidate:…"). An empty one says that there are no
// more. The error wraps [ErrCandidate], and the call is not harmed.
func (p *Peer) AddCandidate(candidate Candidate) error {
	c := p.c
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	candidate.Candidate = strings.TrimPrefix(candidate.Candidate, "a=") // libdatachannel writes it, and browsers take it
	var err error
	if c.isEarly(&candidate) {
		err = c.keep(candidate)
	} else {
		err = c.pc.AddICECandidate(candidate)
	}
	if err != nil {
		return errors.Join(ErrCandidate, err)
	}
	c.learn("a=" + candidate.Candidate)
	return nil
}

// isEarly reports whether a candidate belongs to an answer that has not come yet, the
// first one or that to a restart: pion would refuse it, or drop it.
func (c *connection) isEarly(candidate *Candidate) bool {
	if c.pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
		return false
	}
	theirs := c.pc.CurrentRemoteDescription()
	return theirs == nil || c.restarting && !strings.Contains(theirs.SDP, "a=ice-ufrag:"+fragment(candidate)+"\r\n")
}

// fragment returns by what a candidate tells the description that it belongs to, or "".
func fragment(candidate *Candidate) string {
	if candidate.UsernameFragment != nil {
		return *candidate.UsernameFragment
	}
	_, after, _ := strings.Cut(candidate.Candidate, " ufrag ")
	name, _, _ := strings.Cut(after, " ")
	return name
}

// keep keeps a candidate until there is an answer.
func (c *connection) keep(candidate Candidate) error {
	if value := strings.TrimPrefix(candidate.Candidate, "candidate:"); value != "" {
		_, err := ice.UnmarshalCandidate(value)
		if err != nil && !errors.Is(err, ice.ErrUnknownCandidateTyp) && !errors.Is(err, ice.ErrDetermineNetworkType) { // which pion passes over
			return err
		}
	}
	if len(c.early) == maxEarlyCandidates {
		return errors.New("too many before the answer")
	}
	c.early = append(c.early, candidate)
	return nil
}

// addEarly adds what came before the answer. What was of another one is passed over.
func (c *connection) addEarly() {
	for _, candidate := range c.early {
		c.pc.AddICECandidate(candidate) //nolint:errcheck // it was looked at when it came
	}
	c.early = nil
}
