package pionpeers

import (
	"errors"
	"net"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// A Forwarder sends back each packet that it receives, as a program would that has
// nothing but pion. All of its connections share one port. It is for one goroutine.
type Forwarder struct {
	api   *webrtc.API
	mux   ice.UDPMux
	calls []*webrtc.PeerConnection
}

// NewForwarder opens the port.
func NewForwarder() (*Forwarder, error) {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, failed(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket})
	api, err := newAPI(mux)
	if err != nil {
		mux.Close()
		return nil, failed(err)
	}
	return &Forwarder{api: api, mux: mux}, nil
}

// Answer answers an offer with one line of audio.
func (f *Forwarder) Answer(offer string) (answer string, err error) {
	pc, err := f.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", failed(err)
	}
	f.calls = append(f.calls, pc)
	local, err := webrtc.NewTrackLocalStaticRTP(opus.RTPCodecCapability, "audio", "forwarder")
	if err != nil {
		return "", failed(err)
	}
	pc.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		go drain(receiver.Read)
		for {
			p, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			if local.WriteRTP(p) != nil {
				return
			}
		}
	})
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", failed(err)
	}
	sender, err := pc.AddTrack(local)
	if err != nil {
		return "", failed(err)
	}
	go drain(sender.Read)
	d, err := pc.CreateAnswer(nil)
	if answer, err = describe(pc, d, err); err != nil {
		return "", failed(err)
	}
	return answer, nil
}

// Close ends all calls.
func (f *Forwarder) Close() error { return errors.Join(closeAll(f.calls), f.mux.Close()) }
