package stream

import (
	"time"

	"github.com/parley-media/parley/codec"
)

// Reconfigure goes over to another codec, ptime or other settings, as after a
// new offer in SIP. On an error, which is that of [NewAudioSender], nothing has
// changed.
//
// SSRC, Sequence and Timestamp of c are not used: the sequence goes on, and the
// timestamp goes on from its value in units of the new clock rate (RFC 7160,
// section 4). The marker is set. Queued PCM is kept if the new codec takes the
// same format, and queued coded frames if the codec is the same, with room for
// them in a smaller queue; otherwise both are dropped, and counted as such.
// Digits that have not been sent to their end are kept if the clock rates of
// codec and events stay, and dropped otherwise.
func (s *AudioSender) Reconfigure(now time.Time, c SenderConfig) error {
	c.SSRC = s.config.SSRC
	n, err := newSetup(c, &s.setup)
	if err != nil {
		return err
	}
	if !s.running || s.config.Immediate {
		s.clock.skip(now)
	}
	mixed := s.queue.length > 0 && (!n.config.Codec.Same(s.config.Codec) || n.config.MaxPayload < s.config.MaxPayload)
	if n.format != s.format || mixed {
		s.drop(0)
	}
	if n.format != s.format {
		s.played.Sent = s.Played().Sent
		s.played.Muted = s.Played().Muted
		s.tally = tally{}
	}
	digits := s.digits
	s.setup = n
	s.clock.rate = n.config.Codec.ClockRate
	s.clock.rounding = 0
	if n.digits != digits {
		s.event.begin(&s.setup, now, s.clock.at(now))
	}
	if n.noise == nil {
		s.pause = pause{}
	}
	s.rest, s.history.count, s.marker, s.relay.on = nil, 0, true, false
	s.resize()
	if s.loss >= 0 {
		s.SetLoss(s.loss)
	}
	return nil
}

// SetSSRC goes over to another source, as after a collision (RFC 3550, section
// 8.2). The numbers should be random. What is queued stays, and a digit under
// way goes on with the new numbers.
func (s *AudioSender) SetSSRC(now time.Time, ssrc uint32, sequence uint16, timestamp uint32) {
	if !s.running {
		s.clock.skip(now)
	}
	shift := timestamp - s.clock.timestamp
	for i := range s.queue.count {
		s.queue.piece(i).stamp += shift
	}
	s.event.shift += shift
	s.restAt += shift
	s.clock.timestamp = timestamp
	s.config.SSRC, s.seq = ssrc, sequence
	s.history.count, s.copies.count = 0, 0
	s.marker, s.relay.on = true, false
}

// Hold begins or ends a hold. On hold nothing is sent at all, not even digits or
// what is forwarded, but time goes on: audio whose time comes is dropped and
// counted as muted, and the timestamps after the hold are those of the clock.
func (s *AudioSender) Hold(now time.Time, on bool) {
	if on == s.held {
		return
	}
	s.held = on
	s.marker, s.relay.on = true, false
	s.history.count = 0
	if on {
		s.rest, s.copies.count, s.pause.next = nil, 0, time.Time{}
		return
	}
	if s.config.Immediate {
		s.clock.skip(now)
	}
	if !s.running {
		s.beginPause(now)
		s.pause.first = false
	}
}

// Held reports whether the stream is on hold.
func (s *AudioSender) Held() bool { return s.held }

// SetLoss tells the encoder which part of the packets the far end reports lost,
// 0 to 1, if it can make use of that (Opus spends bits on redundancy by it). With each
// call it falls by a quarter at most: a report of none, which comes between losses that
// are rare or in bursts, does not mean that there are no more.
func (s *AudioSender) SetLoss(fraction float64) {
	s.loss = min(max(fraction, 0, s.loss*3/4), 1)
	if a, ok := s.encoder.(codec.LossAdapter); ok {
		a.SetLoss(s.loss)
	}
}
