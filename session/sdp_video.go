package session

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// A VideoDescription is what a [Description] says of its video stream, which has
// an address, a direction and keys of its own. Its fields are those of the audio
// where they have the same name.
type VideoDescription struct {
	Addr   netip.AddrPort
	Codecs []codec.Params // in order of preference, among them such as rtx that carry no pictures of their own

	RTCP      netip.AddrPort
	Mux       bool
	Direction parley.Direction

	// Feedback is what the end knows to ask for and to be asked for, by a=rtcp-fb
	// (RFC 4585, section 4.2): what is listed for all of its formats that Parley
	// has. It counts with AVPF and without, as programs list it with either.
	Feedback parley.VideoFeedback
	AVPF     bool // RTP/AVPF or RTP/SAVPF

	Bandwidth int64 // that the end takes at most, in bits per second (b=TIAS, or b=AS); 0: not said
	Crypto    []Crypto
	Label     string

	Index int  // how many of Others come before the video stream
	First bool // it comes before the audio, where both come after as many of Others
}

// transport returns what audio and video have in common, as if v were audio.
func (v *VideoDescription) transport() *Description {
	return &Description{
		Addr: v.Addr, Codecs: v.Codecs, RTCP: v.RTCP, Mux: v.Mux, Direction: v.Direction, Feedback: v.AVPF, Crypto: v.Crypto, Label: v.Label,
	}
}

// parseVideo reads a video section.
func parseVideo(head, m block) (*VideoDescription, error) {
	d, err := parseStream("video", head, m)
	if err != nil {
		return nil, fmt.Errorf("%.100q: %w", "m="+m[0].value, err)
	}
	v := &VideoDescription{
		Addr: d.Addr, Codecs: d.Codecs, RTCP: d.RTCP, Mux: d.Mux, Direction: d.Direction, AVPF: d.Feedback, Crypto: d.Crypto, Label: d.Label,
	}
	v.Feedback = m.feedback(d.Codecs)
	if v.Bandwidth, err = m.bandwidth(); err != nil {
		return nil, fmt.Errorf("%.100q: %w", "m="+m[0].value, err)
	}
	return v, nil
}

// feedback returns what is listed for all formats, or for each that can be had.
func (b block) feedback(codecs []codec.Params) parley.VideoFeedback {
	const wildcard = 128
	var listed [wildcard + 1]parley.VideoFeedback
	for _, l := range b {
		name, value, _ := strings.Cut(l.value, ":")
		fields := strings.Fields(value)
		if l.kind != 'a' || name != "rtcp-fb" || len(fields) < 2 {
			continue
		}
		format := wildcard
		if fields[0] != "*" {
			n, err := strconv.ParseUint(fields[0], 10, 7)
			if err != nil {
				continue
			}
			format = int(n)
		}
		switch strings.ToLower(strings.Join(fields[1:], " ")) {
		case "nack":
			listed[format].NACK = true
		case "nack pli":
			listed[format].PLI = true
		case "ccm fir":
			listed[format].FIR = true
		}
	}
	common := parley.VideoFeedback{NACK: true, PLI: true, FIR: true}
	known := false
	for _, p := range codecs {
		if isVideo(p) {
			known = true
			common = common.And(or(listed[p.PayloadType], listed[wildcard]))
		}
	}
	if !known {
		return listed[wildcard]
	}
	return common
}

func or(f, g parley.VideoFeedback) parley.VideoFeedback {
	return parley.VideoFeedback{NACK: f.NACK || g.NACK, PLI: f.PLI || g.PLI, FIR: f.FIR || g.FIR}
}

// isVideo reports whether p is a codec of pictures that a call can have.
func isVideo(p codec.Params) bool {
	_, err := stream.VideoFormat(p.Name)
	return err == nil
}

// maxBandwidth bounds what is believed: 1 Tbit/s.
const maxBandwidth = 1_000_000_000_000

// bandwidth returns what the section states, with headers or without.
func (b block) bandwidth() (bits int64, err error) {
	for _, l := range b {
		kind, value, _ := strings.Cut(l.value, ":")
		if l.kind != 'b' || kind != "AS" && kind != "TIAS" {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil || n < 0 || n > maxBandwidth {
			return 0, fmt.Errorf("bandwidth %.100q", l.value)
		}
		if kind == "TIAS" {
			return n, nil
		}
		bits = min(n*1000, maxBandwidth)
	}
	return bits, nil
}

// staticVideo returns the video payload format that RFC 3551, table 5, assigns
// to a payload type.
func staticVideo(payloadType uint8) codec.Params {
	names := map[uint8]string{25: "CelB", 26: "JPEG", 28: "nv", 31: "H261", 32: "MPV", 33: "MP2T", 34: "H263"}
	if name, ok := names[payloadType]; ok {
		return codec.Params{Name: name, PayloadType: payloadType, ClockRate: 90000, Channels: 1}
	}
	return codec.Params{}
}

func (v *VideoDescription) check() error {
	switch {
	case !v.Addr.IsValid() || len(v.Codecs) == 0:
		return fmt.Errorf("video without address or codec")
	case v.Bandwidth < 0 || v.Bandwidth > maxBandwidth:
		return fmt.Errorf("bandwidth %d of video", v.Bandwidth)
	}
	for _, c := range v.Crypto {
		if err := c.check(); err != nil {
			return fmt.Errorf("video: %w", err)
		}
	}
	return nil
}

// appendTo appends the section. The session has the connection address of host.
func (v *VideoDescription) appendTo(b []byte, host netip.Addr) []byte {
	t := v.transport()
	b = t.appendMedia(b, "video")
	if a := plain(v.Addr.Addr()); a != host {
		b = fmt.Appendf(b, "c=%s\r\n", network(a))
	}
	if v.Bandwidth != 0 {
		b = fmt.Appendf(b, "b=AS:%d\r\nb=TIAS:%d\r\n", (v.Bandwidth+999)/1000, v.Bandwidth)
	}
	b = t.appendFormats(b)
	for _, f := range []struct {
		listed bool
		name   string
	}{{v.Feedback.NACK, "nack"}, {v.Feedback.PLI, "nack pli"}, {v.Feedback.FIR, "ccm fir"}} {
		if f.listed {
			b = fmt.Appendf(b, "a=rtcp-fb:* %s\r\n", f.name)
		}
	}
	return t.appendTransport(b)
}
