package dtmf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

var (
	// ErrFull is wrapped by the error of a queue that has no room.
	ErrFull = errors.New("dtmf: queue is full")

	// ErrOptions is wrapped by the error for a value that is out of its range.
	ErrOptions = errors.New("dtmf: wrong options")
)

// Options are how digits are sent. The zero value is what any receiver takes.
type Options struct {
	Duration time.Duration // of each digit; 0: 100 ms, at most an hour
	Gap      time.Duration // after each digit; 0: 70 ms, at most a minute. Not less than the end takes to send, which is two packets
	Volume   int           // of each tone, in dBm0 without the minus sign; 0: 10, at most 63
}

// SenderConfig describes the stream that a [Sender] sends on.
type SenderConfig struct {
	ClockRate int           // timestamp units per second; 0: 8000, at most 384000
	PTime     time.Duration // between the packets of an event; 0: 20 ms, at most a second
}

// A Packet is what a [Sender] wants to be sent. The stream adds its source and
// its sequence number, which has to differ from packet to packet.
type Packet struct {
	Timestamp uint32
	Marker    bool
	Event     Event
}

// MaxQueue is the number of digits that can wait in a [Sender].
const MaxQueue = 128

const (
	maxUnits = 0xffff // duration of an event or segment
	finals   = 3      // times that the last packet of an event or segment is sent
)

// A Sender makes the packets of telephone events in real time (RFC 4733,
// section 2.5.1).
//
// All packets of an event have the media timestamp of its beginning, and the
// first one has the marker. The first packet leaves when the event has lasted
// for a ptime, more follow each ptime with the duration so far, and when the
// event is over, the last one is sent three times, a ptime apart. An event that
// lasts more than 65535 units (8.2 s at 8 kHz, 1.4 s at 48 kHz) is cut into
// segments, each with a timestamp of its own and without another marker.
//
// When the caller is late, updates that were missed are left out, never sent in
// a burst, and the durations stay true.
type Sender struct {
	config SenderConfig
	queue  []press
	phase  phase
	run    bool      // the digit that waits follows another one
	next   time.Time // when there is something to do, unless idle
	free   time.Time // when the next event may begin

	// The event under way.
	press     press
	begin     time.Time
	timestamp uint32 // of the segment
	offset    int64  // units from the begin of the event to that of the segment
	marker    bool
	last      Event // of the segment; to be sent some more times
	left      int   // how many
}

// press is a digit in the queue.
type press struct {
	code, volume  uint8
	duration, gap time.Duration
}

type phase uint8

const (
	idle     phase = iota
	waiting        // for the time when the first of the queue begins
	sounding       // and updating
	ending         // repeating the last packet of an event or segment
)

// NewSender returns a sender. The error wraps [ErrOptions].
func NewSender(c SenderConfig) (*Sender, error) {
	c.ClockRate = cmp.Or(c.ClockRate, 8000)
	c.PTime = cmp.Or(c.PTime, 20*time.Millisecond)
	if c.ClockRate < 1000 || c.ClockRate > 384000 {
		return nil, fmt.Errorf("%w: clock rate %d is outside 1000..384000", ErrOptions, c.ClockRate)
	}
	if c.PTime < time.Millisecond || c.PTime > time.Second {
		return nil, fmt.Errorf("%w: ptime %v is outside 1ms..1s", ErrOptions, c.PTime)
	}
	return &Sender{config: c}, nil
}

// Queue appends digits to what is to be sent, all or none. See [ParseDigit] for
// their characters. A nil o is the zero options. The error wraps [ErrDigit],
// [ErrOptions] or [ErrFull].
func (s *Sender) Queue(now time.Time, digits string, o *Options) error {
	if o == nil {
		o = &Options{}
	}
	p := press{
		volume:   uint8(cmp.Or(o.Volume, 10)),
		duration: cmp.Or(o.Duration, 100*time.Millisecond),
		gap:      cmp.Or(o.Gap, 70*time.Millisecond),
	}
	switch {
	case o.Volume < 0 || o.Volume > 63:
		return fmt.Errorf("%w: volume %d is outside 0..63", ErrOptions, o.Volume)
	case p.duration < time.Millisecond || p.duration > time.Hour:
		return fmt.Errorf("%w: duration %v is outside 1ms..1h", ErrOptions, p.duration)
	case p.gap < 0 || p.gap > time.Minute:
		return fmt.Errorf("%w: gap %v is outside 0..1m", ErrOptions, p.gap)
	}
	for i, c := range digits {
		if _, err := ParseDigit(c); err != nil {
			return fmt.Errorf("%w at %d", err, i)
		}
	}
	if len(digits) > MaxQueue-len(s.queue) {
		return fmt.Errorf("%w: %d digits wait, %d more do not fit", ErrFull, len(s.queue), len(digits))
	}
	for _, c := range digits {
		p.code = uint8(codes[c])
		s.queue = append(s.queue, p)
	}
	if s.phase == idle && len(s.queue) > 0 {
		s.phase, s.run, s.next = waiting, false, now
		if s.free.After(now) {
			s.next = s.free
		}
	}
	return nil
}

