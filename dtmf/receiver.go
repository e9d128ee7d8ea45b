package dtmf

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// ReceiverConfig describes the packets that a [Receiver] gets.
type ReceiverConfig struct {
	ClockRate int           // timestamp units per second; 0: 8000
	Timeout   time.Duration // from the last packet of an event to its end, if that is lost; 0: 200 ms
}

// A Report says that a key was pressed or, if End is set, released.
type Report struct {
	Digit     Digit
	End       bool
	Timestamp uint32        // of the media clock when the key was pressed, as far as is known
	Duration  time.Duration // of the event, so far or in all
	Time      time.Time     // when the packet arrived that tells it, or its end timed out
}

// A Receiver turns the packets of telephone events into reports: for each event
// of which any packet arrives, one when it begins and one when it ends (RFC 4733,
// section 2.5.2).
//
// An event is known by its digit and its timestamp alone. Any packet can be its
// first, whatever its marker, duration or sequence number; the rest may be lost,
// doubled or out of order. An event of which no end arrives is ended by the next
// one or a timeout, with the duration that was reported last. The segments of a
// long event are one event. One that is heard of only when a later one has begun
// is reported at once, in the midst of that.
//
// Far ends that break the rules are understood as far as possible: those that
// give the same sequence number to several packets, the same timestamp to
// several events, or a new timestamp to each packet of an event.
type Receiver struct {
	config ReceiverConfig

	active  bool     // past[0] has not ended
	pressed int64    // keys
	past    []heard  // the latest first, at most maxPast
	reports []Report // that wait to be pulled, at most maxReports
}

// heard is an event of which a packet arrived.
type heard struct {
	digit     Digit
	timestamp uint32 // of the first segment that was heard
	units     int64  // duration
	segment   int64  // the latest one that was heard, or expected next
	over      bool   // its end was heard
	seq       uint16 // of the packet that ended it, or of the last one
	at        time.Time
}

const (
	maxPast    = 16
	maxReports = 32

	// perEvent is how many reports one event of a packet can make: the end of
	// the one before, its begin and its end.
	perEvent = 3

	// forget is how long after its last packet copies of an event's packets are
	// known for what they are.
	forget = 5 * time.Second
)

// NewReceiver returns a receiver. The error wraps [ErrOptions].
func NewReceiver(c ReceiverConfig) (*Receiver, error) {
	c.ClockRate = cmp.Or(c.ClockRate, 8000)
	c.Timeout = cmp.Or(c.Timeout, 200*time.Millisecond)
	if c.ClockRate < 1000 || c.ClockRate > 384000 {
		return nil, fmt.Errorf("%w: clock rate %d is outside 1000..384000", ErrOptions, c.ClockRate)
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("%w: timeout %v", ErrOptions, c.Timeout)
	}
	return &Receiver{config: c}, nil
}

// Push takes the payload of a packet with one or more events; it does not keep
// it. Events that are no digits are ignored. The error wraps [ErrEvent], or
// [ErrFull] if too many reports wait to be pulled; events before the one that it
// is for were taken.
func (r *Receiver) Push(arrival time.Time, seq uint16, timestamp uint32, payload []byte) error {
	r.expire(arrival)
	for {
		e, rest, err := ParseEvent(payload)
		if err != nil {
			return err
		}
		if d, ok := DigitOf(e.Code); ok {
			if maxReports-len(r.reports) < perEvent {
				return fmt.Errorf("%w: %d reports wait", ErrFull, len(r.reports))
			}
			// An event with another one behind it is over (section 2.5.1.5).
			r.hear(arrival, seq, timestamp, d, int64(e.Duration), e.End || len(rest) > 0)
		}
		if len(rest) == 0 {
			return nil
		}
		timestamp += uint32(e.Duration)
		payload = rest
	}
}

