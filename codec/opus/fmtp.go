package opus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/parley-media/parley/codec"
)

// FMTP are the format parameters of Opus in SDP (RFC 7587, section 6.1): what
// the end that states them wants to receive, and with the sprop ones what it is
// likely to send. A zero field is a parameter that is not stated.
type FMTP struct {
	MaxPlaybackRate   int // Hz, 8000 to 48000
	SpropMaxRate      int // Hz, 8000 to 48000 (sprop-maxcapturerate)
	MinPTime          int // ms, 3 to 120
	MaxPTime          int // ms, 3 to 120
	MaxAverageBitrate int // bits per second, 6000 to 510000
	Stereo            bool
	SpropStereo       bool
	CBR               bool
	UseInbandFEC      bool
	UseDTX            bool
}

// ParseFMTP reads the parameters of an fmtp attribute, "minptime=10;stereo=1".
// Unknown ones are passed over, as RFC 7587 wants, and so are values that are out
// of range or cannot be read: one wrong hint is no reason to have no Opus.
func ParseFMTP(s string) FMTP {
	var f FMTP
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch name {
		case "maxplaybackrate":
			f.MaxPlaybackRate = number(value, 8000, 48000)
		case "sprop-maxcapturerate":
			f.SpropMaxRate = number(value, 8000, 48000)
		case "minptime":
			f.MinPTime = number(value, 3, 120)
		case "maxptime":
			f.MaxPTime = number(value, 3, 120)
		case "maxaveragebitrate":
			f.MaxAverageBitrate = number(value, 6000, 510000)
		case "stereo":
			f.Stereo = value == "1"
		case "sprop-stereo":
			f.SpropStereo = value == "1"
		case "cbr":
			f.CBR = value == "1"
		case "useinbandfec":
			f.UseInbandFEC = value == "1"
		case "usedtx":
			f.UseDTX = value == "1"
		}
	}
	return f
}

// Sent returns p, by which a far end has described itself, as what it sends is to be
// decoded: in two channels also if it says only that it sends these (sprop-stereo), and
// not that it wants them. Other codecs are returned as they are.
func Sent(p codec.Params) codec.Params {
	if f := ParseFMTP(p.FMTP); strings.EqualFold(p.Name, "opus") && f.SpropStereo && !f.Stereo {
		f.Stereo = true
		p.FMTP = f.String()
	}
	return p
}

// number returns a value from low to high, or 0.
func number(value string, low, high int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0
	}
	return n
}

// String returns the parameters that are stated as in an fmtp attribute.
func (f FMTP) String() string {
	var b strings.Builder
	add := func(name string, value int) {
		if value == 0 {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, "%s=%d", name, value)
	}
	bit := func(set bool) int {
		if set {
			return 1
		}
		return 0
	}
	add("maxplaybackrate", f.MaxPlaybackRate)
	add("sprop-maxcapturerate", f.SpropMaxRate)
	add("minptime", f.MinPTime)
	add("maxptime", f.MaxPTime)
	add("maxaveragebitrate", f.MaxAverageBitrate)
	add("stereo", bit(f.Stereo))
	add("sprop-stereo", bit(f.SpropStereo))
	add("cbr", bit(f.CBR))
	add("useinbandfec", bit(f.UseInbandFEC))
	add("usedtx", bit(f.UseDTX))
	return b.String()
}
