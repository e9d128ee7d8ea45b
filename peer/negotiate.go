package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
)

// maxLines bounds the media sections that a far end can make this end hold.
const maxLines = 32

// maxTransceivers bounds what pion keeps of a call: each section that any offer has had.
const maxTransceivers = 512

// Answer answers an offer of the far end while the call goes on, as for another
// video, a change of direction or an ICE restart. Lines that are as they were are
// not disturbed; [parley.LineAdded] and [parley.LineRemoved] tell of the others.
// A restart gives up the old way at once: for two or three round trips nothing is heard
// or seen at either end, also where nothing was wrong with it.
// An offer of the same session (o=) that is older than the last one answered is refused.
// The error wraps [ErrOffer], [ErrGlare], that of ctx, or a [syscall.Errno] of this
// machine, and then all is as it was, if the call has not ended. A context that ends
// later makes the answer come at once.
func (p *Peer) Answer(ctx context.Context, offer string) (answer string, err error) {
	c := p.c
	anew := c.renews(offer)
	if err := c.settle(ctx, anew); err != nil {
		return "", err
	}
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if err := inTime(ctx); err != nil {
		return "", err
	}
	if c.pc.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
		return "", fmt.Errorf("%w: %w", ErrOffer, ErrGlare)
	}
	wanted, bundled, err := c.answer(offer)
	if err != nil {
		if c.pc.SignalingState() != webrtc.SignalingStateStable { // there is no way back
			c.call.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
		}
		if _, ours := errors.AsType[syscall.Errno](err); ours { // as when there are no more descriptors
			return "", fmt.Errorf("peer: %w", err)
		}
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	if answer, err = c.described(ctx, anew); err != nil {
		return "", err
	}
	return c.directed(answer, wanted, bundled)
}

func (c *connection) answer(offer string) (wanted []section, bundled bool, err error) {
	d, wanted, err := parse(offer)
	if err != nil {
		return nil, false, err
	}
	if c.overtaken(d) {
		return nil, false, errOvertaken
	}
	if len(wanted) == 0 {
		return nil, false, errNoMedia
	}
	if len(wanted) > maxLines {
		return nil, false, fmt.Errorf("%d media sections are too many", len(wanted))
	}
	c.identify(d, wanted)
	added := 0
	for _, s := range wanted {
		if s.kind != 0 && c.transceiver(s.mid) == nil {
			added++
		}
	}
	if added > 0 && len(c.pc.GetTransceivers())+added > maxTransceivers {
		return nil, false, errManySections
	}
	c.insist(wanted)
	bundled = bundle(d, wanted)
	text, err := opened(d, wanted)
	if err != nil {
		return nil, false, err
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: text}); err != nil {
		return nil, false, err
	}
	c.learn(offer)
	if err := c.attach(wanted); err != nil {
		return nil, false, err
	}
	if err := c.follow(wanted); err != nil {
		return nil, false, err
	}
	answer, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return nil, false, err
	}
	err = c.pc.SetLocalDescription(answer)
	if err == nil {
		c.agreed(wanted, false)
	}
	return wanted, bundled, err
}

// overtaken reports whether the far end has had a later offer answered. One that was lost
// on its way may come when an old network is back, and would restart ICE with credentials
// that the far end has given up.
func (c *connection) overtaken(offer *sdp.SessionDescription) bool {
	last := c.pc.CurrentRemoteDescription()
	if last == nil || last.Type != webrtc.SDPTypeOffer {
		return false
	}
	var before sdp.SessionDescription // pion's own is not to be shared
	return before.UnmarshalString(last.SDP) == nil && offer.Origin.Username == before.Origin.Username && offer.Origin.SessionID == before.Origin.SessionID &&
		offer.Origin.SessionVersion < before.Origin.SessionVersion
}

// OfferOptions say what an offer in a call that goes on is for.
type OfferOptions struct {
	// Restart finds a new way to the far end (ICE restart), as after a change of its
	// network. Addresses that are new at this end are not among them (see [Config]).
	// The old way is given up with the offer: nothing is heard or seen at either end
	// until the answer is here and a new way has been found.
	Restart bool
}

