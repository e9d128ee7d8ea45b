// Package session makes calls over plain RTP and RTCP, as telephones and media
// servers speak it.
//
//	s, err := session.Open(ctx, &session.Config{
//		Local:  netip.MustParseAddrPort("192.0.2.1:4000"),
//		Remote: netip.MustParseAddrPort("192.0.2.2:5004"),
//	})
//	if err != nil { … }
//	defer s.Close()
//	err = s.Audio().WriteFrame(frame)
//	…
//	err = s.Audio().Drain(ctx) // Close drops what has not been sent
//
// What is to be agreed with the far end is a [Description], which a signalling
// stack carries as SDP: see [OpenAnswer] for an INVITE that comes, [Answer] and [Agree]
// for a session that is open, and [Session.Update] for what changes in a call.
//
// RTP uses an even port and RTCP the next one, or both use one port. Audio and
// video have ports, and keys, of their own. A call has one or both of them: one
// audio stream and one video stream at most, each between the same two ends. Limits
// for now: no keys by DTLS, no ICE, and no bundling of both on one port; nor can an
// agreement add media that the session was opened without. An offer of more streams, as a
// recorder of calls gets it (SIPREC), is for one session each: see [ParseStreams].
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley"
	_ "github.com/parley-media/parley/codec/g711" // so that every plain RTP program can speak to a telephone
	_ "github.com/parley-media/parley/codec/g722"
	_ "github.com/parley-media/parley/codec/l16"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/transport"
)

// Config describes a call. The zero value is a call that waits on a free port
// for PCMU and digits from anybody. The addresses are those of the audio; a call
// of video alone has those in Video.
type Config struct {
	Local netip.AddrPort // zero address: all of this machine; port 0: any even port

	// Remote is where RTP goes; zero: to whoever sends first. Until somebody does, what
	// is written is lost, though the call is connected: the event [parley.FirstMedia]
	// tells when a prompt would be heard.
	Remote     netip.AddrPort
	RemoteRTCP netip.AddrPort   // zero: the port after that of Remote, or the same with Mux
	Mux        bool             // RTCP uses the port of RTP (RFC 5761)
	Ports      *transport.Ports // where the local port is from; nil: wherever one is free

	// Advertise is the address that [Session.Describe] tells the far end; zero:
	// that of Local or, if that is all addresses, the one that leads to the far
	// end, or to the internet while it is not known.
	Advertise netip.Addr

	// Latch is whom to hear; zero value: the address of Remote, or without that the first
	// who sends. An encoder that is started again sends from another port: with the zero
	// value and its IP address in Remote it is heard at once, otherwise when the port
	// before has been silent for 5 s.
	Latch transport.LatchMode

	SRTP    *SRTP    // nil: neither encrypted nor authenticated, unless Secure
	Secure  bool     // nothing is sent or heard without keys: from SRTP, which implies it, or agreed on by SDP
	Capture *Capture // nil: none

	Audio     *AudioConfig // nil: none if there is Video, else the zero AudioConfig
	Video     *VideoConfig // nil: none
	Deadlines parley.Deadlines
	Logger    *slog.Logger // nil: no log; see [parley.Config]
}

// SRTP has the keys of a call.
type SRTP struct {
	Local, Remote transport.SRTPKey // of what is sent, and of what is received
}

// Capture says where the packets of a call are written to, beside being sent and
// received. Several calls may share one file.
type Capture struct {
	To     *transport.Capture
	Secret bool // as they are on the wire; otherwise decrypted
}

// AudioConfig describes the audio of a call.
type AudioConfig struct {
	// Codecs are the payload formats: the first is sent, all are received; nil
	// means PCMU. Telephone-event, CN and red may be among them, behind the
	// first.
	Codecs []codec.Params

	// DTMF is the payload type of telephone events, if none is among Codecs. 0
	// means 101, or the first free one above that, at the clock rate of the first
	// codec. Those at the rates of the others, and at 8000 Hz, which is all that many
	// far ends have, get other numbers. A negative value means none.
	DTMF int

	ComfortNoise   bool  // send comfort noise in pauses; it is always understood
	Redundancy     int   // earlier packets that each packet repeats, if red is among Codecs (RFC 2198)
	Duplicate      bool  // send each packet twice
	LevelExtension uint8 // id of the audio level (RFC 6464), 1..14; 0: none

	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: a PTime (of Fixed 60 ms), 500 ms
	Preference         float64        // of Adaptive: from near 0, least delay, to 1, least loss; 0: 0.5
	Immediate          bool           // send when written, not on the media clock
	Direction          parley.Direction

	SSRC  uint32 // 0: random
	CNAME string // "": random (RFC 7022)
	RTCP  parley.RTCPConfig
}

// A Session is a [parley.Call] over UDP.
type Session struct {
	*parley.Call
	leg    *leg // of the audio; nil: none
	video  *leg // nil: none
	config Config
	codecs []codec.Params // of the audio, with what is added to those of config
}

