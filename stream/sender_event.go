package stream

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/parley-media/parley/dtmf"
)

var (
	// ErrNoEvents is returned for digits if the stream has no telephone events, and
	// wrapped for a digit that is not among those that the far end takes.
	ErrNoEvents = errors.New("stream: no telephone events in this stream")

	// ErrHeld is returned for digits on hold.
	ErrHeld = errors.New("stream: sending is on hold")
)

// An eventClock has the timestamps of telephone events. They are those of the
// audio, unless events have a clock rate of their own, against RFC 4733, section
// 2.1: then they tell the same time from the same random beginning.
type eventClock struct {
	rate  int       // 0: that of the audio
	epoch time.Time // when the own clock began
	shift uint32    // between what the sender of the digits knows and what is sent
}

func (e *eventClock) begin(n *setup, now time.Time, timestamp uint32) {
	*e = eventClock{}
	if n.config.Event.ClockRate != n.config.Codec.ClockRate {
		*e = eventClock{rate: n.config.Event.ClockRate, epoch: now, shift: timestamp}
	}
}

// at returns the timestamp that the sender of the digits is to know.
func (e *eventClock) at(now time.Time, c *mediaClock) uint32 {
	if e.rate == 0 {
		return c.at(now) - e.shift
	}
	return uint32(timeToUnits(max(0, now.Sub(e.epoch)), e.rate))
}

// QueueDigits queues digits, which are sent as telephone events in real time,
// without blocking; see [dtmf.Sender.Queue] for their characters, their limits
// and the errors. The first one begins where the frame under way ends. Audio is
// muted until the last one has been sent, with the gaps between them, and goes on
// with the marker. The error wraps [ErrNoEvents] if the stream has no events, or
// the format parameters of Event do not name one of these; it is [ErrHeld] on hold.
func (s *AudioSender) QueueDigits(now time.Time, digits string, o *dtmf.Options) error {
	switch {
	case s.digits == nil:
		return ErrNoEvents
	case s.held:
		return ErrHeld
	}
	for _, c := range digits {
		d, _ := dtmf.ParseDigit(c) // what is none is told by Queue
		if code, ok := d.Code(); ok && s.events>>code&1 == 0 {
			return fmt.Errorf("%w for %q: it is number %d, the far end takes %s", ErrNoEvents, c, code, cmp.Or(s.config.Event.FMTP, "0-15"))
		}
	}
	begin := now
	switch {
	case s.clock.next.IsZero():
		s.clock.next = now
		s.event.begin(&s.setup, now, s.clock.timestamp)
	case s.config.Immediate:
		if s.digits.Pending() == 0 {
			s.clock.next = now
		}
	case s.running && s.clock.next.After(now):
		begin = s.clock.next
	}
	return s.digits.Queue(begin, digits, o)
}

// eventSet returns the events of format parameters, "0-11,16", of which those of
// digits are bits. If they are not stated, or cannot be read, they are those that
// have tones (RFC 4733, section 2.4.1).
func eventSet(fmtp string) uint32 {
	var set uint32
	stated := false
	for part := range strings.SplitSeq(fmtp, ",") {
		first, last, several := strings.Cut(part, "-")
		if !several {
			last = first
		}
		from, err := strconv.ParseUint(strings.TrimSpace(first), 10, 8)
		to, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 8)
		if err != nil || err2 != nil {
			continue
		}
		stated = true
		for ; from <= min(to, 31); from++ {
			set |= 1 << from
		}
	}
	if !stated {
		return 1<<16 - 1
	}
	return set
}

// PendingDigits returns how many digits have not been sent to their end.
func (s *AudioSender) PendingDigits() int {
	if s.digits == nil {
		return 0
	}
	return s.digits.Pending()
}

// ClearDigits drops the digits that have not begun, and returns how many. The
// one under way goes on to its end.
func (s *AudioSender) ClearDigits() int {
	if s.digits == nil {
		return 0
	}
	return s.digits.Clear()
}

// appendEvent appends the event packet that is due at now, if any.
func (s *AudioSender) appendEvent(dst []byte, now time.Time) ([]byte, bool) {
	if s.digits == nil {
		return dst, false
	}
	for {
		p, ok := s.digits.Pull(now, s.event.at(now, &s.clock))
		if !ok {
			return dst, false
		}
		s.marker, s.pause.first = true, false
		if s.config.Immediate && s.digits.Pending() == 0 {
			s.clock.skip(now)
		}
		if s.held {
			continue
		}
		begin := len(dst)
		dst = s.appendHeader(dst, s.config.Event.PayloadType, p.Timestamp+s.event.shift, p.Marker)
		header := len(dst)
		dst = p.Event.AppendTo(dst)
		s.stats.Events++
		return s.count(dst, begin, header, now.Add(min(s.config.PTime, 20*time.Millisecond))), true
	}
}
