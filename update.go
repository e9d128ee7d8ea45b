package parley

import (
	"slices"
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// An AudioUpdate is what a new agreement with the far end may change in a line of
// audio, as after a re-INVITE. It says all of it anew; [Audio.SetDirection] is for a hold alone.
type AudioUpdate struct {
	Send      codec.Params   // without a name: as before
	Receive   []codec.Params // nil: as before
	Event     codec.Params   // telephone events to send; without a name: none
	Noise     codec.Params   // comfort noise to send; without a name: none
	RED       codec.Params   // redundancy to send; without a name: none
	PTime     time.Duration  // 0: as before
	Direction Direction
	Off       bool // one end has turned the audio down: it is on hold, and its goodbye is not waited for

	onlyDirection bool
}

// SetDirection puts the audio on hold, or takes it from it, and leaves the rest as it
// was agreed; audio that was turned down stays off. The error is that of [Audio.Update],
// which says what a hold is. It is for a call whose far end hears of it in another way: in
// a session the next agreement undoes it, and a hold is a description with that direction.
func (a *Audio) SetDirection(d Direction) error {
	return a.call.update(a, &AudioUpdate{Direction: d, onlyDirection: true}, nil, nil)
}

// Update changes the audio of the call all at once, or not at all, in which case
// the error says why: it wraps [stream.ErrConfig], or is an [*EndError] after the
// end of the call or of the line. What waits to be sent is dropped if the new codec takes
// another format. While the direction does not let this end send, what is
// written is dropped on the media clock, and digits cannot be sent; while it
// does not let the far end send, what comes is not heard, the goodbye of what was
// heard before does not end the call, and the deadlines for media and silence stand still.
// After a goodbye within a second of an update, which may be that of a stream that the far
// end closes for it, the call goes on for ten seconds, and ends if nothing else is heard.
func (a *Audio) Update(u *AudioUpdate) error { return a.call.update(a, u, nil, nil) }

func (a *Audio) updateLocked(now time.Time, u *AudioUpdate) error {
	direction, off := u.Direction, u.Off || u.onlyDirection && a.off
	if off {
		direction = Inactive
	}
	sending := a.sending
	if u.Send.Name != "" {
		sending.Codec = u.Send
	}
	if !u.onlyDirection {
		sending.Event, sending.Noise, sending.RED = u.Event, u.Noise, u.RED
	}
	if u.PTime != 0 {
		sending.PTime = u.PTime
	}
	before := a.codecs
	if u.Receive != nil {
		if err := a.receiver.SetCodecs(u.Receive); err != nil {
			return err
		}
		a.codecs = slices.Clone(u.Receive)
	}
	dialling := a.sender.PendingDigits() > 0
	sending, err := a.reconfigure(now, sending)
	if err != nil {
		a.receiver.SetCodecs(before) //nolint:errcheck // they were right before
		a.codecs = before
		return err
	}
	if sending.Codec.ClockRate != a.sending.Codec.ClockRate {
		a.rtcp.SetClockRate(now, sending.Codec.ClockRate, a.sender.Timestamp(now))
	}
	a.sending = sending
	a.retapLocked()
	a.announceLocked()
	a.sender.Hold(now, !direction.Sends())
	switch {
	case !dialling:
	case !direction.Sends():
		a.sender.ClearDigits()
		a.cut.held++
	case a.sender.PendingDigits() == 0:
		a.cut.codec++
	}
	if direction.Receives() && !a.direction.Receives() {
		a.expected = now
		a.resume()
	}
	a.renewLocked(now, direction, off)
	a.rtcp.ResetBreaker(now)
	return nil
}

// reconfigure makes the sender follow c, or as much of it as this build can.
func (a *Audio) reconfigure(now time.Time, c stream.SenderConfig) (stream.SenderConfig, error) {
	c = fit(c)
	return c, a.sender.Reconfigure(now, c)
}

// fit leaves out of c what its codec and this build cannot do: without an
// encoder packets are forwarded only, and comfort noise and redundancy have to
// go with the codec.
func fit(c stream.SenderConfig) stream.SenderConfig {
	impl, err := codec.Lookup(c.Codec)
	c.Coded = err != nil || impl.NewEncoder == nil
	if c.Noise.ClockRate != c.Codec.ClockRate || c.Coded {
		c.Noise = codec.Params{}
	}
	if c.RED.ClockRate != c.Codec.ClockRate {
		c.RED = codec.Params{}
	}
	return c
}
