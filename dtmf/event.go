package dtmf

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrEvent is wrapped by the error for a payload that holds no whole event.
var ErrEvent = errors.New("dtmf: malformed telephone event")

// EventSize is the length of an event in bytes.
const EventSize = 4

// An Event is what a packet says of an event (RFC 4733, section 2.3).
type Event struct {
	Code     uint8  // see [DigitOf]
	End      bool   // the event is over
	Volume   uint8  // of the tone, in dBm0 without the minus sign: 0 to 63
	Duration uint16 // so far, in timestamp units
}

// AppendTo appends the four bytes of e to dst. A volume above 63 is sent as 63.
func (e Event) AppendTo(dst []byte) []byte {
	b := min(e.Volume, 63)
	if e.End {
		b |= 0x80
	}
	return append(dst, e.Code, b, byte(e.Duration>>8), byte(e.Duration))
}

// ParseEvent returns the first event of a payload, and what follows it. A packet
// may hold several events, each of which begins when the one before it ends
// (RFC 4733, section 2.5.1.5). The reserved bit is ignored. The error wraps
// [ErrEvent].
func ParseEvent(payload []byte) (e Event, rest []byte, err error) {
	if len(payload) < EventSize {
		return Event{}, nil, fmt.Errorf("%w: %d bytes, want %d", ErrEvent, len(payload), EventSize)
	}
	return Event{
		Code:     payload[0],
		End:      payload[1]&0x80 != 0,
		Volume:   payload[1] & 0x3f,
		Duration: binary.BigEndian.Uint16(payload[2:]),
	}, payload[EventSize:], nil
}
