package session

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// ErrNoCommonCodec is returned, wrapped with the formats of both ends, when they
// have no codec in common. Telephone events, comfort noise and redundancy alone
// make no call.
var ErrNoCommonCodec = errors.New("session: no common codec")

// Agreed is what an offer and its answer come to (RFC 3264), seen from one end.
// Without a name in Send, there is no audio.
type Agreed struct {
	Remote     netip.AddrPort // where RTP goes to; zero: nowhere, the far end is on hold with an unspecified address
	RemoteRTCP netip.AddrPort // where RTCP goes to
	Mux        bool           // both ends have RTP and RTCP on one port

	Send    codec.Params   // with the payload type and format parameters of the far end
	Receive []codec.Params // with our own; the format of Send first, telephone-event, CN and red where they were listed
	Event   codec.Params   // telephone-event to send; without a name: none
	Noise   codec.Params   // comfort noise that the far end takes in pauses of Send; without a name: none
	RED     codec.Params   // redundancy that it takes with Send; without a name: none

	PTime     time.Duration    // of what is sent
	Direction parley.Direction // seen from this end

	LocalKey, RemoteKey transport.SRTPKey // of what is sent and of what is received; without a profile: no SRTP

	Video *AgreedVideo // nil: none

	stated  parley.Direction // by this end, before the other one had its say
	offered bool             // by this end
}

// Answer answers an offer (RFC 3264, section 6). What this end can do is told by
// local, as it would offer it: Mux and Direction are what it is ready for, and of
// Crypto there is one for each suite that it speaks. If the session was described
// before, the answer has still to [Description.Follow] that.
//
// The answer has the offer's payload types, and those of its formats that local
// has too, in the order of the offer: the first codec is the one to send. It has
// the tag and suite of the offer's first crypto line that local has a key for.
// An encrypted offer is not answered in the clear, nor the other way round. To what
// [Session.Describe] returns of a plain session, the answer has a new key: a far end
// that wants so, as after a transfer, makes a plain call an encrypted one; but never
// an encrypted one plain. With video it is the same; see [AgreedVideo] for what is
// different.
//
// What [Session.Describe] returns of a session that listens at all addresses of this
// machine is answered with one of the offer's family, if there is one.
//
// The answer has the media lines of the offer. Audio or video that cannot be
// agreed on is turned down as if local did not have it, if the other one can be.
// The error, if neither can, wraps [ErrNoCommonCodec] or [ErrDescription].
func Answer(offer, local *Description) (answer *Description, agreed *Agreed, err error) {
	if offer == nil || local == nil {
		return nil, nil, errNoDescription
	}
	var audioErr, videoErr error
	var video *VideoDescription
	var agreedVideo *AgreedVideo
	if offer.Video != nil && local.Video != nil {
		video, agreedVideo, videoErr = answerVideo(offer.Video, local.Video, local.keyable)
	}
	if offer.hasAudio() && local.hasAudio() {
		answer, agreed, audioErr = answerAudio(offer, local)
	}
	switch {
	case answer != nil:
	case video != nil:
		a := *local
		a.Addr, a.Codecs, a.PTime, a.MaxPTime = netip.AddrPort{}, nil, 0, 0
		a.RTCP, a.Mux, a.Direction, a.Feedback, a.Crypto, a.Label = netip.AddrPort{}, false, parley.SendRecv, false, nil, ""
		answer, agreed = &a, &Agreed{}
	default:
		return nil, nil, cmp.Or(audioErr, videoErr, noCommonMedium(offer, local))
	}
	answer.Video, agreed.Video = video, agreedVideo
	all := offer.places()
	for i, p := range all {
		if p.kind == placeAudio && !answer.hasAudio() || p.kind == placeVideo && video == nil {
			all[i].kind = 0
		}
	}
	answer.arrange(all)
	answer.turn(cmp.Or(agreed.Remote, agreed.Video.transport().Remote))
	answer.keyable, answer.chosen = false, netip.Addr{}
	answer.answers = true
	return answer, agreed, nil
}

// answerAudio answers what an offer says of audio, but for its place.
func answerAudio(offer, local *Description) (answer *Description, agreed *Agreed, err error) {
	a := *local
	a.Codecs = answerCodecs(offer.Codecs, local.Codecs)
	a.PTime = cmp.Or(local.PTime, offer.PTime)
	if a.PTime > 0 {
		a.PTime = max(a.PTime, shortest(local))
	}
	a.Mux = offer.Mux && local.Mux && !slices.ContainsFunc(a.Codecs, clashes)
	if a.Mux {
		a.RTCP = netip.AddrPort{}
	}
	a.Direction = parley.DirectionOf(local.Direction.Sends() && offer.receives(), local.receives() && offer.Direction.Sends())
	a.Feedback = offer.Feedback
	if a.Crypto, err = answerCrypto(offer.Crypto, local.Crypto, local.keyable); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	if !slices.ContainsFunc(a.Codecs, isMedia) {
		return nil, nil, noCommonCodec(offer, local)
	}
	if agreed, err = agree(&a, offer, &a); err != nil {
		return nil, nil, err
	}
	agreed.stated = local.Direction
	return &a, agreed, nil
}

var errNoDescription = fmt.Errorf("%w: there is none", ErrDescription)

