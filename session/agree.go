package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/transport"
)

// Describe returns what the session can do, to be offered to the far end. What
// comes back as an answer is for [Agree], and what that returns for
// [Session.Update]. With Secure or SRTP it has keys for each suite there is, the same
// ones each time.
//
// The codec and the suite of the last agreement come first, and stay unless the program
// or the far end wants others: many a far end takes the first ones of any offer, and
// would change them where a call is only held.
//
// A direction is the one that this end had in the descriptions of the last agreement,
// so that a call which it holds stays held when the far end offers anew (RFC 6337,
// section 5.3). To hold is to change the direction before the description is offered,
// or answered with, and to resume is to change it back.
func (s *Session) Describe() (*Description, error) {
	return s.describe(s.leg.knownRemote(), s.video.knownRemote())
}

// describe is Describe for a far end that is at the first address that can be used.
func (s *Session) describe(far ...netip.AddrPort) (*Description, error) {
	d := &Description{ID: rand.Uint64() >> 1, keyable: true}
	local := s.LocalAddr().Addr()
	if s.leg == nil {
		local = s.LocalVideo().Addr()
	}
	host := s.config.Advertise.Unmap()
	if !host.IsValid() {
		host = advertised(local, far)
		if local == netip.IPv6Unspecified() {
			d.chosen = host
		}
	}
	if s.leg != nil {
		d.Addr = netip.AddrPortFrom(host, s.LocalAddr().Port())
		d.Codecs = s.leg.usedFirst(s.codecs, compatible)
		d.PTime = s.config.Audio.PTime
		d.Mux = s.config.Mux
		d.Direction = s.leg.stated()
		var err error
		if d.Crypto, err = s.leg.offeredKeys(); err != nil {
			return nil, err
		}
	}
	if s.video != nil {
		c := s.config.Video
		d.Video = &VideoDescription{
			Addr:      netip.AddrPortFrom(host, s.LocalVideo().Port()),
			Codecs:    s.video.usedFirst(c.Codecs, sameVideo),
			Mux:       s.config.Mux,
			Direction: s.video.stated(),
			Feedback:  parley.VideoFeedback{NACK: c.RTCP.NACK, PLI: true, FIR: true},
			Bandwidth: c.Bandwidth,
		}
		var err error
		if d.Video.Crypto, err = s.video.offeredKeys(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// stated returns the direction that this end has described the leg with.
func (l *leg) stated() parley.Direction {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.direction
}

// usedFirst returns codecs with the one of the last agreement as the first.
func (l *leg) usedFirst(codecs []codec.Params, same func(p, q codec.Params) bool) []codec.Params {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.formats) == 0 {
		return codecs
	}
	used, ok := match(codecs, l.formats[0], same)
	if !ok {
		return codecs
	}
	i := slices.Index(codecs, used)
	return slices.Concat(codecs[i:i+1], codecs[:i], codecs[i+1:])
}

// setStated makes it another one.
func (l *leg) setStated(d parley.Direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.direction = d
}

// begin keeps which end has called, which is the one whose offer came first.
func (l *leg) begin(offered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.agreed {
		l.agreed, l.called = true, offered
	}
}

// offeredKeys returns a key for each suite, the same ones each time, if the leg
// encrypts.
func (l *leg) offeredKeys() (_ []Crypto, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.encrypts() && l.crypto == nil {
		l.crypto, err = NewCrypto(transport.SRTPProfiles[:]...)
	}
	return l.crypto, err
}

// keepKey makes the key of an agreement the first that is offered from now on, and the
// one of its suite.
func (l *leg) keepKey(k transport.SRTPKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.Profile == "" {
		return
	}
	kept := []Crypto{{Tag: 1, Key: k}}
	others := l.crypto
	if others == nil {
		others, _ = NewCrypto() // which knows its own profiles
	}
	for _, c := range others {
		if c.Key.Profile != k.Profile {
			kept = append(kept, Crypto{len(kept) + 1, c.Key})
		}
	}
	l.crypto = kept
}

// advertised returns the address at which a far end finds us.
func advertised(local netip.Addr, far []netip.AddrPort) netip.Addr {
	if !local.IsUnspecified() {
		return local
	}
	network := "udp"
	if local.Is4() { // and nothing else
		network = "udp4"
	}
	internet := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 9)
	for _, a := range append(far, internet) {
		if at, ok := leadsTo(network, a); ok {
			return at
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// leadsTo returns the address of this machine that packets to a would have. Nothing is
// sent: the system only says which one it would use.
func leadsTo(network string, a netip.AddrPort) (at netip.Addr, ok bool) {
	if !a.IsValid() || a.Addr().IsUnspecified() {
		return at, false
	}
	c, err := net.Dial(network, a.String())
	if err != nil {
		return at, false
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), true
}

// turn makes an answer one with an address of the family of the far end's.
func (d *Description) turn(far netip.AddrPort) {
	if !d.chosen.IsValid() || d.chosen != d.host() || d.chosen.Is4() == far.Addr().Unmap().Is4() {
		return
	}
	at, ok := leadsTo("udp", far)
	if !ok {
		return
	}
	if d.hasAudio() {
		d.Addr = netip.AddrPortFrom(at, d.Addr.Port())
	}
	if d.Video != nil {
		d.Video.Addr = netip.AddrPortFrom(at, d.Video.Addr.Port())
	}
}

// OpenAnswer opens a session for an offer, and returns the answer to send back.
// Of c, Remote, RemoteRTCP and SRTP are not used: the offer tells them, of the
// video too. It takes an encrypted offer whether or not c.Secure is set, and no
// other one if it is. What only one end has is turned down; it keeps its ports, so
// that another offer may add it, encrypted if the first one was. The error is that of
// [Open] or [Answer].
func OpenAnswer(ctx context.Context, c *Config, offer *Description) (s *Session, answer *Description, err error) {
	if offer == nil {
		return nil, nil, errNoDescription
	}
	config := Config{}
	if c != nil {
		config = *c
	}
	config.Remote, config.RemoteRTCP, config.SRTP = netip.AddrPort{}, netip.AddrPort{}, nil
	if config.Video != nil {
		video := *config.Video
		video.Remote, video.RemoteRTCP = netip.AddrPort{}, netip.AddrPort{}
		config.Video = &video
	}
	audio := path{mux: config.Mux && offer.Mux, secure: config.Secure || len(offer.Crypto) > 0}
	video := path{mux: config.Mux, secure: audio.secure}
	if v := offer.Video; v != nil {
		video = path{mux: config.Mux && v.Mux, secure: config.Secure || len(v.Crypto) > 0}
		if !offer.hasAudio() {
			audio.secure = video.secure
		}
	}
	if s, err = prepare(ctx, &config, audio, video); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
			s, answer = nil, nil
		}
	}()
	far := []netip.AddrPort{offer.Addr}
	if offer.Video != nil {
		far = append(far, offer.Video.Addr)
	}
	local, err := s.describe(far...)
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

// Errors for an agreement that an open session cannot follow.
var (
	errMux     = errors.New("session: RTCP cannot move to another port in an open session")
	errMedia   = errors.New("session: an agreement on media that the session was opened without")
	errNothing = errors.New("session: an agreement on nothing that the session has")
)

// Update makes the session follow an agreement with the far end, as after the answer to
// our offer or a re-INVITE: its addresses, the codecs and the packet time, the
// directions, the keys, all at once, or nothing if there is an error. Audio or video
// that is not agreed on is off, until another agreement has it again. An agreement on
// none of what the session was opened with is an error, and so is one on media that it
// was opened without. What is on its way is heard too: under the last key of a far end
// whose address has not changed, for 2 s or until its first packet under the new one,
// and in audio codecs of the last agreement, for 100 packets, where their payload types
// have no other.
//
// A call of this end may ring at several telephones, and each may have early media, and
// say goodbye by RTCP when another one is tried. So if the first agreement was one on an
// offer of this end, a goodbye that comes within three minutes of an Update ends the call
// only when these are over, or after the deadline for silence, unless there is something
// else to hear by then; before that, Close does.
func (s *Session) Update(a *Agreed) error {
	if a == nil {
		return errNothing
	}
	var audio *parley.AudioUpdate
	var video *parley.VideoUpdate
	var audioPath, videoPath *agreedPath
	var err error
	if s.leg != nil {
		audio = s.audioUpdate(a)
		if audioPath, err = s.agreed(s.leg, !audio.Off, a); err != nil {
			return err
		}
	}
	if s.video != nil {
		video = videoUpdate(a.Video)
		if videoPath, err = s.agreed(s.video, !video.Off, a.Video.transport()); err != nil {
			return fmt.Errorf("video: %w", err)
		}
	}
	switch {
	case a.Send.Name != "" && audio == nil || a.Video != nil && video == nil:
		return errMedia
	case (audio == nil || audio.Off) && (video == nil || video.Off):
		return errNothing
	}
	if err := s.Call.Update(audio, video); err != nil {
		return err
	}
	if audio != nil {
		s.leg.follows(audioPath, a.offered)
	}
	if video != nil {
		s.video.follows(videoPath, a.offered)
	}
	return nil
}

func (s *Session) audioUpdate(a *Agreed) *parley.AudioUpdate {
	if a.Send.Name == "" {
		return &parley.AudioUpdate{Off: true}
	}
	u := &parley.AudioUpdate{
		Send:      a.Send,
		Receive:   a.Receive,
		Event:     a.Event,
		PTime:     a.PTime,
		Direction: a.Direction,
	}
	if s.config.Audio.ComfortNoise {
		u.Noise = a.Noise
	}
	if s.config.Audio.Redundancy > 0 {
		u.RED = a.RED
	}
	return u
}

func videoUpdate(a *AgreedVideo) *parley.VideoUpdate {
	if a == nil {
		return &parley.VideoUpdate{Off: true}
	}
	return &parley.VideoUpdate{
		Send:      a.Send,
		Receive:   a.Receive,
		Accepts:   a.Accepts,
		Feedback:  a.Feedback,
		Bandwidth: a.Bandwidth,
		Direction: a.Direction,
	}
}

// transport returns what audio and video have in common, as if a were audio.
func (a *AgreedVideo) transport() *Agreed {
	if a == nil {
		return &Agreed{}
	}
	return &Agreed{
		Remote: a.Remote, RemoteRTCP: a.RemoteRTCP, Mux: a.Mux,
		Receive: a.Receive, LocalKey: a.LocalKey, RemoteKey: a.RemoteKey, stated: a.stated,
	}
}

// An agreedPath is how the packets of a leg go by an agreement.
type agreedPath struct {
	*Agreed // nil: the leg is off
	protect *transport.SRTP
}

// agreed returns how a leg goes on, or why it cannot.
func (s *Session) agreed(l *leg, on bool, a *Agreed) (*agreedPath, error) {
	if !on {
		return &agreedPath{}, nil
	}
	if !a.Mux && l.rtcp == nil {
		return nil, errMux
	}
	if err := reaches(s.config.Latch, l.localAddr(), a.Remote, a.RemoteRTCP); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	var keys *SRTP
	if a.LocalKey.Profile != "" || a.RemoteKey.Profile != "" {
		keys = &SRTP{Local: a.LocalKey, Remote: a.RemoteKey}
	}
	if keys == nil && l.encrypts() {
		return nil, fmt.Errorf("%w: no keys", ErrDescription)
	}
	next, err := l.protect(keys)
	if err != nil {
		return nil, err
	}
	return &agreedPath{a, next}, nil
}

// follows makes the leg go on as agreed on an offer of this end or of the other one.
func (l *leg) follows(p *agreedPath, offered bool) {
	l.begin(offered)
	nobody := netip.AddrPortFrom(netip.IPv4Unspecified(), 9)
	if p.Agreed == nil {
		l.setRemote(nobody, netip.AddrPort{})
		return
	}
	l.setProtection(time.Now(), p.protect)
	l.keepKey(p.LocalKey)
	l.mux.Store(p.Mux)
	l.setCodecs(p.Receive)
	l.setStated(p.stated)
	remote := p.Remote
	if !remote.IsValid() { // on hold, with an address that takes nothing
		remote = nobody
	}
	l.setRemote(remote, p.RemoteRTCP)
}