// Open opens the sockets and starts the call. The context covers the opening
// only; the call lasts until it ends or Close is called. If all of Ports are in use
// the error wraps [transport.ErrNoPorts].
func Open(ctx context.Context, c *Config) (*Session, error) {
	var p path
	if c != nil {
		p = path{mux: c.Mux, secure: c.Secure}
	}
	s, err := prepare(ctx, c, p, p)
	if err != nil {
		return nil, err
	}
	s.start()
	return s, nil
}

// A path is what may be different for audio and video of a [Config].
type path struct{ mux, secure bool }

// prepare makes a session that does not receive yet.
func prepare(ctx context.Context, c *Config, audio, video path) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Session{}
	if c != nil {
		s.config = *c
	}
	if s.config.Audio == nil && s.config.Video == nil {
		s.config.Audio = &AudioConfig{}
	}
	if s.config.Audio == nil && (s.config.Remote.IsValid() || s.config.RemoteRTCP.IsValid()) {
		return nil, errors.New("session: an address of the far end for audio, but no audio; that for video is in Video")
	}
	config := parley.Config{Deadlines: s.config.Deadlines, Logger: s.config.Logger}
	var err error
	if s.config.Audio != nil {
		if config.Audio, err = s.openAudio(audio); err != nil {
			return nil, err
		}
	}
	if s.config.Video != nil {
		if config.Video, err = s.openVideo(video); err != nil {
			if s.leg != nil {
				s.leg.Close()
			}
			return nil, err
		}
	}
	if s.Call, err = parley.New(config); err != nil {
		return nil, err
	}
	if s.leg != nil {
		s.leg.call, s.leg.medium = s.Call, s.Audio()
	}
	if s.video != nil {
		s.video.call, s.video.medium = s.Call, s.Video()
	}
	return s, nil
}

// openAudio opens the sockets of the audio.
func (s *Session) openAudio(p path) (*parley.AudioConfig, error) {
	if err := s.config.check(); err != nil {
		return nil, err
	}
	audio, err := s.config.Audio.parley()
	if err != nil {
		return nil, err
	}
	s.codecs = audio.Receive
	if s.leg, err = newLeg(&s.config, p, s.codecs, false); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	s.leg.direction = audio.Direction
	audio.Leg = s.leg
	return audio, nil
}

func (s *Session) start() {
	if s.leg != nil {
		s.leg.start()
	}
	if s.video != nil {
		s.video.start()
	}
	s.Connected()
}

// ofHosts returns an error if an address is that of many hosts.
func ofHosts(addrs ...netip.AddrPort) error {
	for _, a := range addrs {
		if ip := a.Addr().Unmap(); ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return fmt.Errorf("%v is a multicast or broadcast address, and a call has one far end", a)
		}
	}
	return nil
}

// reaches returns an error if nothing can be sent to an address, which is of the other
// family than that of the socket, unless the far end is known by what it sends alone.
func reaches(mode transport.LatchMode, local netip.AddrPort, remote ...netip.AddrPort) error {
	from := local.Addr().Unmap()
	if mode == transport.LatchSymmetric || !from.IsValid() || from == netip.IPv6Unspecified() {
		return nil
	}
	for _, a := range remote {
		if a.IsValid() && a.Addr().Unmap().Is4() != from.Is4() {
			return fmt.Errorf("there is no way from %v to %v", from, a)
		}
	}
	return nil
}

func (c *Config) check() error {
	if err := cmp.Or(ofHosts(c.Local, c.Remote, c.RemoteRTCP), reaches(c.Latch, c.Local, c.Remote, c.RemoteRTCP)); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	for _, remote := range []netip.AddrPort{c.Remote, c.RemoteRTCP} {
		if remote.IsValid() && (remote.Port() == 0 || remote.Addr().IsUnspecified()) {
			return fmt.Errorf("session: nothing can be sent to %v", remote)
		}
	}
	if c.Remote.Port() == 65535 && !c.Mux && !c.RemoteRTCP.IsValid() {
		return fmt.Errorf("session: %v leaves no port for RTCP", c.Remote)
	}
	if c.RemoteRTCP.IsValid() && !c.Remote.IsValid() {
		return fmt.Errorf("session: %v for RTCP, but no address for RTP", c.RemoteRTCP)
	}
	return nil
}

