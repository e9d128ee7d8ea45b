package stream

import (
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/rtcpctl"
)

// A Verdict says what a receiver did with a packet.
type Verdict uint8

const (
	Accepted      Verdict = iota
	Probation             // of a source that is not yet believed; kept
	WrongType             // payload type not configured
	OtherSource           // a valid source, but not the one that is heard
	DuplicateSeen         // a copy of a packet that was seen
	TooLate               // its time has passed
	Stray                 // sequence number far from that of its source
	Malformed             // no payload, or a larger one than the buffer holds
)

// An intake validates the packets of one media line. It has a bounded table of
// sources (SSRC), knows which of them is heard, and has the timeline on which
// their packets follow each other.
type intake struct {
	sources []*source
	heard   *source
	past    *counts // nil: none; of what is not in that of the heard one; see before
	line    timeline

	// Memory for the usual case of one source.
	table [1]*source
	first source
}

// maxSources bounds the table of sources. The one that has been silent longest
// makes room for a new one.
const maxSources = 8

// switchBack is how long the source that is heard has to be silent before a
// source that was heard earlier takes its place again.
const switchBack = 300 * time.Millisecond

type source struct {
	ssrc      uint32
	reception rtcpctl.Reception
	last      time.Time
	held      *held // the packet seen last that was not believed
	earlier   *held // of probation, the one before it
}

type held struct {
	packet  jitter.Packet
	payload []byte
}

// AppendReceptions appends to dst the reception data of the sources that have
// proved themselves, for reports on them.
func (in *intake) AppendReceptions(dst []*rtcpctl.Reception) []*rtcpctl.Reception {
	for _, s := range in.sources {
		if s.reception.Valid() {
			dst = append(dst, &s.reception)
		}
	}
	return dst
}

// Heard returns the SSRC of the source that is heard, if there is one.
func (in *intake) Heard() (ssrc uint32, ok bool) {
	if in.heard == nil {
		return 0, false
	}
	return in.heard.ssrc, true
}

// Reception returns what is known of the source that is heard, or nil.
func (in *intake) Reception() *rtcpctl.Reception {
	if in.heard == nil {
		return nil
	}
	return &in.heard.reception
}

// A taken is a packet that intake.take has validated, with those that were held
// back, which it proves right. They are not on the timeline yet.
type taken struct {
	packet        jitter.Packet
	before, after *jitter.Packet // where they belong; nil: none
}

// take validates p. It reports false, with the verdict, if p is not to be heard,
// and else puts it into t. Only a clocked packet tells the clock rate of its
// source.
func (in *intake) take(t *taken, arrival time.Time, p *rtp.Packet, clockRate int, clocked bool) (Verdict, bool) {
	s := in.source(arrival, p.SSRC, clockRate)
	if clocked {
		s.reception.SetClockRate(clockRate)
	}
	order := s.reception.Update(p.SequenceNumber, p.Timestamp, arrival)
	packet := &t.packet
	packet.Seq = s.reception.Seq()
	packet.Arrival = arrival
	packet.Timestamp = p.Timestamp
	packet.Type = p.PayloadType
	packet.Marker = p.Marker
	packet.Payload = p.Payload
	switch order {
	case rtcpctl.Stray:
		s.hold(packet)
		return Stray, false
	case rtcpctl.Probation:
		in.giveUp(s)
		s.held, s.earlier = s.earlier, s.held
		s.hold(packet)
		return Probation, false
	case rtcpctl.Duplicate:
		return DuplicateSeen, false
	}
	s.last = arrival
	if s != in.heard {
		if order != rtcpctl.First && in.heard != nil && arrival.Sub(in.heard.last) < switchBack {
			return OtherSource, false
		}
		in.hear(s, order)
		in.line.enter(s.ssrc, order == rtcpctl.First || order == rtcpctl.Restarted)
		packet.Restart = true
	} else if order == rtcpctl.Restarted {
		in.line.enter(s.ssrc, true)
	}
	if order == rtcpctl.First || order == rtcpctl.Restarted {
		s.release(t)
	}
	return Accepted, true
}

// release adds to t, whose packet makes s believed, those that were held back.
func (s *source) release(t *taken) {
	if s.held == nil {
		return
	}
	packet, other := &t.packet, &s.held.packet
	first := s.first(packet)
	s.held, s.earlier = nil, nil
	if first != nil {
		first.Restart, packet.Restart = true, false
		t.before, t.after = first, other
		return
	}
	packet.Restart = true
	switch {
	case other.Type != packet.Type:
	case other.Seq == packet.Seq-1:
		other.Restart, packet.Restart = true, false
		t.before = other
	case other.Seq == packet.Seq+1:
		t.after = other
	}
}

// first returns the packet of probation that comes before p, if the network has
// swapped p and the one that was held back after it: in that order none follows
// the other. It is not counted as received.
func (s *source) first(p *jitter.Packet) *jitter.Packet {
	if s.earlier == nil || s.held.packet.Seq != p.Seq+1 || s.held.packet.Type != p.Type {
		return nil
	}
	if first := &s.earlier.packet; first.Seq == p.Seq-1 && first.Type == p.Type && p.Arrival.Sub(first.Arrival) < jump {
		return first
	}
	return nil
}

// source returns the entry for an SSRC, making one if it is new.
func (in *intake) source(now time.Time, ssrc uint32, clockRate int) *source {
	oldest := -1
	for i, s := range in.sources {
		if s.ssrc == ssrc {
			return s
		}
		if s != in.heard && (oldest < 0 || s.last.Before(in.sources[oldest].last)) {
			oldest = i
		}
	}
	var s *source
	switch len(in.sources) {
	case 0:
		s, in.sources = &in.first, in.table[:0]
		in.sources = append(in.sources, s)
	case maxSources:
		s = in.sources[oldest]
		in.giveUp(s)
	default:
		s = new(source)
		in.sources = append(in.sources, s)
	}
	*s = source{ssrc: ssrc, last: now}
	s.reception.Init(ssrc, clockRate)
	if !in.line.unordered {
		s.reception.MayRepeat()
	}
	return s
}

// hold keeps a copy of a packet that the next one may prove right.
func (s *source) hold(p *jitter.Packet) {
	if s.held == nil {
		s.held = &held{}
	}
	s.held.payload = append(s.held.payload[:0], p.Payload...)
	s.held.packet = *p
	s.held.packet.Payload = s.held.payload
}
