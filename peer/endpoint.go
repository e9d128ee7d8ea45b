// Package peer makes calls with browsers: peer connections that a page opens to
// this program. It is the only package of a program that knows pion/webrtc.
//
//	endpoint, err := peer.Listen(&peer.Config{})
//	p, answer, err := endpoint.Answer(ctx, offer, nil)
//	go parley.Serve(ctx, p.Call, handler)
//
// A call has up to 16 lines of audio and as many of video (see [parley.Call.Audios]
// and [parley.Call.Videos]) and data channels ([parley.Call.AcceptChannel]).
// Candidates may trickle both ways: [Peer.AddCandidate], [Peer.ReadCandidate].
// While it goes on, either end may offer again: [Peer.Answer], [Peer.Offer], after
// [parley.Call.AddAudio], [parley.Call.AddVideo], [parley.Call.Remove] and
// [Peer.SetDirection] of this end. What the far end refuses is taken back with
// [Peer.Rollback]. A program calls another one with [Endpoint.Dial]. Whatever carries
// the descriptions will do, as SIP over WebSocket to a telephone in a page (RFC 7118).
//
// What the network loses of video is asked for again, and may come again in a stream
// of its own (RTX, RFC 4588). What this end sends again goes where it went before.
//
// Known limits: no simulcast, so that of pictures in several sizes the first one is
// asked for; no ICE over TCP. Lines that are not bundled with the first one (RFC 8843)
// are turned down. Lines of one kind whose sources (SSRCs) the far end does not name are
// told apart by which is heard first. A page must not stop the transceiver of its first
// line while the call goes on: browsers give up the connection with it. The orientation
// of a camera is not told beside its pictures (RFC 7742, section 4): whoever sends them
// has to turn them, as the browsers of phones do when it is not agreed on. A relay
// (TURN) that does not answer makes Close take up to 8 s, after the call has ended. A
// far end has up to 64 channels open at a time, and further ones are closed; the
// messages that it sends have up to 256 KiB. It can open no more of them after one whose
// label and protocol have more than about 8000 bytes together, or after a message on a
// negotiated one that is not open here yet. Where packets are lost, a call that closes
// channels again and again may come to where the far end does not see it any more: who has
// much to say keeps a channel. This end opens up to 32767 channels in the life of a
// connection, and each of its offers has channels, which some gateways refuse. Of lines a
// connection has up to 512 in its life, with those that were removed: who needs another
// one again and again keeps it.
package peer

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/webrtc/v4"

	"github.com/parley-media/parley/codec"
	_ "github.com/parley-media/parley/codec/g711" // so that every browser can be heard without a library
	_ "github.com/parley-media/parley/codec/g722"
	_ "github.com/parley-media/parley/codec/opus"
)

// Config describes an [Endpoint]. The zero value listens on any free port.
//
// An endpoint with one port keeps to the addresses that this machine has when it begins to
// listen; with a range of ports each call keeps to those of its own beginning, as a program
// needs whose machine changes networks.
type Config struct {
	Port     int // UDP port for all connections, on the addresses of Listen; 0: any free one
	PortMin  int // ports from here to PortMax, one or more for each connection, in place of Port; 0: none
	PortMax  int
	Codecs   []codec.Params // audio, telephone-event, CN and red among it, and H264, VP8 and VP9; nil: DefaultCodecs
	Servers  []Server
	Logger   *slog.Logger // nil: no log; see CallConfig for that of one call
	Timeouts Timeouts

	// PublicIP is announced in the place of local addresses, behind a NAT. Of the
	// other version of IP, addresses that are public themselves are still told. Zero:
	// none.
	PublicIP netip.Addr

	// Interface says of a network interface, as "eth0" or "lo", whether browsers may
	// reach this end there: nothing listens on the others, and their addresses are
	// told to nobody. nil: all of them.
	Interface func(name string) bool
}

// A Server helps two ends to reach each other (RFC 8489, RFC 8656).
type Server struct {
	URLs     []string // "stun:host:port", "turn:host:port?transport=udp", "turns:host"
	Username string   // of a relay; it may be good for some time only
	Password string
}