func (r *Receiver) hear(arrival time.Time, seq uint16, timestamp uint32, d Digit, units int64, over bool) {
	for i := range r.past {
		h := &r.past[i]
		segment, ok := h.matches(d, timestamp)
		if !ok || arrival.Sub(h.at) > forget {
			continue
		}
		if i > 0 || !r.active {
			if h.over && !over && segment == 0 && int16(seq-h.seq) > 0 {
				break // pressed again, by a far end whose clock stands still
			}
			h.segment = max(h.segment, segment)
			h.at = arrival
			return
		}
		h.at = arrival
		h.segment = max(h.segment, segment)
		h.units = max(h.units, segment*maxUnits+units)
		if over && segment == h.segment {
			h.over, h.seq = true, seq
			r.end(arrival)
		}
		return
	}
	h := heard{digit: d, timestamp: timestamp, units: units, over: over, seq: seq, at: arrival}
	if r.active {
		if now := &r.past[0]; int32(timestamp-now.timestamp) < 0 {
			// All that is left of an event before this one.
			late := h
			r.remember(1, late)
			r.report(late, false, arrival)
			r.report(late, true, arrival)
			return
		}
		r.end(arrival)
	}
	r.remember(0, h)
	r.active = true
	r.report(h, false, arrival)
	if over {
		r.end(arrival)
	}
}

// matches reports whether a packet belongs to h, and to which of its segments,
// of which -1 is the one before the first that was heard.
func (h *heard) matches(d Digit, timestamp uint32) (segment int64, ok bool) {
	if d != h.digit {
		return 0, false
	}
	if h.timestamp-timestamp == maxUnits {
		return -1, true
	}
	after := int64(timestamp - h.timestamp)
	if segment = after / maxUnits; after%maxUnits == 0 && (segment <= h.segment || segment == h.segment+1 && !h.over) {
		return segment, true
	}
	// No event begins before the one before it has ended.
	return 0, after <= h.units
}

// remember puts h at a place in the past.
func (r *Receiver) remember(i int, h heard) {
	if len(r.past) < maxPast {
		r.past = append(r.past, heard{})
	}
	copy(r.past[i+1:], r.past[i:])
	r.past[i] = h
}

func (r *Receiver) end(at time.Time) {
	r.active = false
	r.report(r.past[0], true, at)
}

func (r *Receiver) report(h heard, end bool, at time.Time) {
	if !end {
		r.pressed++
	}
	rate := int64(r.config.ClockRate)
	r.reports = append(r.reports, Report{
		Digit:     h.digit,
		End:       end,
		Timestamp: h.timestamp,
		Duration: time.Duration(h.units/rate)*time.Second +
			time.Duration(h.units%rate)*time.Second/time.Duration(rate),
		Time: at,
	})
}

// expire ends the event of which no packet has come for too long.
func (r *Receiver) expire(now time.Time) {
	if !r.active || len(r.reports) == maxReports {
		return
	}
	if deadline := r.past[0].at.Add(r.config.Timeout); !now.Before(deadline) {
		r.end(deadline)
	}
}

// Next returns when [Receiver.Pull] has something to give if no packet arrives,
// which may be in the past. The zero Time means not before the next packet.
func (r *Receiver) Next() time.Time {
	switch {
	case len(r.reports) > 0:
		return r.reports[0].Time
	case r.active:
		return r.past[0].at.Add(r.config.Timeout)
	}
	return time.Time{}
}

// Pressed returns how many keys were pressed so far. It has counted one as soon as a packet
// of it was pushed, whether or not its report was pulled.
func (r *Receiver) Pressed() int64 { return r.pressed }

// Pull returns the next report, if there is one at now. Call it until it reports
// false, after each packet and at [Receiver.Next].
func (r *Receiver) Pull(now time.Time) (Report, bool) {
	r.expire(now)
	if len(r.reports) == 0 {
		return Report{}, false
	}
	p := r.reports[0]
	r.reports = slices.Delete(r.reports, 0, 1)
	return p, true
}