// Pending returns how many digits have not been sent to their end.
func (s *Sender) Pending() int {
	if s.phase == sounding || s.phase == ending {
		return len(s.queue) + 1
	}
	return len(s.queue)
}

// Clear drops the digits that have not begun, and returns how many. The one that
// is being sent goes on to its end.
func (s *Sender) Clear() int {
	n := len(s.queue)
	s.queue = s.queue[:0]
	if s.phase == waiting {
		s.phase = idle
	}
	return n
}

// Active reports whether speech has to be muted: from the begin of the first
// digit until the last packet of the last one, with the gaps between them.
func (s *Sender) Active(now time.Time) bool {
	if s.phase == waiting {
		return s.run || !now.Before(s.next)
	}
	return s.phase != idle
}

// Next returns when [Sender.Pull] has something to do, which may be in the past.
// The zero Time means that all has been sent.
func (s *Sender) Next() time.Time {
	if s.phase == idle {
		return time.Time{}
	}
	return s.next
}

// Pull returns the packet that is due at now, if any. Call it until it reports
// false. The timestamp is that of the media clock at now; it is used when an
// event begins, and so Pull also has to be called then, when there is no packet
// yet.
func (s *Sender) Pull(now time.Time, timestamp uint32) (Packet, bool) {
	if s.phase == idle || now.Before(s.next) {
		return Packet{}, false
	}
	if s.phase == waiting {
		s.start(now, timestamp)
		if now.Before(s.next) {
			return Packet{}, false
		}
	}
	if s.phase == sounding {
		s.update(now)
	}
	p := Packet{Timestamp: s.timestamp, Marker: s.marker, Event: s.last}
	s.marker = false
	s.advance(now)
	return p, true
}

// start begins the first event of the queue.
func (s *Sender) start(now time.Time, timestamp uint32) {
	s.press = s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	s.begin = s.next
	if now.Sub(s.begin) >= s.config.PTime {
		s.begin = now
	}
	s.phase = sounding
	s.timestamp = timestamp - uint32(s.units(now.Sub(s.begin)))
	s.offset, s.marker = 0, true
	s.next = s.begin.Add(s.config.PTime)
}

// update finds what is to be said of the event at now.
func (s *Sender) update(now time.Time) {
	elapsed := min(now.Sub(s.begin), s.press.duration)
	over := elapsed == s.press.duration
	if !over {
		elapsed -= elapsed % s.config.PTime
	}
	units := s.units(elapsed) - s.offset
	full := units > maxUnits || units == maxUnits && !over
	s.last = Event{
		Code:     s.press.code,
		End:      over && !full,
		Volume:   s.press.volume,
		Duration: uint16(min(units, maxUnits)),
	}
	if over || full {
		s.phase, s.left = ending, finals
	}
}

// advance sets the time of what follows the packet that is sent now.
func (s *Sender) advance(now time.Time) {
	due := s.next
	s.next = due.Add(s.config.PTime)
	if late := now.Sub(s.next); late >= 0 {
		s.next = s.next.Add((late/s.config.PTime + 1) * s.config.PTime)
	}
	if s.phase == sounding {
		if end := s.begin.Add(s.press.duration); end.Before(s.next) {
			s.next = end
		}
		return
	}
	if s.left--; s.left > 0 {
		return
	}
	if !s.last.End {
		s.phase = sounding
		s.offset += maxUnits
		s.timestamp += maxUnits
		return
	}
	s.free = s.begin.Add(s.press.duration + s.press.gap)
	if s.free.Before(due) {
		s.free = due
	}
	s.phase, s.run, s.next = idle, true, s.free
	if len(s.queue) > 0 {
		s.phase = waiting
	}
}

// units returns d on the media clock, rounded to the nearest unit.
func (s *Sender) units(d time.Duration) int64 {
	return int64(math.Round(d.Seconds() * float64(s.config.ClockRate)))
}
