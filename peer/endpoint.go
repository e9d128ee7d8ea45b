// Package peer makes calls with browsers: peer connections that a page opens to
// this program. It is the only package that knows pion/webrtc.
//
//	endpoint, err := peer.Listen(&peer.Config{})
//	p, answer, err := endpoint.Answer(ctx, offer, nil)
//	go parley.Serve(ctx, p.Call, handler)
//
// Limits for now: one audio line per connection, and the whole offer and answer
// at once (no trickled candidates).
package peer

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711" // so that every browser can be heard without a library
	_ "github.com/parley-media/parley/codec/g722"
)

// Config describes an [Endpoint]. The zero value listens on any free port.
type Config struct {
	Port      int        // UDP port for all connections; 0: any free one
	PublicIP  netip.Addr // announced in the place of local addresses, behind a NAT; zero: none
	Codecs    []codec.Params
	Logger    *slog.Logger // nil: no log
	Interface func(name string) bool
	Timeouts  Timeouts
}

// Timeouts say when a browser that is not heard any more counts as lost. The
// zero value notices it within five seconds.
type Timeouts struct {
	Disconnected time.Duration // without a sign of life until the connection is in doubt; 0: 3 s
	Failed       time.Duration // from then on until the call ends; 0: 2 s
	KeepAlive    time.Duration // between the signs of life of this end; 0: 1 s
}

// DefaultCodecs are the audio codecs that an endpoint accepts if its Config
// names none. The browser's order decides which one is used. Opus is accepted
// whether this build can decode it or not, since it can be passed on and
// recorded as it is.
func DefaultCodecs() []codec.Params {
	return []codec.Params{
		{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2, FMTP: "minptime=10;useinbandfec=1"},
		{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1},
		{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1},
		{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1},
	}
}

// An Endpoint answers browsers on one UDP port. Its methods may be used from
// any goroutine.
type Endpoint struct {
	api    *webrtc.API
	mux    ice.UDPMux
	logger *slog.Logger
	port   int
	closed atomic.Bool
}

// Listen opens the port of an endpoint.
func Listen(c *Config) (*Endpoint, error) {
	var config Config
	if c != nil {
		config = *c
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Codecs == nil {
		config.Codecs = DefaultCodecs()
	}
	media := &webrtc.MediaEngine{}
	for _, p := range config.Codecs {
		err := media.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: webrtc.RTPCodecCapability{
				MimeType:    "audio/" + p.Name,
				ClockRate:   uint32(p.ClockRate),
				Channels:    wireChannels(p),
				SDPFmtpLine: p.FMTP,
			},
			PayloadType: webrtc.PayloadType(p.PayloadType),
		}, webrtc.RTPCodecTypeAudio)
		if err != nil {
			return nil, fmt.Errorf("peer: codec %s: %w", p, err)
		}
	}
	mux, port, err := listen(&config)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	var settings webrtc.SettingEngine
	settings.SetICEUDPMux(mux)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetICETimeouts(
		cmp.Or(config.Timeouts.Disconnected, 3*time.Second),
		cmp.Or(config.Timeouts.Failed, 2*time.Second),
		cmp.Or(config.Timeouts.KeepAlive, time.Second),
	)
	settings.SetFireOnTrackBeforeFirstRTP(true)
	settings.LoggerFactory = loggerFactory{config.Logger}
	if config.Interface != nil {
		settings.SetInterfaceFilter(config.Interface)
	}
	if config.PublicIP.IsValid() {
		if err := settings.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External:        []string{config.PublicIP.String()},
			AsCandidateType: webrtc.ICECandidateTypeHost,
		}); err != nil {
			mux.Close()
			return nil, fmt.Errorf("peer: public address: %w", err)
		}
	}
	return &Endpoint{
		// Reports are this project's own; pion's interceptors would double them.
		api: webrtc.NewAPI(
			webrtc.WithMediaEngine(media),
			webrtc.WithInterceptorRegistry(&interceptor.Registry{}),
			webrtc.WithSettingEngine(settings),
		),
		mux:    mux,
		logger: config.Logger,
		port:   port,
	}, nil
}

// Port returns the UDP port that all connections share.
func (e *Endpoint) Port() int { return e.port }

// Close closes the port. Calls that are still up lose their connection.
func (e *Endpoint) Close() error {
	e.closed.Store(true)
	return e.mux.Close()
}

// listen opens one port on all interfaces.
func listen(c *Config) (ice.UDPMux, int, error) {
	options := []ice.UDPMuxFromPortOption{
		ice.UDPMuxFromPortWithLoopback(),
		ice.UDPMuxFromPortWithLogger(loggerFactory{c.Logger}.NewLogger("ice")),
	}
	if c.Interface != nil {
		options = append(options, ice.UDPMuxFromPortWithInterfaceFilter(c.Interface))
	}
	if c.Port != 0 {
		mux, err := ice.NewMultiUDPMuxFromPort(c.Port, options...)
		return mux, c.Port, err
	}
	var err error
	for range 10 {
		var probe *net.UDPConn
		if probe, err = net.ListenUDP("udp", nil); err != nil {
			break
		}
		free := probe.LocalAddr().(*net.UDPAddr).Port
		probe.Close()
		var mux ice.UDPMux
		if mux, err = ice.NewMultiUDPMuxFromPort(free, options...); err == nil {
			return mux, free, nil
		}
	}
	return nil, 0, fmt.Errorf("no free UDP port: %w", err)
}

// wireChannels returns the channels of p as an rtpmap has them, 0 for mono.
func wireChannels(p codec.Params) uint16 {
	if p.Channels > 1 {
		return uint16(p.Channels)
	}
	return 0
}

var errNoAudio = errors.New("no audio that this end can receive or send")
