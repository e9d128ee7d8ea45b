package opus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrFMTP is returned, wrapped with what was wrong, for format parameters that
// RFC 7587 does not allow.
var ErrFMTP = errors.New("opus: format parameters")

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
// Unknown ones are passed over, as RFC 7587 wants.
func ParseFMTP(s string) (FMTP, error) {
	var f FMTP
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		var err error
		switch name {
		case "maxplaybackrate":
			f.MaxPlaybackRate, err = number(name, value, 8000, 48000)
		case "sprop-maxcapturerate":
			f.SpropMaxRate, err = number(name, value, 8000, 48000)
		case "minptime":
			f.MinPTime, err = number(name, value, 3, 120)
		case "maxptime":
			f.MaxPTime, err = number(name, value, 3, 120)
		case "maxaveragebitrate":
			f.MaxAverageBitrate, err = number(name, value, 6000, 510000)
		case "stereo":
			f.Stereo, err = flag(name, value)
		case "sprop-stereo":
			f.SpropStereo, err = flag(name, value)
		case "cbr":
			f.CBR, err = flag(name, value)
		case "useinbandfec":
			f.UseInbandFEC, err = flag(name, value)
		case "usedtx":
			f.UseDTX, err = flag(name, value)
		}
		if err != nil {
			return FMTP{}, err
		}
	}
	return f, nil
}

func number(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%w: %s=%s is not in %d..%d", ErrFMTP, name, value, low, high)
	}
	return n, nil
}

func flag(name, value string) (bool, error) {
	if value != "0" && value != "1" {
		return false, fmt.Errorf("%w: %s=%s is neither 0 nor 1", ErrFMTP, name, value)
	}
	return value == "1", nil
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
