package stream

import (
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
)

// relay maps the numbers of packets that are forwarded.
type relay struct {
	on       bool // timeline is the one of the packets forwarded last, with nothing of the sender's own since
	timeline uint64
	next     int64 // number behind the newest one, which gets that of the sender's next packet
	first    int64 // lower ones would get numbers that stand for something else
	stamp    uint32

	origin  time.Time     // of the times in fastest
	media   time.Duration // of the newest packet, from the first one on
	fastest fastest
}

// maxStep is half the numbers of RTP: further apart, newer and older look the same.
const maxStep = 1 << 15

// leaveOut closes the gap that a packet leaves which is not forwarded, if it is the
// next one. One that comes late stays a gap.
func (r *relay) leaveOut(p *Packet) {
	if r.on && r.timeline == p.Timeline && p.Seq == r.next {
		r.next++
		r.first = r.next
	}
}

// clock returns when the newest packet, which leaves at now and is by step newer
// than the one before, would leave without what has delayed it more than the
// fastest of the last seconds. By that time a sender report is right, and video
// leaves, however the network of the source and the machine delay each packet. It
// is never after now.
func (r *relay) clock(now time.Time, step time.Duration) time.Time {
	r.media += step
	next := r.origin.Add(r.fastest.zero() + r.media)
	if !r.fastest.begun || now.Sub(next) > jump || r.media.Abs() > maxRelayed {
		r.origin, r.media, r.fastest = now, 0, fastest{} // the timestamps have stood still, or run wild
	}
	r.fastest.add(now.Sub(r.origin), r.media)
	return r.origin.Add(r.fastest.zero() + r.media)
}

// maxRelayed keeps the times of a source that runs wild from overflowing.
const maxRelayed = 1000 * time.Hour

// AppendForward appends to dst the RTP packet that carries p's payload with the
// sender's own SSRC, payload type, sequence number and timestamp, at once and
// without redundancy. Differences between the numbers of one timeline are kept,
// so that the far end sees the losses, the order and the pauses of the source.
// After audio or digits of the sender's own they go on behind that. On hold, and
// while a digit is sent, nothing is appended, and telephone events are left out if
// the far end does not take them. What comes late from before the packet with which
// the numbers went on, or before one that was left out, has no number of its own, and
// is not appended either. The error wraps [audio.ErrFormat] if p is not of the sender's
// codec.
func (s *AudioSender) AppendForward(dst []byte, now time.Time, p *Packet) ([]byte, error) {
	payloadType := s.config.Codec.PayloadType
	switch {
	case p.Codec.Same(s.config.Codec):
	case kindOf(p.Codec.Name) == event && p.Codec.Same(s.config.Event):
		payloadType = s.config.Event.PayloadType
	case kindOf(p.Codec.Name) == comfort && p.Codec.Same(s.config.Noise):
		payloadType = s.config.Noise.PayloadType
	case kindOf(p.Codec.Name) == event, kindOf(p.Codec.Name) == comfort:
		s.relay.leaveOut(p)
		return dst, nil
	default:
		return dst, fmt.Errorf("%w: packet is %s, the stream %s", audio.ErrFormat, p.Codec, s.config.Codec)
	}
	if s.muted(now) {
		return dst, nil
	}
	r := &s.relay
	marker, before := p.Marker, s.clock.timestamp
	if !r.on || r.timeline != p.Timeline || p.Seq-r.next >= maxStep {
		s.running = false
		if s.clock.next.IsZero() {
			s.clock.next = now
			s.event.begin(&s.setup, now, s.clock.timestamp)
		}
		s.clock.skip(now)
		*r = relay{on: true, timeline: p.Timeline, next: p.Seq, first: p.Seq, stamp: s.clock.timestamp - p.Timestamp}
		marker = true
	}
	if p.Seq < max(r.first, r.next-maxStep) {
		return dst, nil
	}
	seq := s.seq + uint16(p.Seq-r.next)
	timestamp := p.Timestamp + r.stamp
	if p.Seq >= r.next {
		s.seq, r.next = seq+1, p.Seq+1
		step := unitsToTime(int64(int32(timestamp-s.clock.timestamp)), s.clock.rate)
		s.clock.timestamp, s.clock.next, s.running = timestamp, r.clock(now, step), false
		s.written.packet(p.Time, unitsToTime(int64(int32(timestamp-before)), s.clock.rate))
	}
	s.marker, s.pause.next, s.history.count = false, time.Time{}, 0
	dst = appendHeader(dst, rtp.Header{
		Marker:         marker,
		PayloadType:    payloadType,
		SequenceNumber: seq,
		Timestamp:      timestamp,
		SSRC:           s.config.SSRC,
	})
	s.stats.Packets++
	s.stats.Octets += int64(len(p.Payload))
	return append(dst, p.Payload...), nil
}
