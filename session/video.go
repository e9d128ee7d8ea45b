package session

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
)

// VideoConfig describes the video of a call. It has a pair of ports of its own,
// from Ports of [Config] too, with the same rules for whom to hear, the same keys
// (unless they are agreed on by SDP, which has keys of its own for video) and the
// same capture.
type VideoConfig struct {
	Local      netip.AddrPort // zero address: that of the audio; port 0: any even port
	Remote     netip.AddrPort // of RTP; zero: whoever sends first
	RemoteRTCP netip.AddrPort // zero: the port after that of Remote, or the same with Mux

	// Codecs are the payload formats, of H264, VP8 and VP9: the first is sent, and after an
	// agreement any of them that both ends have (see [parley.Video.WriteFrame]); all are
	// received. There has to be one. Of H264, packetization-mode=1 among its
	// parameters lets frames be sent in fragments, and sprop-parameter-sets tells
	// the far end the parameter sets that our key frames come without.
	Codecs []codec.Params

	// Bandwidth is what [Session.Describe] asks the far end not to exceed, in bits
	// per second; 0: not said.
	Bandwidth int64

	Wait      time.Duration // how long a missing packet is waited for; 0: 200 ms
	Immediate bool          // send frames when written, not on the clock of their times
	Direction parley.Direction

	// MaxPayload is how many bytes of a frame a packet has at most: less than the
	// path's MTU by what IP, UDP, RTP and SRTP take, up to 80. 0:
	// [payload.DefaultMaxPayload].
	MaxPayload int

	SSRC  uint32 // 0: random
	CNAME string // "": that of the audio, or random (RFC 7022)
	RTCP  parley.RTCPConfig
}

// openVideo opens the sockets of the video.
func (s *Session) openVideo(p path) (*parley.VideoConfig, error) {
	v := s.config.Video
	if len(v.Codecs) == 0 {
		return nil, errors.New("session: video without a codec")
	}
	if a := s.config.Audio; a != nil && v.SSRC != 0 && v.SSRC == a.SSRC { // under one key they would share a key stream
		return nil, errors.New("session: one SSRC for audio and video")
	}
	c := s.config
	c.Local, c.Remote, c.RemoteRTCP = v.Local, v.Remote, v.RemoteRTCP
	if !c.Local.Addr().IsValid() {
		c.Local = netip.AddrPortFrom(s.config.Local.Addr(), v.Local.Port())
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	var err error
	if s.video, err = newLeg(&c, p, v.Codecs, true); err != nil {
		return nil, fmt.Errorf("session: video: %w", err)
	}
	s.video.maxWaiting, s.video.direction = maxWaitingVideo, v.Direction
	return &parley.VideoConfig{
		Leg:        s.video,
		Send:       v.Codecs[0],
		Receive:    v.Codecs,
		Immediate:  v.Immediate,
		MaxPayload: v.MaxPayload,
		Wait:       v.Wait,
		Direction:  v.Direction,
		SSRC:       v.SSRC,
		CNAME:      v.CNAME,
		RTCP:       v.RTCP,
	}, nil
}

// LocalVideo returns the address of the RTP socket of the video. It is the zero
// AddrPort without video.
func (s *Session) LocalVideo() netip.AddrPort {
	return s.video.localAddr()
}

// RemoteVideo returns where RTP of the video is sent to. It is the zero AddrPort
// while nobody is known.
func (s *Session) RemoteVideo() netip.AddrPort {
	return s.video.remoteAddr()
}
