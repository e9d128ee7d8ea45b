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
//
// RTP uses an even port and RTCP the next one. Limits for now: audio only, no
// multiplexing of RTCP onto the RTP port, no SRTP.
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
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
// for PCMU from anybody.
type Config struct {
	Local  netip.AddrPort // zero address: all of this machine; port 0: any even port
	Remote netip.AddrPort // of RTP; zero: whoever sends valid packets first

	Audio     *AudioConfig // nil: the zero AudioConfig
	Deadlines parley.Deadlines
	Logger    *slog.Logger // nil: no log
}

// AudioConfig describes the audio of a call.
type AudioConfig struct {
	Codecs []codec.Params // the first is sent, all are accepted; nil: PCMU

	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: 60 ms, 500 ms
	Immediate          bool           // send when written, not on the media clock

	SSRC  uint32 // 0: random
	CNAME string // "": random (RFC 7022)
}

// A Session is a [parley.Call] over a pair of UDP sockets.
type Session struct {
	*parley.Call
	leg *leg
}

// Open opens the sockets and starts the call. The context covers the opening
// only; the call lasts until it ends or Close is called.
func Open(ctx context.Context, c *Config) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var config Config
	if c != nil {
		config = *c
	}
	var audio AudioConfig
	if config.Audio != nil {
		audio = *config.Audio
	}
	if len(audio.Codecs) == 0 {
		pcmu, _ := codec.Static(0)
		audio.Codecs = []codec.Params{pcmu}
	}
	if r := config.Remote; r.IsValid() && (r.Port() == 0 || r.Port() == 65535 || r.Addr().IsUnspecified()) {
		return nil, fmt.Errorf("session: nothing can be sent to %v", r)
	}
	pair, err := transport.ListenPair(config.Local)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	l := &leg{pair: pair, fixed: config.Remote.IsValid()}
	if l.fixed {
		l.setRemote(config.Remote)
	}
	l.call, err = parley.New(parley.Config{
		Deadlines: config.Deadlines,
		Logger:    config.Logger,
		Audio: &parley.AudioConfig{
			Leg:       l,
			Send:      audio.Codecs[0],
			Receive:   audio.Codecs,
			PTime:     audio.PTime,
			Playout:   audio.Playout,
			MinDelay:  audio.MinDelay,
			MaxDelay:  audio.MaxDelay,
			Immediate: audio.Immediate,
			SSRC:      audio.SSRC,
			CNAME:     audio.CNAME,
		},
	})
	if err != nil {
		return nil, err
	}
	l.reading.Go(func() { transport.Receive(pair.RTP, l.receive) })
	l.reading.Go(func() { transport.Receive(pair.RTCP, l.receive) })
	l.call.Connected()
	return &Session{Call: l.call, leg: l}, nil
}

// LocalAddr returns the address of the RTP socket.
func (s *Session) LocalAddr() netip.AddrPort { return s.leg.pair.LocalAddr() }

// RemoteAddr returns where RTP is sent to. It is the zero AddrPort while nobody
// is known.
func (s *Session) RemoteAddr() netip.AddrPort {
	if r := s.leg.remote.Load(); r != nil {
		return r.rtp
	}
	return netip.AddrPort{}
}

// Foreign returns how many datagrams were dropped because they came from
// somebody else than the far end.
func (s *Session) Foreign() int64 { return s.leg.foreign.Load() }

// errNobody is the error for packets that have nowhere to go yet.
var errNobody = errors.New("session: the far end is not known yet")

// A leg sends to one far end and hears only that.
//
// Without a configured one, the first address that sends RTP is it. It keeps
// that place until it has been silent for reopen.
type leg struct {
	call    *parley.Call
	pair    *transport.Pair
	fixed   bool
	remote  atomic.Pointer[remote]
	heard   atomic.Int64 // when the far end was heard last, in nanoseconds since start
	foreign atomic.Int64
	reading sync.WaitGroup
}

type remote struct{ rtp, rtcp netip.AddrPort }

// reopen is how long a far end that was learnt has to be silent before another
// one may take its place.
const reopen = 5 * time.Second

var start = time.Now()

func (l *leg) setRemote(rtp netip.AddrPort) {
	rtp = netip.AddrPortFrom(rtp.Addr().Unmap(), rtp.Port())
	l.remote.Store(&remote{rtp: rtp, rtcp: netip.AddrPortFrom(rtp.Addr(), cmp.Or(rtp.Port()+1, 65535))})
}

func (l *leg) WriteRTP(b []byte) error {
	r := l.remote.Load()
	if r == nil {
		return errNobody
	}
	_, err := l.pair.RTP.WriteToUDPAddrPort(b, r.rtp)
	return err
}

func (l *leg) WriteRTCP(b []byte) error {
	r := l.remote.Load()
	if r == nil {
		return nil // a report to nobody
	}
	_, err := l.pair.RTCP.WriteToUDPAddrPort(b, r.rtcp)
	return err
}

func (l *leg) Close() error {
	err := l.pair.Close()
	l.reading.Wait()
	return err
}

// receive takes a datagram of either socket: what it is decides, not where it
// came in, since some far ends send RTCP to the RTP port.
func (l *leg) receive(arrival time.Time, from netip.AddrPort, b []byte) {
	switch transport.Classify(b) {
	case transport.RTP:
		if l.accept(arrival, from, true) {
			l.call.Audio().DeliverRTP(arrival, from, b)
		}
	case transport.RTCP:
		if l.accept(arrival, from, false) {
			l.call.Audio().DeliverRTCP(arrival, from, b)
		}
	}
}

// accept reports whether from may be the far end, of which only the address
// counts: its ports for sending and for receiving may differ.
func (l *leg) accept(arrival time.Time, from netip.AddrPort, mayLearn bool) bool {
	now := int64(arrival.Sub(start))
	r := l.remote.Load()
	switch {
	case r != nil && r.rtp.Addr() == from.Addr():
	case mayLearn && !l.fixed && (r == nil || now-l.heard.Load() > int64(reopen)):
		l.setRemote(from)
	default:
		l.foreign.Add(1)
		return false
	}
	l.heard.Store(now)
	return true
}
