package session

import (
	"cmp"
	"errors"
	"net/netip"
	"reflect"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// ErrDescription is returned, wrapped with what was wrong, for a session
// description that no call can be made from.
var ErrDescription = errors.New("session: unusable session description")

// A Description is what a session description (SDP, RFC 8866) says of an audio
// stream, a video stream or both: where they are received, in which payload
// formats, and what else two ends have to agree on before they can talk (see
// [Answer] and [Agree]). Without Addr and Codecs it has no audio.
//
// A stream with Crypto is RTP/SAVP, one without is RTP/AVP. Limits: no keys by
// DTLS, no candidates (ICE), no names of hosts for addresses (c=), and no optional
// encryption: crypto lines of an RTP/AVP section are passed over (RFC 8643). Of several
// sections of the same media, as with and without encryption, the first one that can be
// read counts, and [Answer] turns the others down, even if its codecs or its keys do not
// suit this end and theirs would; [ParseStreams] has each.
type Description struct {
	Addr   netip.AddrPort // where the media is to be sent; an unspecified address (0.0.0.0) takes none
	Codecs []codec.Params // in order of preference; telephone-event, CN and red among them
	PTime  time.Duration  // of the packets that are liked best; 0: not said

	MaxPTime  time.Duration    // of the longest packets that are taken; 0: not said
	RTCP      netip.AddrPort   // where RTCP is to be sent (RFC 3605); zero: the port after that of Addr
	Mux       bool             // RTCP may come to the RTP port (RFC 5761)
	Direction parley.Direction // seen from the end that the description is of
	Feedback  bool             // RTP/AVPF or RTP/SAVPF (RFC 4585)
	Crypto    []Crypto         // one of which keys the stream; none: it is not encrypted
	Label     string           // by which others name the stream (RFC 4574), as the metadata of SIPREC do; "": none

	Video *VideoDescription // nil: none

	ID      uint64     // of the session; it should be random, and below 1<<63
	Version uint64     // of this description of the session: see [Description.Follow]
	Origin  netip.Addr // of the end that made the session; zero: the address of Addr, or of the video if there is no audio

	Others []Section // media that are not taken, in order
	Index  int       // how many of Others come before the audio stream

	keyable bool       // of a session: where it has no Crypto, an encrypted offer is answered with a new key
	chosen  netip.Addr // of a session: its address, which may be one of either family
	answers bool       // made by Answer and not followed yet: it has the media lines of an offer
}

// A Section names a stream that a description has besides its audio and its video,
// or one of these that was turned down. It has a place in the answer, where it is turned down with port 0 (RFC 3264,
// section 6).
type Section struct {
	Media   string // such as "video"
	Proto   string // such as "RTP/AVP"
	Formats string // such as "96 97"
}

// Follow makes d, which is about to be sent, the description of the same session
// that comes after last: the last one that this end has sent, an offer that was refused
// too, as its version is used up. The version is one more if d says anything new, and the
// same if not (RFC 3264, section 8). In an offer, streams that last had are not
// forgotten, and a payload type means what it meant there; an answer has the streams
// and the payload types of the offer that it answers.
func (d *Description) Follow(last *Description) {
	d.ID, d.Version, d.Origin = last.ID, last.Version, last.Origin
	if !d.Origin.IsValid() {
		d.Origin = last.host()
	}
	if d.Video != nil {
		v := *d.Video
		d.Video = &v
	}
	if !d.answers {
		d.follow(last)
		d.Codecs = keepTypes(d.Codecs, last.Codecs, d.Mux, compatible)
		if d.Video != nil && last.Video != nil {
			d.Video.Codecs = keepTypes(d.Video.Codecs, last.Video.Codecs, d.Video.Mux, sameVideo)
		}
	}
	d.answers = false // from here on it is one that was sent, of which a copy may be offered
	d.Origin = d.canonical().Origin
	if !reflect.DeepEqual(d.canonical(), last.canonical()) {
		d.Version++
	}
}

// canonical returns d as it is read when it was written.
func (d *Description) canonical() *Description {
	c := *d
	c.keyable = false
	c.chosen = netip.Addr{}
	c.answers = false
	c.Addr, c.RTCP = plainPort(c.Addr), plainPort(c.RTCP)
	if c.Origin = plain(c.Origin); c.Origin == c.host() {
		c.Origin = netip.Addr{}
	}
	c.Codecs = canonical(d.Codecs)
	if len(c.Crypto) == 0 {
		c.Crypto = nil
	}
	if !d.hasAudio() {
		c.PTime, c.MaxPTime, c.RTCP, c.Mux = 0, 0, netip.AddrPort{}, false
		c.Direction, c.Feedback, c.Crypto, c.Label, c.Index = parley.SendRecv, false, nil, "", 0
	}
	if len(c.Others) == 0 {
		c.Others = nil
	}
	if d.Video != nil {
		v := *d.Video
		v.Addr, v.RTCP, v.Codecs = plainPort(v.Addr), plainPort(v.RTCP), canonical(v.Codecs)
		if len(v.Crypto) == 0 {
			v.Crypto = nil
		}
		v.First = v.First && d.hasAudio() && d.Index == v.Index
		c.Video = &v
	}
	return &c
}

func canonical(codecs []codec.Params) (c []codec.Params) {
	for _, p := range codecs {
		p.Channels = cmp.Or(p.Channels, 1)
		c = append(c, p)
	}
	return c
}

// host returns the connection address of the session, as it is written.
func (d *Description) host() netip.Addr {
	if d.hasAudio() || d.Video == nil {
		return plain(d.Addr.Addr())
	}
	return plain(d.Video.Addr.Addr())
}

// plain returns an address as it is written: without a zone, which only the end that
// it is of can tell, and an IPv4 address as such.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func plainPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(plain(a.Addr()), a.Port()) }
