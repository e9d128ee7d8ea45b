package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/codec/opus"
	_ "github.com/parley-media/parley/codec/opus/libopus" // the encoder, where the library is installed
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
)

// parseAddr returns the address of HOST:PORT, where HOST may be a name, or
// empty for all addresses.
func parseAddr(flag, s string) (netip.AddrPort, error) {
	a, err := net.ResolveUDPAddr("udp", s)
	host, _, _ := net.SplitHostPort(s)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.Name == host { // not the name of a port
		return netip.AddrPort{}, fmt.Errorf("--%s: %w", flag, err)
	}
	if err != nil {
		return netip.AddrPort{}, useError{fmt.Errorf("--%s %s is not HOST:PORT: %w", flag, s, err)}
	}
	addr, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		addr = netip.IPv4Unspecified()
	}
	if addr = addr.Unmap(); addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.AddrPort{}, useError{fmt.Errorf("--%s %s is a multicast or broadcast address, and a call has one far end", flag, s)}
	}
	return netip.AddrPortFrom(addr.WithZone(a.Zone), uint16(a.Port)), nil
}

// codecFlags choose a payload format of audio.
type codecFlags struct {
	Codec       string `placeholder:"NAME" help:"Codec to send: pcmu, pcma, g722, opus or l16, for l16 with rate and channels as in l16/16000/2. The default is pcmu."`
	PayloadType int    `default:"-1" placeholder:"N" help:"RTP payload type, 0 to 127. The default is the static one of RFC 3551, or 97."`
}

// Payload types of formats without a static one, as of ffmpeg: audio that comes where
// video is expected, or the other way round, is not taken for it.
const (
	dynamicVideo = 96
	dynamicAudio = 97
)

// params returns the payload format that was asked for, and pcmu if none was.
// A codec without a fixed rate takes that of like, if it is known.
func (f codecFlags) params(like audio.Format) (codec.Params, error) {
	if f.PayloadType < -1 || f.PayloadType > 127 {
		return codec.Params{}, useError{fmt.Errorf("--payload-type %d is not in 0..127", f.PayloadType)}
	}
	unknown := func(flag string, err error) error {
		return useError{fmt.Errorf("%s: %w; this build has %s", flag, err, strings.ToLower(strings.Join(codec.Names(), ", ")))}
	}
	name, rest, _ := strings.Cut(f.Codec, "/")
	if name == "" {
		if p, ok := codec.Static(uint8(f.PayloadType)); ok && f.PayloadType >= 0 {
			if _, err := codec.Lookup(p); err != nil {
				return p, unknown(fmt.Sprintf("--payload-type %d", f.PayloadType), err)
			}
			return p, nil
		}
		name = "pcmu"
	}
	p := codec.Params{Name: strings.ToUpper(name), ClockRate: 8000, Channels: 1}
	switch p.Name {
	case "OPUS":
		p.Name, p.ClockRate, p.Channels = "opus", 48000, 2
		stereo := like.Channels == 2
		p.FMTP = opus.FMTP{Stereo: stereo, SpropStereo: stereo, UseInbandFEC: true}.String()
	case "L16":
		p.ClockRate, p.Channels = 44100, 1
		if static, ok := codec.Static(uint8(f.PayloadType)); ok && static.Name == p.Name {
			p = static
		} else if like.Rate != 0 {
			p.ClockRate, p.Channels = like.Rate, like.Channels
		}
	}
	if rest != "" {
		rate, channels, _ := strings.Cut(rest, "/")
		var err error
		if p.ClockRate, err = strconv.Atoi(rate); err != nil {
			return p, useError{fmt.Errorf("--codec %s: %q is not a rate", f.Codec, rate)}
		}
		if channels != "" {
			if p.Channels, err = strconv.Atoi(channels); err != nil {
				return p, useError{fmt.Errorf("--codec %s: %q is not a number of channels", f.Codec, channels)}
			}
		}
	}
	if _, err := codec.Lookup(p); err != nil {
		return p, unknown("--codec "+f.Codec, err)
	}
	p.PayloadType = payloadType(p)
	if f.PayloadType >= 0 {
		p.PayloadType = uint8(f.PayloadType)
	}
	return p, nil
}

// videoParams returns the payload format of a codec of video, in the payload type
// that was asked for, or the first dynamic one that the audio does not have.
func videoParams(name string, payloadType int, sound ...codec.Params) (codec.Params, error) {
	p := codec.Params{Name: strings.ToUpper(name), PayloadType: dynamicVideo, ClockRate: 90000}
	if p.Name == "H264" {
		p.FMTP = payload.H264FMTP{PacketizationMode: 1}.String()
	}
	if payloadType < -1 || payloadType > 127 {
		return p, useError{fmt.Errorf("--video-payload-type %d is not in 0..127", payloadType)}
	}
	if payloadType >= 0 {
		p.PayloadType = uint8(payloadType)
		return p, nil
	}
	for slices.ContainsFunc(sound, func(q codec.Params) bool { return q.PayloadType == p.PayloadType }) {
		p.PayloadType++
	}
	return p, nil
}

// isVideo reports whether a codec is one of video that calls can carry.
func isVideo(name string) bool {
	_, err := stream.VideoFormat(name)
	return err == nil
}

// payloadType returns the static payload type of a format, or the dynamic one.
func payloadType(p codec.Params) uint8 {
	for pt := range uint8(35) {
		if static, ok := codec.Static(pt); ok && static.Same(p) {
			return pt
		}
	}
	return dynamicAudio
}

// received returns the formats to accept: the one asked for, or all static ones
// that this build can decode.
func (f codecFlags) received() ([]codec.Params, error) {
	if f.Codec != "" || f.PayloadType >= 0 {
		p, err := f.params(audio.Format{})
		return []codec.Params{p}, err
	}
	var all []codec.Params
	for pt := range uint8(35) {
		p, ok := codec.Static(pt)
		if !ok {
			continue
		}
		if c, err := codec.Lookup(p); err == nil && c.NewDecoder != nil {
			all = append(all, p)
		}
	}
	return all, nil
}