// parley returns the configuration of the call, but for the leg.
func (c *AudioConfig) parley() (*parley.AudioConfig, error) {
	codecs := slices.Clone(c.Codecs)
	if len(codecs) == 0 {
		pcmu, _ := codec.Static(0)
		codecs = []codec.Params{pcmu}
	}
	send := codecs[0]
	if !isMedia(send) {
		return nil, fmt.Errorf("session: %s is not a codec that a call can send first", send)
	}
	if c.DTMF > 127 {
		return nil, fmt.Errorf("session: payload type %d of telephone events is not in 0..127", c.DTMF)
	}
	codecs = append(codecs, c.events(codecs)...)
	if _, ok := find(codecs, "CN", 8000); !ok && free(codecs, 13) {
		cn, _ := codec.Static(13)
		codecs = append(codecs, cn)
	}
	p := &parley.AudioConfig{
		Send:           send,
		Receive:        codecs,
		Duplicate:      c.Duplicate,
		LevelExtension: c.LevelExtension,
		PTime:          c.PTime,
		Playout:        c.Playout,
		MinDelay:       c.MinDelay,
		MaxDelay:       c.MaxDelay,
		Preference:     c.Preference,
		Immediate:      c.Immediate,
		Direction:      c.Direction,
		SSRC:           c.SSRC,
		CNAME:          c.CNAME,
		RTCP:           c.RTCP,
	}
	if c.DTMF >= 0 {
		p.Event = toSend(codecs, send.ClockRate)
	}
	if c.ComfortNoise {
		p.Noise, _ = find(codecs, "CN", send.ClockRate)
	}
	if c.Redundancy > 0 {
		p.RED, _ = find(codecs, "red", send.ClockRate)
		p.Generations = c.Redundancy
	}
	return p, nil
}

const telephoneEvent = "telephone-event"

// find returns the format of a name and clock rate.
func find(codecs []codec.Params, name string, clockRate int) (codec.Params, bool) {
	for _, p := range codecs {
		if strings.EqualFold(p.Name, name) && p.ClockRate == clockRate {
			return p, true
		}
	}
	return codec.Params{}, false
}

func free(codecs []codec.Params, payloadType uint8) bool {
	return !slices.ContainsFunc(codecs, func(p codec.Params) bool { return p.PayloadType == payloadType })
}

// freeType returns a payload type that none of codecs has: of the dynamic ones, and
// then of those below that do not look like RTCP. There is none if all are taken.
func freeType(codecs []codec.Params) (payloadType uint8, ok bool) {
	for _, r := range [][2]uint8{{101, 127}, {96, 100}, {35, 63}} {
		for pt := r[0]; pt <= r[1]; pt++ {
			if free(codecs, pt) {
				return pt, true
			}
		}
	}
	return 0, false
}

// events returns the formats of telephone events that are to be added to codecs: one
// for each clock rate, as RFC 4733 wants, and that of 8000 Hz.
func (c *AudioConfig) events(codecs []codec.Params) (added []codec.Params) {
	if slices.ContainsFunc(codecs, isEvent) || c.DTMF < 0 {
		return nil
	}
	for _, p := range append(slices.Clip(codecs), codec.Params{ClockRate: 8000}) {
		_, has := find(added, telephoneEvent, p.ClockRate)
		pt, ok := freeType(slices.Concat(codecs, added))
		if c.DTMF != 0 && added == nil {
			pt, ok = uint8(c.DTMF), true
		}
		if isMedia(p) && !has && ok {
			added = append(added, codec.Params{Name: telephoneEvent, PayloadType: pt, ClockRate: p.ClockRate, Channels: 1, FMTP: "0-16"})
		}
	}
	return added
}

// LocalAddr returns the address of the RTP socket of the audio. It is the zero
// AddrPort without audio.
func (s *Session) LocalAddr() netip.AddrPort { return s.leg.localAddr() }

// RemoteAddr returns where RTP of the audio is sent to. It is the zero AddrPort
// while nobody is known.
func (s *Session) RemoteAddr() netip.AddrPort { return s.leg.remoteAddr() }

// NetworkStats count datagrams that did not reach the call, and what else became
// of them.
type NetworkStats struct {
	Foreign         int64 // from somebody else than the far end, or not proved to be it
	Unexpected      int64 // RTP of a payload type that was not agreed on, from these, or from the far end before anything else
	UnexpectedType  uint8 // the payload type of the last of those; of audio, if there are some of both
	Unauthenticated int64 // with SRTP: not from the holder of the key, or seen before
	Unknown         int64 // neither RTP nor RTCP nor STUN, or cut off
	STUN            int64 // requests that were answered
	STUNRefused     int64 // other STUN: no valid requests, or too many of them
	Moves           int64 // changes of the address to send to
}

// NetworkStats fills in n, for audio and video together.
func (s *Session) NetworkStats(n *NetworkStats) {
	*n = NetworkStats{}
	if s.leg != nil {
		s.leg.stats(n)
	}
	if s.video == nil {
		return
	}
	var v NetworkStats
	s.video.stats(&v)
	n.Foreign += v.Foreign
	if n.Unexpected == 0 {
		n.UnexpectedType = v.UnexpectedType
	}
	n.Unexpected += v.Unexpected
	n.Unauthenticated += v.Unauthenticated
	n.Unknown += v.Unknown
	n.STUN += v.STUN
	n.STUNRefused += v.STUNRefused
	n.Moves += v.Moves
}