// Offer returns an offer of this end, as after [Peer.Negotiate] has asked for
// one. Until [Peer.SetAnswer] has the answer, or [Peer.Rollback] takes it back, offers of
// the far end are refused, and there is no other one of this end: what was lost on its way
// is sent again as it is. If there is an error nothing was offered; the context counts as
// for [Peer.Answer].
func (p *Peer) Offer(ctx context.Context, o *OfferOptions) (offer string, err error) {
	c := p.c
	if o == nil {
		o = &OfferOptions{}
	}
	if err := c.settle(ctx, o.Restart); err != nil {
		return "", err
	}
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if err := inTime(ctx); err != nil {
		return "", err
	}
	if c.pc.SignalingState() == webrtc.SignalingStateHaveLocalOffer { // pion would restart ICE before it noticed
		return "", errOffered
	}
	anew := o.Restart || c.pc.LocalDescription() == nil
	if err := c.nameLines(); err != nil {
		return "", fmt.Errorf("peer: %w", err)
	}
	description, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: o.Restart})
	if err == nil {
		err = c.pc.SetLocalDescription(description)
	}
	if err != nil {
		return "", fmt.Errorf("peer: %w", err)
	}
	c.restarting = o.Restart
	text, err := c.described(ctx, anew)
	if err != nil {
		return "", err
	}
	return c.arranged(text)
}

// SetAnswer takes the answer to the last offer of this end. The error wraps
// [ErrAnswer]. It may tell of an answer that holds nevertheless, as of one that turns
// everything down, so that the next offer is a new one. The same answer again, as that of
// a 183 of SIP is in the 200 (RFC 3261, section 13.2.1), changes nothing.
func (p *Peer) SetAnswer(_ context.Context, answer string) error {
	c := p.c
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	if c.pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
		if answer != "" && answer == c.taken {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrAnswer, errNoOffer)
	}
	d, wanted, err := parse(answer)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	c.fill(d, wanted)
	bundle(d, wanted)
	c.heard(wanted)
	c.learn(answer)
	text, err := opened(c.unrefused(d, wanted))
	if err == nil {
		err = c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: text})
		if err != nil && c.unsettled(false) { // pion has taken it, and will not connect: there is no way back
			c.call.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
		}
	}
	if c.pc.SignalingState() == webrtc.SignalingStateStable { // whatever pion did not like about it
		if wrong := c.follow(wanted); err == nil {
			err = wrong
		}
		c.agreed(wanted, true)
		if c.role == "" {
			c.role = otherRole(role(d))
		}
		c.addEarly()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	c.taken = answer
	return nil
}

// prepare makes the lines of a first offer.
func (c *connection) prepare() error {
	c.signalling.Lock()
	defer c.signalling.Unlock()
	if !c.config.NoAudio {
		if _, err := c.add(webrtc.RTPCodecTypeAudio); err != nil {
			return err
		}
	}
	for range c.config.Videos {
		if _, err := c.add(webrtc.RTPCodecTypeVideo); err != nil {
			return err
		}
	}
	return nil
}

// add makes the leg of a line that this end is to offer, or takes one that was taken
// back before the far end had described it.
func (c *connection) add(kind webrtc.RTPCodecType) (*leg, error) {
	if c.count(kind) >= parley.MaxLines {
		return nil, fmt.Errorf("peer: %w", parley.ErrManyLines)
	}
	for _, l := range c.legs {
		if l.kind == kind && l.removed && !l.settled && !l.off {
			l.removed = false
			return l, nil
		}
	}
	if len(c.pc.GetTransceivers()) >= maxTransceivers {
		return nil, fmt.Errorf("peer: %w: %w", parley.ErrManyLines, errManySections)
	}
	l := c.newLeg(kind)
	t, err := c.pc.AddTransceiverFromTrack(l, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendrecv})
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("peer: %w", err)
	}
	l.sender = t.Sender()
	c.legs[t] = l
	return l, nil
}