// Timeouts say when a browser that is not heard any more counts as lost, once it was
// connected. The zero value notices it within five seconds, which is also the time that
// an ICE restart may take. Chromium takes seven to tell its page ("disconnected"), so that
// one whose calls are to outlive a change of networks restarts ICE when nothing has come for
// a while, as that of package server does, or Failed is longer.
type Timeouts struct {
	Disconnected time.Duration // without a sign of life until the connection is in doubt; 0: 3 s
	Failed       time.Duration // from then on until the call ends; 0: 2 s
	KeepAlive    time.Duration // between the signs of life of this end; 0: 1 s
}

func (t Timeouts) filled() Timeouts {
	return Timeouts{
		Disconnected: cmp.Or(t.Disconnected, 3*time.Second),
		Failed:       cmp.Or(t.Failed, 2*time.Second),
		KeepAlive:    cmp.Or(t.KeepAlive, time.Second),
	}
}

// DefaultCodecs are the codecs that an endpoint accepts if its Config names none.
// The browser's order decides which one is used. What this build cannot decode
// is accepted too, since it can be passed on and recorded as it is.
func DefaultCodecs() []codec.Params {
	return []codec.Params{
		{Name: "opus", PayloadType: 111, ClockRate: 48000, Channels: 2, FMTP: "minptime=10;useinbandfec=1"},
		{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1},
		{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1},
		{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1},
		{Name: "telephone-event", PayloadType: 110, ClockRate: 48000, Channels: 1},
		{Name: "telephone-event", PayloadType: 126, ClockRate: 8000, Channels: 1},
		{Name: "VP8", PayloadType: 96, ClockRate: 90000},
		{Name: "VP9", PayloadType: 98, ClockRate: 90000, FMTP: "profile-id=0"},
		{Name: "H264", PayloadType: 102, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"},
		{Name: "H264", PayloadType: 104, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"},
		{Name: "H264", PayloadType: 106, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
		{Name: "H264", PayloadType: 108, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"},
		{Name: "H264", PayloadType: 112, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"},
		{Name: "H264", PayloadType: 114, ClockRate: 90000, FMTP: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"},
	}
}

// An Endpoint answers browsers on one UDP port, or on ports of a range. Its methods may
// be used from any goroutine.
type Endpoint struct {
	media    *webrtc.MediaEngine
	settings webrtc.SettingEngine
	mux      ice.UDPMux // nil with a range of ports

	unblocking bool // the sockets of mux never block

	timeouts Timeouts
	public   netip.Addr // told in the place of local addresses; zero: none
	servers  []Server
	logger   *slog.Logger
	port     int
	closed   atomic.Bool
}

// Listen opens the port of an endpoint. It takes up to 3 s while an address of this machine
// is new and may be that of another one, as of IPv6 when a machine has just started; one
// that cannot be listened on after that is left out.
func Listen(c *Config) (_ *Endpoint, err error) {
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
	config.Timeouts = config.Timeouts.filled()
	media := &webrtc.MediaEngine{}
	for _, p := range config.Codecs {
		if err := register(media, p); err != nil {
			return nil, fmt.Errorf("peer: codec %s: %w", p, err)
		}
	}
	if err := congestion(media); err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	for _, p := range repairFormats(config.Codecs) {
		if err := media.RegisterCodec(p, webrtc.RTPCodecTypeVideo); err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
	}
	settings, err := config.settings()
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	e := &Endpoint{media: media, timeouts: config.Timeouts, public: config.PublicIP.Unmap(), servers: config.Servers, logger: config.Logger}
	switch {
	case config.PortMin != 0:
		err = settings.SetEphemeralUDPPortRange(uint16(config.PortMin), uint16(config.PortMax))
	default:
		var sockets transport.Net
		if sockets, err = newSockets(); err != nil {
			break
		}
		if e.mux, e.port, err = listen(&config, sockets); err == nil {
			settings.SetICEUDPMux(e.mux)
			e.unblocking = unblocking
			if alone(e.mux.GetListenAddresses()) {
				config.Logger.Warn("only this machine can reach the endpoint: it has no other addresses", "port", e.port)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	e.settings = settings
	return e, nil
}

// api returns what makes a connection that logs there and whose packets go to in.
func (e *Endpoint) api(c webrtc.Configuration, logger *slog.Logger, in *intake) *webrtc.API {
	settings := e.settings
	if c.ICETransportPolicy == webrtc.ICETransportPolicyRelay {
		settings.SetRelayAcceptanceMinWait(0) // there is no better way
	}
	settings.LoggerFactory = loggerFactory{logger}
	settings.BufferFactory = in.open
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(e.media),
		webrtc.WithInterceptorRegistry(feedback(logger)),
		webrtc.WithSettingEngine(settings),
	)
}

// congestion tells browsers how fast they may send video. With audio they would
// probe in its stream too, which needs no more than it has. Reports and repair are
// this project's own; pion's interceptors for them would double them.
func congestion(media *webrtc.MediaEngine) error {
	media.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, webrtc.RTPCodecTypeVideo)
	extension := webrtc.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
	return media.RegisterHeaderExtension(extension, webrtc.RTPCodecTypeVideo)
}

// feedback is what a connection says for that.
func feedback(logger *slog.Logger) *interceptor.Registry {
	sender, _ := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(loggerFactory{logger})) // it cannot fail
	registry := &interceptor.Registry{}
	registry.Add(sender)
	return registry
}

func isVideo(p codec.Params) bool {
	switch strings.ToUpper(p.Name) {
	case "H264", "VP8", "VP9":
		return true
	}
	return false
}

// register makes the media engine know a codec.
func register(media *webrtc.MediaEngine, p codec.Params) error {
	if p.PayloadType > 127 { // pion leaves it out of what it offers
		return fmt.Errorf("payload type %d is not in 0..127", p.PayloadType)
	}
	kind := webrtc.RTPCodecTypeAudio
	capability := webrtc.RTPCodecCapability{ClockRate: uint32(p.ClockRate), Channels: wireChannels(p), SDPFmtpLine: p.FMTP}
	if isVideo(p) {
		kind = webrtc.RTPCodecTypeVideo
		capability.RTCPFeedback = []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	}
	capability.MimeType = kind.String() + "/" + p.Name
	return media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: capability, PayloadType: webrtc.PayloadType(p.PayloadType)}, kind)
}

// settings are what all connections have in common.
func (c *Config) settings() (webrtc.SettingEngine, error) {
	var s webrtc.SettingEngine
	if c.PortMin < 0 || c.PortMin > c.PortMax || c.PortMax > 65535 || c.PortMin == 0 && c.PortMax > 0 {
		return s, fmt.Errorf("ports %d to %d", c.PortMin, c.PortMax)
	}
	if c.PublicIP.IsUnspecified() || c.PublicIP.IsMulticast() {
		return s, fmt.Errorf("public address %v, at which nobody can be reached", c.PublicIP)
	}
	for _, server := range c.Servers { // or else each call would fail
		for _, url := range server.URLs {
			if _, err := stun.ParseURI(url); err != nil {
				return s, fmt.Errorf("server %q: %w", url, err)
			}
		}
	}
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// pion would count the time to connect in, too, so that it never gives up by itself.
	s.SetICETimeouts(c.Timeouts.Disconnected, 0, c.Timeouts.KeepAlive)
	// The first message of the handshake may be lost, or come before the far end is ready for
	// it. Browsers say it again as soon; pion, after a second.
	s.SetDTLSRetransmissionInterval(100 * time.Millisecond)
	// A better way than through a NAT, such as on one's own network, is found as soon; pion
	// would have a caller wait for it for up to a second.
	s.SetSrflxAcceptanceMinWait(100 * time.Millisecond)
	s.SetPrflxAcceptanceMinWait(100 * time.Millisecond)
	s.SetFireOnTrackBeforeFirstRTP(true)
	s.SetHandleUndeclaredSSRCWithoutAnswer(true) // also of those who answer; what an answer holds is known by then
	s.DetachDataChannels()
	s.SetSCTPMaxMessageSize(maxMessage)
	if c.Interface != nil {
		s.SetInterfaceFilter(c.Interface)
	}
	if c.PublicIP.IsValid() {
		s.SetIPFilter(c.mayTell)
	}
	return s, nil
}

// mayTell reports whether a local address is told to browsers, or PublicIP in its
// place. Behind a NAT of IPv4 this end may well have a public address of IPv6, but
// what is good on its own network only helps nobody outside.
func (c *Config) mayTell(local net.IP) bool {
	a, ok := netip.AddrFromSlice(local)
	a = a.Unmap()
	return ok && (a.Is4() == c.PublicIP.Unmap().Is4() || a.IsGlobalUnicast() && !a.IsPrivate())
}

// configuration is that of one connection.
func (e *Endpoint) configuration(c *CallConfig) webrtc.Configuration {
	// Browsers take a bundled answer, and the lines of one offer come in any order.
	configuration := webrtc.Configuration{
		BundlePolicy:                webrtc.BundlePolicyMaxBundle,
		AlwaysNegotiateDataChannels: true,
		// pion refuses an offer that has a=cryptex in some of its sections (RFC 9335).
		RTPHeaderEncryptionPolicy: webrtc.RTPHeaderEncryptionPolicyDisable,
	}
	servers := e.servers
	if c != nil && c.Servers != nil {
		servers = c.Servers
	}
	if c != nil && c.RelayOnly {
		configuration.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	for _, s := range servers {
		configuration.ICEServers = append(configuration.ICEServers, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Password})
	}
	return configuration
}

// relayed reports whether packets may go through a relay, where each may have to wait
// for an answer.
func relayed(c webrtc.Configuration) bool {
	for _, s := range c.ICEServers {
		if slices.ContainsFunc(s.URLs, func(url string) bool { return strings.HasPrefix(strings.ToLower(url), "turn") }) {
			return true
		}
	}
	return false
}

// Port returns the UDP port that all connections share, or 0 if they do not.
func (e *Endpoint) Port() int { return e.port }

// Close closes the port, with which calls that are still up lose their connection. With a
// range of ports they go on, and no others begin.
func (e *Endpoint) Close() error {
	e.closed.Store(true)
	if e.mux == nil {
		return nil
	}
	return e.mux.Close()
}

// socketBuffer is what the kernel is asked to keep for all calls of a port while this
// program is busy, in bytes: of a thousand calls a tenth of a second. It may keep less.
const socketBuffer = 4 << 20

// listen opens one port on all interfaces.
func listen(c *Config, sockets transport.Net) (ice.UDPMux, int, error) {
	options := []ice.UDPMuxFromPortOption{
		ice.UDPMuxFromPortWithNet(sockets),
		ice.UDPMuxFromPortWithReadBufferSize(socketBuffer),
		ice.UDPMuxFromPortWithWriteBufferSize(socketBuffer),
		ice.UDPMuxFromPortWithLoopback(),
		ice.UDPMuxFromPortWithIPFilter(usable(c, sockets)),
		ice.UDPMuxFromPortWithLogger(loggerFactory{c.Logger}.NewLogger("port")),
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

// checked is how long an address may take to be usable that this machine has just been
// given: it asks first whether another one has it (RFC 4862, section 5.4).
const checked = 3 * time.Second

// usable returns which addresses of this machine an endpoint listens on, when they can be
// listened on. One that never can, as another machine has it, is left out, so that the
// others are served.
func usable(c *Config, sockets transport.Net) func(net.IP) bool {
	not := map[string]bool{}
	interfaces, err := sockets.Interfaces()
	if err != nil {
		interfaces = nil // pion says it
	}
	until := time.Now().Add(checked)
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || c.Interface != nil && !c.Interface(i.Name) {
			continue
		}
		for _, a := range addresses {
			own, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			local := &net.UDPAddr{IP: own.IP}
			if own.IP.IsLinkLocalUnicast() && own.IP.To4() == nil {
				local.Zone = i.Name
			}
			conn, err := sockets.ListenUDP("udp", local)
			for err != nil && time.Now().Before(until) {
				time.Sleep(50 * time.Millisecond)
				conn, err = sockets.ListenUDP("udp", local)
			}
			if err != nil {
				c.Logger.Warn("an address of this machine is left out", "address", local.IP, "interface", i.Name, "error", err)
				not[own.IP.String()] = true
				continue
			}
			conn.Close()
		}
	}
	return func(ip net.IP) bool {
		return !not[ip.String()] && (!c.PublicIP.IsValid() || c.mayTell(ip))
	}
}

// alone reports whether all addresses are of the loopback interface.
func alone(all []net.Addr) bool {
	return !slices.ContainsFunc(all, func(a net.Addr) bool {
		udp, ok := a.(*net.UDPAddr)
		return !ok || !udp.IP.IsLoopback()
	})
}

// wireChannels returns the channels of p as an rtpmap has them, 0 for mono.
func wireChannels(p codec.Params) uint16 {
	if p.Channels > 1 {
		return uint16(p.Channels)
	}
	return 0
}
