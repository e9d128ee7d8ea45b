package session

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/transport"
)

// AgreedVideo is what an offer and its answer come to for the video, seen from one
// end. Its fields are those of [Agreed] where they have the same name.
//
// Formats of H264 are one if their profile and their packetization mode are (RFC
// 6184, section 8.2.2), so that an offer may have several; those of VP9 if their
// profile is (RFC 9628, section 6.2). Two things that the RFC forbids are common
// and taken: an H264 without a profile-level-id goes with any profile, and one of
// this end without a packetization-mode answers an offer with either mode.
type AgreedVideo struct {
	Remote     netip.AddrPort
	RemoteRTCP netip.AddrPort
	Mux        bool

	// Send has the parameters of the far end, and Receive our own; but parameter
	// sets of H264 (sprop-parameter-sets) are of the end that sends. Accepts has the
	// formats of Send and of what may be sent in its place: see [parley.VideoConfig].
	Send    codec.Params
	Accepts []codec.Params
	Receive []codec.Params

	Feedback  parley.VideoFeedback // that both ends have
	Bandwidth int64                // that the far end takes, in bits per second; 0: not said
	Direction parley.Direction

	LocalKey, RemoteKey transport.SRTPKey

	stated parley.Direction
}

// answerVideo answers what an offer says of video, but for its place.
func answerVideo(offer, local *VideoDescription, keyable bool) (*VideoDescription, *AgreedVideo, error) {
	a := *local
	o, l := offer.transport(), local.transport()
	a.Codecs = answerVideoCodecs(offer.Codecs, local.Codecs)
	if len(a.Codecs) == 0 {
		return nil, nil, noCommonVideo(offer, local)
	}
	a.Mux = offer.Mux && local.Mux && !slices.ContainsFunc(a.Codecs, clashes)
	if a.Mux {
		a.RTCP = netip.AddrPort{}
	}
	a.Direction = parley.DirectionOf(l.Direction.Sends() && o.receives(), l.receives() && o.Direction.Sends())
	a.Feedback, a.AVPF = offer.Feedback.And(local.Feedback), offer.AVPF
	var err error
	if a.Crypto, err = answerCrypto(offer.Crypto, local.Crypto, keyable); err != nil {
		return nil, nil, fmt.Errorf("%w: video: %w", ErrDescription, err)
	}
	agreed, err := agreeVideo(&a, offer, &a)
	if err != nil {
		return nil, nil, err
	}
	agreed.stated = local.Direction
	return &a, agreed, nil
}

// agreeVideo returns what ours and theirs come to, one of which is the answer.
func agreeVideo(ours, theirs, answer *VideoDescription) (*AgreedVideo, error) {
	o, t := ours.transport(), theirs.transport()
	a := &AgreedVideo{
		Mux:       ours.Mux && theirs.Mux,
		Feedback:  ours.Feedback.And(theirs.Feedback),
		Bandwidth: theirs.Bandwidth,
		Direction: parley.DirectionOf(o.Direction.Sends() && t.receives(), o.receives() && t.Direction.Sends()),
		stated:    ours.Direction,
	}
	var seen [256]bool
	for _, p := range answer.Codecs {
		q, ok := match(ours.Codecs, p, sameVideo)
		r, ok2 := match(theirs.Codecs, p, sameVideo)
		if !ok || !ok2 || seen[q.PayloadType] {
			continue
		}
		seen[q.PayloadType] = true
		if a.Mux && (clashes(q) || clashes(r)) {
			return nil, fmt.Errorf("%w: payload type %d or %d of %v looks like RTCP on the port of both", ErrDescription, q.PayloadType, r.PayloadType, p)
		}
		send, receive := exchangeSets(q, r)
		if a.Send.Name == "" {
			a.Send = send
		}
		a.Accepts, a.Receive = append(a.Accepts, send), append(a.Receive, receive)
	}
	if a.Send.Name == "" {
		return nil, noCommonVideo(theirs, ours)
	}
	a.Remote, a.RemoteRTCP = t.destinations(a.Mux)
	err := ofHosts(a.Remote, a.RemoteRTCP)
	if err == nil {
		err = checkTaken(ours.Crypto, answer.Crypto)
	}
	if err == nil {
		a.LocalKey, a.RemoteKey, err = keys(ours.Crypto, theirs.Crypto, answer.Crypto)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: video: %w", ErrDescription, err)
	}
	return a, nil
}

func noCommonVideo(theirs, ours *VideoDescription) error {
	return fmt.Errorf("%w: video: theirs %q, ours %q", ErrNoCommonCodec, formats(theirs.Codecs), formats(ours.Codecs))
}

