// Package transport has what lies between packets and the network: pairs of UDP
// sockets for RTP and RTCP and the ports for them, telling apart what shares a
// port, deciding who is heard there and where media goes, answers to STUN, and
// captures of it all for packet analysers.
package transport

import "fmt"

// A Kind is what a datagram on a media port is.
type Kind uint8

const (
	Unknown Kind = iota
	RTP
	RTCP
	STUN
	ZRTP
	DTLS
	TURN // channel data
)

var kinds = [...]string{"unknown", "RTP", "RTCP", "STUN", "ZRTP", "DTLS", "TURN"}

// String returns the name of the protocol.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Classify tells what a datagram is from its first two bytes, by RFC 7983,
// section 7, and for RTCP by RFC 5761, section 4: of what has version 2, the
// packet types 192 to 223 are RTCP. It looks no further, so the datagram may
// still be malformed.
func Classify(b []byte) Kind {
	if len(b) < 2 {
		return Unknown
	}
	switch first := b[0]; {
	case first <= 3:
		return STUN
	case first >= 16 && first <= 19:
		return ZRTP
	case first >= 20 && first <= 63:
		return DTLS
	case first >= 64 && first <= 79:
		return TURN
	case first >= 128 && first <= 191:
		if b[1] >= 192 && b[1] <= 223 {
			return RTCP
		}
		return RTP
	}
	return Unknown
}
