package pionpeers

import (
	"errors"
	"fmt"
	"net"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// OnLoopback reports whether a network interface is that of the machine itself.
func OnLoopback(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagLoopback != 0
}

// opus asks for stereo, without redundancy.
var opus = webrtc.RTPCodecParameters{
	RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
		SDPFmtpLine: "minptime=10;stereo=1;sprop-stereo=1",
	},
	PayloadType: 111,
}

// newAPI returns what makes connections on loopback, all on one port if there is a
// mux. Feedback about congestion is that of the peer package: for video only.
func newAPI(mux ice.UDPMux) (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterCodec(opus, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	media.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, webrtc.RTPCodecTypeVideo)
	extension := webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
	if err := media.RegisterHeaderExtension(extension, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	feedback, err := twcc.NewSenderInterceptor()
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	registry.Add(feedback)
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(OnLoopback)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetFireOnTrackBeforeFirstRTP(true)
	if mux != nil {
		settings.SetICEUDPMux(mux)
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings)), nil
}

// describe makes a description the local one, and returns it with all addresses.
func describe(pc *webrtc.PeerConnection, d webrtc.SessionDescription, err error) (string, error) {
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

func closeAll(all []*webrtc.PeerConnection) error {
	var errs []error
	for _, pc := range all {
		errs = append(errs, pc.GracefulClose())
	}
	return errors.Join(errs...)
}

// drain reads what nobody looks at, until the connection ends.
func drain(read func([]byte) (int, interceptor.Attributes, error)) {
	b := make([]byte, 1600)
	for {
		if _, _, err := read(b); err != nil {
			return
		}
	}
}

func failed(err error) error { return fmt.Errorf("pionpeers: %w", err) }
