package stream

import "time"

// noiseRefresh is how often comfort noise is sent again in a pause, since a
// packet of it may be lost.
const noiseRefresh = 2 * time.Second

// pause is what comfort noise has to know of pauses.
type pause struct {
	heard bool      // there was audio before
	first bool      // the packet of the begin of the pause has not been sent
	next  time.Time // when comfort noise is due; zero: not
}

// hear lets the noise estimator hear what is sent.
func (s *AudioSender) hear(pcm []int16) {
	if s.noise != nil {
		s.noise.Write(pcm)
		s.pause.heard = true
	}
}

// beginPause makes comfort noise due. Before any audio, nothing is known of it.
func (s *AudioSender) beginPause(now time.Time) {
	if s.noise != nil && s.pause.heard && !s.held {
		s.pause.first, s.pause.next = true, now
	}
}

// appendNoise appends the comfort noise that is due at now, if any (RFC 3389,
// section 4). The first one has the timestamp at which the audio ended.
func (s *AudioSender) appendNoise(dst []byte, now time.Time) ([]byte, bool) {
	if s.pause.next.IsZero() || now.Before(s.pause.next) || s.PendingDigits() > 0 {
		return dst, false
	}
	timestamp := s.clock.at(now)
	if s.pause.first {
		timestamp = s.clock.timestamp
	}
	s.pause.first = false
	s.pause.next = s.pause.next.Add(noiseRefresh)
	if !s.pause.next.After(now) {
		s.pause.next = now.Add(noiseRefresh)
	}
	begin := len(dst)
	dst = s.appendHeader(dst, s.config.Noise.PayloadType, timestamp, false)
	header := len(dst)
	dst = s.noise.AppendPayload(dst)
	s.stats.Noise++
	return s.count(dst, begin, header, now.Add(s.config.PTime)), true
}
