package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// CallConfig describes one call. The zero value is a good one for a server
// that keeps no ghosts but for its deadlines, which are off.
type CallConfig struct {
	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: 60 ms, 500 ms
	Deadlines          parley.Deadlines
}

// A Peer is a [parley.Call] with a browser.
type Peer struct {
	*parley.Call
	connection *webrtc.PeerConnection
}

// Connection returns the peer connection underneath, for what this package has
// no words for. Closing it ends the call.
func (p *Peer) Connection() *webrtc.PeerConnection { return p.connection }

// ErrOffer is returned, wrapped with what was wrong, for an offer that cannot be
// answered.
var ErrOffer = errors.New("peer: unusable offer")

var errNotAnswered = errors.New("peer: offer not answered in time")

// Answer makes a call from the offer of a browser, and returns the answer (SDP)
// that completes the signalling. The context covers the answering only. After
// Close of the endpoint the error wraps [net.ErrClosed].
func (e *Endpoint) Answer(ctx context.Context, offer string, c *CallConfig) (_ *Peer, answer string, err error) {
	var config CallConfig
	if c != nil {
		config = *c
	}
	if e.closed.Load() {
		return nil, "", fmt.Errorf("peer: %w", net.ErrClosed)
	}
	pc, err := e.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, "", fmt.Errorf("peer: %w", err)
	}
	l := newLeg(pc)
	defer func() {
		if err != nil && l.call == nil {
			l.Close()
		}
	}()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	if !offersAudio(pc) {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, errNoAudio)
	}
	sender, err := pc.AddTrack(l)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	l.sender = sender
	parameters := sender.GetParameters()
	codecs := negotiated(parameters.Codecs)
	if len(codecs) == 0 || len(parameters.Encodings) == 0 {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, errNoAudio)
	}
	l.call, err = parley.New(parley.Config{
		Deadlines: config.Deadlines,
		Logger:    e.logger,
		Audio: &parley.AudioConfig{
			Leg:      l,
			Send:     codecs[0],
			Receive:  codecs,
			PTime:    config.PTime,
			Playout:  config.Playout,
			MinDelay: config.MinDelay,
			MaxDelay: config.MaxDelay,
			SSRC:     uint32(parameters.Encodings[0].SSRC),
			CNAME:    l.name,
		},
	})
	if err != nil {
		return nil, "", err
	}
	answer, err = l.answer(ctx)
	if err != nil {
		blame := ErrOffer
		if ended := cmp.Or(l.call.Err(), ctx.Err()); ended != nil { // a deadline; the offer may be good
			blame, err = errNotAnswered, ended
		}
		l.call.EndWith(&parley.EndError{Reason: parley.Failed, Err: err})
		l.call.Close()
		return nil, "", fmt.Errorf("%w: %w", blame, err)
	}
	return &Peer{Call: l.call, connection: pc}, answer, nil
}

// answer starts the connection and returns the local description with all
// candidates.
func (l *leg) answer(ctx context.Context) (string, error) {
	l.watch()
	gathered := webrtc.GatheringCompletePromise(l.pc)
	answer, err := l.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	if err := l.pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	select {
	case <-gathered:
	case <-l.call.Done():
		return "", l.call.Err()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return l.pc.LocalDescription().SDP, nil
}

func offersAudio(pc *webrtc.PeerConnection) bool {
	for _, t := range pc.GetTransceivers() {
		if t.Kind() == webrtc.RTPCodecTypeAudio {
			return true
		}
	}
	return false
}

// negotiated returns the audio codecs that both ends know, in the order of the
// offer and with its payload types.
func negotiated(all []webrtc.RTPCodecParameters) []codec.Params {
	var codecs []codec.Params
	for _, p := range all {
		name, ok := strings.CutPrefix(strings.ToLower(p.MimeType), "audio/")
		if !ok || p.PayloadType > 127 {
			continue
		}
		codecs = append(codecs, codec.Params{
			Name:        p.MimeType[len(p.MimeType)-len(name):],
			PayloadType: uint8(p.PayloadType),
			ClockRate:   int(p.ClockRate),
			Channels:    int(max(p.Channels, 1)),
			FMTP:        p.SDPFmtpLine,
		})
	}
	return codecs
}