func (c *connection) newLeg(kind webrtc.RTPCodecType) *leg {
	l := newLeg(c, kind, kind.String()+strconv.Itoa(c.tracks))
	c.tracks++
	return l
}

// renews reports whether an offer has other credentials than the description of
// the far end before, which restarts ICE (RFC 8839, section 4.4.1.1.1).
func (c *connection) renews(offer string) bool {
	before := map[string]bool{}
	if d := c.pc.RemoteDescription(); d != nil {
		for l := range strings.Lines(d.SDP) {
			before[strings.TrimSpace(l)] = true
		}
	}
	for l := range strings.Lines(offer) {
		l = strings.TrimSpace(l)
		if (strings.HasPrefix(l, "a=ice-ufrag:") || strings.HasPrefix(l, "a=ice-pwd:")) && !before[l] {
			return true
		}
	}
	return false
}

// settle waits, before a restart of ICE, until this end looks for addresses no
// more, since pion reads the credentials meanwhile, which the restart changes.
// Servers that do not answer make that take many seconds. It also waits until what
// was agreed on has begun to connect: pion takes an offer that comes before for a
// restart, whatever its credentials. The error is that of the call if it has ended.
func (c *connection) settle(ctx context.Context, restart bool) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for c.unsettled(restart) {
		select {
		case <-look.C: // pion tells the end to one listener only
		case <-c.call.Done():
			return c.call.Err()
		case <-ctx.Done():
			return inTime(ctx)
		}
	}
	return c.call.Err()
}

func (c *connection) unsettled(restart bool) bool {
	agreed := c.pc.CurrentRemoteDescription() != nil && c.pc.CurrentLocalDescription() != nil
	return restart && c.pc.ICEGatheringState() == webrtc.ICEGatheringStateGathering ||
		agreed && c.pc.ICEConnectionState() == webrtc.ICEConnectionStateNew
}

// inTime returns that ctx has ended, if so.
func inTime(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", errNotAnswered, err)
	}
	return nil
}

// described returns the local description with the candidates that are there in
// time. Those of an exchange before, which is not done anew, are with the far end.
// The description is in force, so that the end of ctx is no reason to keep it back.
func (c *connection) described(ctx context.Context, anew bool) (string, error) {
	patience := c.config.Gather
	if patience >= 0 && anew {
		late := time.NewTimer(cmp.Or(patience, 500*time.Millisecond))
		defer late.Stop()
		select {
		case <-webrtc.GatheringCompletePromise(c.pc):
		case <-late.C:
		case <-c.call.Done():
			return "", fmt.Errorf("%w: %w", errNotAnswered, c.call.Err())
		case <-ctx.Done():
		}
	}
	d := c.pc.LocalDescription()
	if d != nil && patience >= 0 && c.config.RelayOnly && c.pc.ICEGatheringState() == webrtc.ICEGatheringStateComplete && !strings.Contains(d.SDP, "\na=candidate:") {
		c.endUnreachable() // pion may be about to tell candidate so
	}
	if end := c.call.Err(); d == nil || end != nil {
		return "", fmt.Errorf("%w: %w", errNotAnswered, end)
	}
	if patience < 0 {
		return bare(d.SDP), nil
	}
	return announcedIn(d.SDP, c.public), nil
}

// bare returns a description without its candidates, of which some may have been
// found at once.
func bare(text string) string {
	var kept strings.Builder
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "a=candidate:") && !strings.HasPrefix(l, "a=end-of-candidates") {
			kept.WriteString(l)
		}
	}
	return kept.String()
}

var (
	errNoOffer      = errors.New("there is no offer that waits for one")
	errOffered      = errors.New("peer: the last offer of this end has no answer yet")
	errOvertaken    = errors.New("a later offer was answered already")
	errNoMedia      = errors.New("no audio, video or data channels")
	errManySections = fmt.Errorf("more than %d media sections came and went", maxTransceivers)
	errNoCodec      = errors.New("no codec that this end has too")
)
