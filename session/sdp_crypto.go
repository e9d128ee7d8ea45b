package session

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-media/parley/transport"
)

// Crypto is the key of one direction of a call as a crypto attribute states it
// (SDES, RFC 4568): that of the packets which the end that states it will send.
// Whoever reads the description can decrypt them, so it has to be carried over
// an encrypted channel such as SIP over TLS.
type Crypto struct {
	Tag int // 1 to 999999999, by which an answer names the one that it takes
	Key transport.SRTPKey
}

// NewCrypto returns random keys to offer or to answer with, one for each of the
// profiles, the preferred one first; without arguments, for all of
// [transport.SRTPProfiles]. The error wraps [transport.ErrSRTPKey].
func NewCrypto(profiles ...transport.SRTPProfile) ([]Crypto, error) {
	if len(profiles) == 0 {
		profiles = transport.SRTPProfiles[:]
	}
	var all []Crypto
	for i, p := range profiles {
		key, err := transport.NewSRTPKey(p)
		if err != nil {
			return nil, err
		}
		all = append(all, Crypto{Tag: i + 1, Key: key})
	}
	return all, nil
}

// maxTag is the largest tag of nine digits (RFC 4568, section 9.1).
const maxTag = 999_999_999

// parseCrypto reads the value of a crypto attribute. The error, which does not
// show the key, is for one that cannot be used: with another suite, with session
// parameters that have to be followed, or with more than one key. The lifetime of a key
// is read and not kept.
func parseCrypto(value string) (Crypto, error) {
	fields := strings.Fields(value)
	if len(fields) < 3 {
		return Crypto{}, errors.New("crypto attribute without tag, suite or key")
	}
	tag, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || tag < 1 || tag > maxTag {
		return Crypto{}, fmt.Errorf("tag %.20q of a crypto attribute", fields[0])
	}
	c := Crypto{Tag: int(tag), Key: transport.SRTPKey{Profile: transport.SRTPProfile(fields[1])}}
	if slices.ContainsFunc(fields[3:], isMandatory) {
		return Crypto{}, fmt.Errorf("crypto %d: session parameters", tag)
	}
	const inline = "inline:"
	if len(fields[2]) < len(inline) || !strings.EqualFold(fields[2][:len(inline)], inline) {
		return Crypto{}, fmt.Errorf("crypto %d: key not inline", tag)
	}
	text, rest, more := strings.Cut(fields[2][len(inline):], "|")
	if life, mki, both := strings.Cut(rest, "|"); more && isLifetime(life) {
		rest, more = mki, both
	}
	if more {
		if c.Key.MKI, err = parseMKI(rest); err != nil {
			return Crypto{}, fmt.Errorf("crypto %d: %w", tag, err)
		}
	}
	c.Key.Master, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return Crypto{}, fmt.Errorf("crypto %d: key not in base64", tag)
	}
	if err := c.Key.Check(); err != nil {
		return Crypto{}, fmt.Errorf("crypto %d: %w", tag, err)
	}
	return c, nil
}

// isMandatory reports whether a session parameter has to be followed: not so the size
// of a window that the far end recommends, and one with a dash (RFC 4568, sections
// 6.3.6 and 6.3.7).
func isMandatory(parameter string) bool {
	name, _, _ := strings.Cut(parameter, "=")
	return !strings.EqualFold(name, "WSH") && !strings.HasPrefix(name, "-")
}

// isLifetime reports whether s is a number of packets, in decimal or as a power
// of two.
func isLifetime(s string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "2^"), 10, 64)
	return err == nil && n > 0
}

// parseMKI reads a master key identifier: its value, and how many bytes of each packet
// have it (RFC 4568, section 6.1).
func parseMKI(s string) ([]byte, error) {
	value, length, _ := strings.Cut(s, ":")
	v, err := strconv.ParseUint(value, 10, 64)
	n, err2 := strconv.ParseUint(length, 10, 8)
	if errors.Join(err, err2) != nil || n < 1 || n > 8 || v>>(8*n) != 0 {
		return nil, fmt.Errorf("MKI %.40q, want one of 1 to 8 bytes", s)
	}
	return binary.BigEndian.AppendUint64(nil, v)[8-n:], nil
}

// attribute returns the value of the crypto attribute. It is no String method,
// so that keys are not logged.
func (c Crypto) attribute() string {
	text := fmt.Sprintf("%d %s inline:%s", c.Tag, string(c.Key.Profile), base64.StdEncoding.EncodeToString(c.Key.Master))
	if n := len(c.Key.MKI); n > 0 {
		var value [8]byte
		copy(value[max(0, 8-n):], c.Key.MKI)
		text += fmt.Sprintf("|%d:%d", binary.BigEndian.Uint64(value[:]), n)
	}
	return text
}

func (c Crypto) check() error {
	if c.Tag < 1 || c.Tag > maxTag {
		return fmt.Errorf("crypto tag %d", c.Tag)
	}
	return c.Key.Check()
}

// answerCrypto returns our key for the first offered suite that we have one for, or a
// new one if we have none and may have one.
func answerCrypto(offered, local []Crypto, may bool) (_ []Crypto, err error) {
	if len(offered) == 0 && len(local) == 0 {
		return nil, nil
	}
	if len(local) == 0 && may {
		if local, err = NewCrypto(offered[0].Key.Profile); err != nil {
			return nil, err
		}
	}
	if len(offered) == 0 {
		return nil, errors.New("offer without encryption, and this end wants it")
	}
	if len(local) == 0 {
		return nil, errors.New("offer of encryption, and this end has no key for it")
	}
	for _, o := range offered {
		for _, l := range local {
			if o.Key.Profile == l.Key.Profile {
				return []Crypto{{Tag: o.Tag, Key: l.Key}}, nil
			}
		}
	}
	return nil, fmt.Errorf("no common crypto suite: theirs %v, ours %v", offered, local)
}

// keys returns the keys of both directions, given by the one line of the answer
// and the line of the offer with its tag (RFC 4568, sections 5.1.2 and 5.1.3).
func keys(ours, theirs, answer []Crypto) (local, remote transport.SRTPKey, err error) {
	switch {
	case len(ours) == 0 && len(theirs) == 0:
		return local, remote, nil
	case len(ours) == 0:
		return local, remote, errors.New("answer with encryption to an offer without")
	case len(theirs) == 0:
		return local, remote, errors.New("answer without encryption to an offer with it")
	case len(answer) != 1:
		return local, remote, fmt.Errorf("%d crypto attributes in an answer, want one", len(answer))
	}
	for _, c := range ours {
		if c.Tag == answer[0].Tag && c.Key.Profile == answer[0].Key.Profile {
			local = c.Key
		}
	}
	for _, c := range theirs {
		if c.Tag == answer[0].Tag && c.Key.Profile == answer[0].Key.Profile {
			remote = c.Key
		}
	}
	if err := errors.Join(local.Check(), remote.Check()); err != nil {
		return transport.SRTPKey{}, transport.SRTPKey{}, err
	}
	if bytes.Equal(local.Master, remote.Master) {
		return transport.SRTPKey{}, transport.SRTPKey{}, errors.New("both ends have the same key") // RFC 4568, section 6.1
	}
	return local, remote, nil
}
