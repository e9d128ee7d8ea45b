package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/transport"
)

// Describe returns what the session can do, to be offered to the far end. What
// comes back as an answer is for [Agree], and what that returns for
// [Session.Update]. With Secure it has keys for each suite there is, the same
// ones each time.
func (s *Session) Describe() (*Description, error) {
	d := &Description{
		Addr:      netip.AddrPortFrom(s.advertised(), s.LocalAddr().Port()),
		Codecs:    s.audio.Receive,
		PTime:     s.audio.PTime,
		Mux:       s.config.Mux,
		Direction: s.audio.Direction,
		ID:        rand.Uint64() >> 1,
	}
	if s.config.Secure {
		if s.crypto == nil {
			var err error
			if s.crypto, err = NewCrypto(transport.SRTPProfiles[:]...); err != nil {
				return nil, err
			}
		}
		d.Crypto = s.crypto
	}
	return d, nil
}

// advertised returns the address at which the far end finds us.
func (s *Session) advertised() netip.Addr {
	if s.config.Advertise.IsValid() {
		return s.config.Advertise
	}
	local := s.LocalAddr().Addr()
	if !local.IsUnspecified() {
		return local
	}
	// Nothing is sent: the system only says which of its addresses it would use.
	far := "192.0.2.1:9"
	if r := s.RemoteAddr(); r.IsValid() {
		far = r.String()
	}
	if c, err := net.Dial("udp", far); err == nil {
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// OpenAnswer opens a session for an offer, and returns the answer to send back.
// Of c, Remote, RemoteRTCP and SRTP are not used: the offer tells them. It takes
// an encrypted offer whether or not c.Secure is set, and no other one if it is.
// The error is that of [Open] or [Answer].
func OpenAnswer(ctx context.Context, c *Config, offer *Description) (s *Session, answer *Description, err error) {
	config := Config{}
	if c != nil {
		config = *c
	}
	config.Remote, config.RemoteRTCP, config.SRTP = netip.AddrPort{}, netip.AddrPort{}, nil
	config.Secure = config.Secure || len(offer.Crypto) > 0
	config.Mux = config.Mux && offer.Mux
	if s, err = prepare(ctx, &config); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
			s, answer = nil, nil
		}
	}()
	local, err := s.Describe()
	if err != nil {
		return s, nil, err
	}
	answer, agreed, err := Answer(offer, local)
	if err != nil {
		return s, nil, err
	}
	if err = s.Update(agreed); err != nil {
		return s, nil, err
	}
	s.start()
	return s, answer, nil
}

// errMux is the error for an agreement that an open session cannot follow.
var errMux = errors.New("session: RTCP cannot move to another port in an open session")

// Update makes the session follow an agreement with the far end, as after the
// answer to our offer or a re-INVITE: its address, the codecs and the packet
// time, the direction, the keys, all at once, or nothing if there is an error.
func (s *Session) Update(a *Agreed) error {
	if !a.Mux && s.leg.pair.RTCP == nil {
		return errMux
	}
	var keys *SRTP
	if a.LocalKey.Profile != "" || a.RemoteKey.Profile != "" {
		keys = &SRTP{Local: a.LocalKey, Remote: a.RemoteKey}
	}
	if keys == nil && s.config.Secure {
		return fmt.Errorf("%w: no keys", ErrDescription)
	}
	next, err := s.leg.protect(keys)
	if err != nil {
		return err
	}
	var nextVideo *srtpKeys
	if s.video != nil {
		if nextVideo, err = s.video.protect(keys); err != nil {
			return err
		}
	}
	update := &parley.AudioUpdate{
		Send:      a.Send,
		Receive:   a.Receive,
		Event:     a.Event,
		PTime:     a.PTime,
		Direction: a.Direction,
	}
	if s.config.Audio.ComfortNoise {
		update.Noise = a.Noise
	}
	if s.config.Audio.Redundancy > 0 {
		update.RED = a.RED
	}
	err = s.Audio().Update(update)
	if err != nil {
		return err
	}
	s.leg.srtp.Store(next)
	if s.video != nil {
		s.video.srtp.Store(nextVideo)
	}
	s.leg.mux.Store(a.Mux)
	s.leg.setCodecs(a.Receive)
	remote := a.Remote
	if !remote.IsValid() { // on hold, with an address that takes nothing
		remote = netip.AddrPortFrom(netip.IPv4Unspecified(), 9)
	}
	s.leg.setRemote(remote, a.RemoteRTCP)
	return nil
}
