package pionpeers

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// FarEnds are callers, in groups, each with a port of its own. They are for one
// goroutine.
type FarEnds struct {
	api    *webrtc.API
	begin  time.Time
	groups map[string][]*farEnd
}

type farEnd struct {
	pc        *webrtc.PeerConnection
	track     *webrtc.TrackLocalStaticRTP
	connected chan struct{}
	packet    rtp.Packet
	heard     atomic.Int64
}

// NewFarEnds returns none yet.
func NewFarEnds() (*FarEnds, error) {
	api, err := newAPI(nil)
	if err != nil {
		return nil, failed(err)
	}
	return &FarEnds{api: api, begin: time.Now(), groups: map[string][]*farEnd{}}, nil
}

// Offer adds a caller to a group, and returns its offer.
func (f *FarEnds) Offer(group string) (offer string, err error) {
	e := &farEnd{connected: make(chan struct{})}
	if e.pc, err = f.api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return "", failed(err)
	}
	f.groups[group] = append(f.groups[group], e)
	var once atomic.Bool
	e.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected && !once.Swap(true) {
			close(e.connected)
		}
	})
	e.pc.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		go drain(receiver.Read)
		b := make([]byte, 1600)
		for {
			if _, _, err := remote.Read(b); err != nil {
				return
			}
			e.heard.Add(1)
		}
	})
	if e.track, err = webrtc.NewTrackLocalStaticRTP(opus.RTPCodecCapability, "audio", "far"); err != nil {
		return "", failed(err)
	}
	sender, err := e.pc.AddTrack(e.track)
	if err != nil {
		return "", failed(err)
	}
	go drain(sender.Read)
	d, err := e.pc.CreateOffer(nil)
	if offer, err = describe(e.pc, d, err); err != nil {
		return "", failed(err)
	}
	return offer, nil
}

// SetAnswer connects the caller that was added to the group last.
func (f *FarEnds) SetAnswer(ctx context.Context, group, answer string) error {
	all := f.groups[group]
	if len(all) == 0 {
		return failed(errors.New("an answer without an offer"))
	}
	e := all[len(all)-1]
	if err := e.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return failed(err)
	}
	select {
	case <-e.connected:
		return nil
	case <-ctx.Done():
		return failed(ctx.Err())
	}
}

const (
	ptime      = 20 * time.Millisecond
	ptimeTicks = 960

	// What is sent back comes with the delay of a playout, and the first of it later
	// where the machine is busy.
	afterwards = 300 * time.Millisecond
	stalled    = 10 * time.Second
)

// Talk has each caller of a group send a packet every 20 ms, for some time, and
// returns how many were sent and how many came back.
func (f *FarEnds) Talk(ctx context.Context, group string, payloads [][]byte, d time.Duration) (sent, heard int64, err error) {
	all := f.groups[group]
	if len(all) == 0 || len(payloads) == 0 {
		return 0, 0, failed(errors.New("nobody, or nothing, to talk"))
	}
	for _, e := range all {
		heard -= e.heard.Load()
	}
	start := time.Now()
	total := int64(d/ptime) * int64(len(all))
	for ; sent < total; sent++ {
		at := start.Add(time.Duration(sent) * ptime / time.Duration(len(all)))
		time.Sleep(time.Until(at))
		if ctx.Err() != nil {
			return 0, 0, failed(ctx.Err())
		}
		i := int(sent % int64(len(all)))
		round := sent / int64(len(all))
		e := all[i]
		e.packet.Version = 2
		e.packet.SequenceNumber++
		e.packet.Timestamp = uint32(start.Sub(f.begin)/ptime+time.Duration(round)) * ptimeTicks
		e.packet.Payload = payloads[(int(round)+7*i)%len(payloads)]
		if err := e.track.WriteRTP(&e.packet); err != nil {
			return 0, 0, failed(err)
		}
	}
	before := heard
	for patience := time.Now().Add(stalled); ; {
		time.Sleep(afterwards)
		heard = before
		for _, e := range all {
			heard += e.heard.Load()
		}
		if heard > 0 || time.Now().After(patience) || ctx.Err() != nil {
			return sent, heard, nil
		}
	}
}

// Close ends all calls.
func (f *FarEnds) Close() error {
	var errs []error
	for _, group := range f.groups {
		for _, e := range group {
			errs = append(errs, e.pc.GracefulClose())
		}
	}
	return errors.Join(errs...)
}