// Agree returns what the answer to our own offer means (RFC 3264, section 7).
// What the answer does not have was turned down; what the offer did not have does
// not count. The error wraps [ErrNoCommonCodec] or [ErrDescription].
func Agree(offer, answer *Description) (*Agreed, error) {
	if offer == nil || answer == nil {
		return nil, errNoDescription
	}
	agreed := &Agreed{}
	var video *AgreedVideo
	var err error
	audio := offer.hasAudio() && answer.hasAudio()
	if !audio && (offer.Video == nil || answer.Video == nil) {
		return nil, noCommonMedium(answer, offer)
	}
	if offer.Video != nil && answer.Video != nil {
		if video, err = agreeVideo(offer.Video, answer.Video, answer.Video); err != nil {
			return nil, err
		}
	}
	if audio {
		if err := checkTaken(offer.Crypto, answer.Crypto); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDescription, err)
		}
		if agreed, err = agree(offer, answer, answer); err != nil {
			return nil, err
		}
	}
	agreed.Video = video
	agreed.offered = true
	return agreed, nil
}

// checkTaken checks that an answer takes a key that was offered.
func checkTaken(offered, answered []Crypto) error {
	if len(offered) == 0 || len(answered) != 1 {
		return nil
	}
	c := answered[0]
	if !slices.ContainsFunc(offered, func(o Crypto) bool { return o.Tag == c.Tag && o.Key.Profile == c.Key.Profile }) {
		return fmt.Errorf("answer takes crypto %d %s, offered %v", c.Tag, string(c.Key.Profile), offered)
	}
	return nil
}

// agree returns what ours and theirs come to, one of which is the answer.
func agree(ours, theirs, answer *Description) (*Agreed, error) {
	a := &Agreed{
		Mux: ours.Mux && theirs.Mux,
		Direction: parley.DirectionOf(ours.Direction.Sends() && theirs.receives(),
			ours.receives() && theirs.Direction.Sends()),
		stated: ours.Direction,
	}
	var beside []codec.Params // theirs: what is no codec
	var preferred codec.Params
	var seen [256]bool
	for _, p := range answer.Codecs {
		q, ok := match(ours.Codecs, p, compatible)
		r, ok2 := match(theirs.Codecs, p, compatible)
		if !ok || !ok2 || seen[q.PayloadType] {
			continue // an answer may have formats that were not offered (RFC 3264, section 6.1), or one twice
		}
		seen[q.PayloadType] = true
		if a.Mux && (clashes(q) || clashes(r)) {
			return nil, fmt.Errorf("%w: payload type %d or %d of %v looks like RTCP on the port of both", ErrDescription, q.PayloadType, r.PayloadType, p)
		}
		if isMedia(p) && a.Send.Name == "" {
			a.Send, preferred = r, q
			a.Receive = slices.Insert(a.Receive, 0, q)
			continue
		}
		if !isMedia(p) {
			beside = append(beside, r)
		}
		a.Receive = append(a.Receive, q)
	}
	if a.Send.Name == "" {
		return nil, noCommonCodec(theirs, ours)
	}
	a.Event = toSend(beside, a.Send.ClockRate)
	a.Noise, _ = find(beside, "CN", a.Send.ClockRate)
	a.RED, _ = find(beside, "red", a.Send.ClockRate)
	a.PTime = packetTime(ours, theirs, a.Send)
	if strings.EqualFold(a.Send.Name, "opus") {
		a.Send.FMTP = opusToSend(preferred.FMTP, a.Send.FMTP)
	}
	a.Remote, a.RemoteRTCP = theirs.destinations(a.Mux)
	err := ofHosts(a.Remote, a.RemoteRTCP)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	if a.LocalKey, a.RemoteKey, err = keys(ours.Crypto, theirs.Crypto, answer.Crypto); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	return a, nil
}

func noCommonCodec(theirs, ours *Description) error {
	return fmt.Errorf("%w: theirs %v, ours %v", ErrNoCommonCodec, theirs.Codecs, ours.Codecs)
}

// noCommonMedium is the error if one end has only audio and the other one video.
func noCommonMedium(theirs, ours *Description) error {
	media := func(d *Description) string {
		switch {
		case d.hasAudio():
			return "audio alone"
		case d.Video != nil:
			return "video alone"
		}
		return "nothing"
	}
	return fmt.Errorf("%w: theirs %s, ours %s", ErrNoCommonCodec, media(theirs), media(ours))
}

func (d *Description) receives() bool {
	return d.Direction.Receives() && !d.Addr.Addr().IsUnspecified()
}

// destinations returns where to send RTP and RTCP.
func (d *Description) destinations(mux bool) (rtp, rtcp netip.AddrPort) {
	if !d.Addr.IsValid() || d.Addr.Addr().IsUnspecified() {
		return rtp, rtcp
	}
	switch {
	case mux:
		return d.Addr, d.Addr
	case !d.RTCP.IsValid():
		return d.Addr, netip.AddrPortFrom(d.Addr.Addr(), d.Addr.Port()+1)
	case d.RTCP.Addr().IsUnspecified():
		return d.Addr, netip.AddrPortFrom(d.Addr.Addr(), d.RTCP.Port())
	}
	return d.Addr, d.RTCP
}
