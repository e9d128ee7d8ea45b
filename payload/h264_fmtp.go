package payload

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrH264FMTP is returned, wrapped with what was wrong, for format parameters
// that RFC 6184 does not allow.
var ErrH264FMTP = errors.New("payload: H.264 format parameters")

// An H264FMTP has the format parameters of H.264 in SDP (RFC 6184, section 8.1)
// that Parley uses.
type H264FMTP struct {
	// Profile, Constraints and Level are the three bytes of profile-level-id,
	// as in [H264Sequence]. All are 0 if it is not stated, which means Baseline
	// at level 1.
	Profile, Constraints, Level uint8

	// PacketizationMode is 0, 1 or 2. Parley does not have 2, interleaved mode.
	PacketizationMode int

	// LevelAsymmetryAllowed is that each way may have a level of its own.
	LevelAsymmetryAllowed bool

	// ParameterSets are the NAL units of sprop-parameter-sets, those of the
	// sequence and of the picture.
	ParameterSets [][]byte
}

// ParseH264FMTP reads the parameters of an fmtp attribute,
// "packetization-mode=1;profile-level-id=42e01f". Unknown ones are passed over.
func ParseH264FMTP(s string) (H264FMTP, error) {
	var f H264FMTP
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		var err error
		switch name {
		case "profile-level-id":
			var id []byte
			if id, err = hex.DecodeString(value); err == nil && len(id) != 3 {
				err = errors.New("not 6 digits")
			}
			if err == nil {
				f.Profile, f.Constraints, f.Level = id[0], id[1], id[2]
			}
		case "packetization-mode":
			f.PacketizationMode, err = strconv.Atoi(value)
			if err == nil && (f.PacketizationMode < 0 || f.PacketizationMode > 2) {
				err = errors.New("not 0 to 2")
			}
		case "level-asymmetry-allowed":
			f.LevelAsymmetryAllowed, err = strconv.ParseBool(value)
		case "sprop-parameter-sets":
			f.ParameterSets, err = parseParameterSets(value)
		}
		if err != nil {
			return H264FMTP{}, fmt.Errorf("%w: %s=%s: %v", ErrH264FMTP, name, value, err)
		}
	}
	return f, nil
}

func parseParameterSets(value string) ([][]byte, error) {
	var sets [][]byte
	for text := range strings.SplitSeq(value, ",") {
		// Some cameras leave the padding out.
		unit, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
		if err != nil {
			return nil, err
		}
		if len(unit) > 0 {
			sets = append(sets, unit)
		}
	}
	return sets, nil
}

// String returns the parameters as in an fmtp attribute.
func (f H264FMTP) String() string {
	parts := make([]string, 0, 4)
	if f.LevelAsymmetryAllowed {
		parts = append(parts, "level-asymmetry-allowed=1")
	}
	if f.PacketizationMode != 0 {
		parts = append(parts, "packetization-mode="+strconv.Itoa(f.PacketizationMode))
	}
	if id := [3]byte{f.Profile, f.Constraints, f.Level}; id != [3]byte{} {
		parts = append(parts, "profile-level-id="+hex.EncodeToString(id[:]))
	}
	if len(f.ParameterSets) > 0 {
		sets := make([]string, len(f.ParameterSets))
		for i, unit := range f.ParameterSets {
			sets[i] = base64.StdEncoding.EncodeToString(unit)
		}
		parts = append(parts, "sprop-parameter-sets="+strings.Join(sets, ","))
	}
	return strings.Join(parts, ";")
}