// answerVideoCodecs returns the offered formats that local has too, with the
// offer's payload types and, where both ends have to have the same, its
// parameters.
func answerVideoCodecs(offered, local []codec.Params) (answer []codec.Params) {
	var seen [256]bool
	for _, o := range offered {
		candidates := local
		if isH264(o) {
			candidates = inMode(local, o)
		}
		l, ok := match(candidates, o, sameVideo)
		if !ok || seen[o.PayloadType] {
			continue
		}
		seen[o.PayloadType] = true
		if isH264(o) {
			l.FMTP = answerH264(o.FMTP, l.FMTP)
		}
		l.PayloadType = o.PayloadType
		answer = append(answer, l)
	}
	return answer
}

func isH264(p codec.Params) bool { return strings.EqualFold(p.Name, "H264") }

const packetizationMode = "packetization-mode"

// inMode returns local with the offered packetization mode where it states none.
func inMode(local []codec.Params, o codec.Params) []codec.Params {
	mode := parameter(o.FMTP, packetizationMode)
	local = slices.Clone(local)
	for i, l := range local {
		if isH264(l) && without(l.FMTP, packetizationMode) == without(l.FMTP, "") {
			local[i].FMTP = appendParameter(l.FMTP, packetizationMode+"="+mode)
		}
	}
	return local
}

// answerH264 returns the parameters to answer with. Those of both ends can be
// read, and name one format.
func answerH264(offered, local string) string {
	o, err := payload.ParseH264FMTP(offered)
	l, err2 := payload.ParseH264FMTP(local)
	if err != nil || err2 != nil {
		return local
	}
	switch {
	case !statesProfile(o) && !statesProfile(l): // and so does the answer not
		l.LevelAsymmetryAllowed = l.LevelAsymmetryAllowed && o.LevelAsymmetryAllowed
		return l.String()
	case !statesProfile(o):
		o.Profile, o.Constraints, o.Level = l.Profile, l.Constraints, l.Level
	case !statesProfile(l):
		l.Profile, l.Constraints, l.Level = o.Profile, o.Constraints, o.Level
	}
	answer, ok := l.Answer(o)
	if !ok {
		return local
	}
	return answer.String()
}

func statesProfile(f payload.H264FMTP) bool { return f.Profile|f.Constraints|f.Level != 0 }

// sameVideo reports whether p and q are the same format, of those that a call can
// have.
func sameVideo(p, q codec.Params) bool {
	switch {
	case !p.Same(q) || !isVideo(p):
		return false
	case strings.EqualFold(p.Name, "VP9"):
		return parameter(p.FMTP, "profile-id") == parameter(q.FMTP, "profile-id")
	case !isH264(p):
		return true
	}
	f, err := payload.ParseH264FMTP(p.FMTP)
	g, err2 := payload.ParseH264FMTP(q.FMTP)
	if err != nil || err2 != nil {
		return false
	}
	if !statesProfile(f) || !statesProfile(g) {
		return f.PacketizationMode == g.PacketizationMode && f.PacketizationMode <= 1
	}
	return f.Compatible(g)
}

const parameterSets = "sprop-parameter-sets"

// exchangeSets returns the formats of ours and theirs with the parameter sets of
// the end that sends: ours to receive what they have stated, theirs to send.
func exchangeSets(ours, theirs codec.Params) (send, receive codec.Params) {
	send, receive = theirs, ours
	if !isH264(ours) {
		return send, receive
	}
	send.FMTP, receive.FMTP = without(theirs.FMTP, parameterSets), without(ours.FMTP, parameterSets)
	if sets := parameter(ours.FMTP, parameterSets); sets != "0" {
		send.FMTP = appendParameter(send.FMTP, parameterSets+"="+sets)
	}
	if sets := parameter(theirs.FMTP, parameterSets); sets != "0" {
		receive.FMTP = appendParameter(receive.FMTP, parameterSets+"="+sets)
	}
	return send, receive
}

// without returns format parameters without the one of that name.
func without(fmtp, name string) string {
	var parts []string
	for part := range strings.SplitSeq(fmtp, ";") {
		part = strings.TrimSpace(part)
		if n, _, _ := strings.Cut(part, "="); part != "" && !strings.EqualFold(strings.TrimSpace(n), name) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ";")
}

func appendParameter(fmtp, parameter string) string {
	if fmtp == "" {
		return parameter
	}
	return fmtp + ";" + parameter
}
