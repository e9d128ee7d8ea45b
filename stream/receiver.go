package stream

import (
	"cmp"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/jitter"
	"github.com/parley-media/parley/rtcpctl"
)

// Playout is the way in which an [AudioReceiver] gives out its audio.
type Playout uint8

const (
	// Adaptive gives a frame per tick of a steady clock, behind the network by
	// no more than it needs. For now its depth is that of Fixed.
	Adaptive Playout = iota

	// Fixed gives a frame per tick of a steady clock, behind the network by a
	// constant time.
	Fixed

	// InOrder gives what was sent, in order, as soon as it is complete, with
	// what is lost as explicit frames: for recording and transcription, where
	// delay is cheap and loss is dear.
	InOrder
)

// String returns the name of the playout as on the command line.
func (p Playout) String() string {
	switch p {
	case Adaptive:
		return "adaptive"
	case Fixed:
		return "fixed"
	case InOrder:
		return "in-order"
	}
	return fmt.Sprintf("Playout(%d)", uint8(p))
}

// ReceiverConfig describes what an [AudioReceiver] accepts and how it gives it
// out.
type ReceiverConfig struct {
	Codecs         []codec.Params // by payload type; one without a decoder can only be taken coded
	PTime          time.Duration  // length of the frames that are given out, 1 ms to 1 s; 0: 20 ms
	Playout        Playout
	MinDelay       time.Duration // depth of the playout; 0: 60 ms
	LevelExtension uint8
	MaxDelay       time.Duration // how long InOrder waits for a missing packet, and how far a reader or the playout may fall behind; 0: 500 ms
}

// A Verdict says what an [AudioReceiver] did with a packet.
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

// ReceiverStats are counted since the receiver was made.
type ReceiverStats struct {
	Received   int64 // packets of the source that is heard, duplicates included
	Octets     int64 // payload bytes of those
	Lost       int64 // expected but not received; negative with many duplicates (RFC 3550, section 6.4.1)
	Late       int64 // received after their time, and so not heard
	Duplicated int64
	Reordered  int64
	Discarded  int64 // dropped for any other reason: type, source, overflow, undecodable
	Jitter     time.Duration
	Delay      time.Duration // from arrival to playout, smoothed
	Target     time.Duration // what Delay should be
	Media      time.Duration // audio given out that was sent
	Concealed  time.Duration // audio given out in the place of lost or late media
}

// An AudioReceiver turns the packets of one media line into frames.
//
// New sources (SSRC) have to show two packets in sequence before they are heard
// (RFC 3550, appendix A.1); these are kept and heard too. A source that proves
// itself while another is heard takes its place at once, on the same continuous
// timeline. From then on packets of the other one are dropped, until the new
// one has been silent for a while.
//
// An AudioReceiver is not safe for concurrent use.
type AudioReceiver struct {
	config   ReceiverConfig
	decoders [128]*decoding // by payload type

	sources []*source
	heard   *source
	buffer  jitter.Buffer
	line    timeline
	queue   *PacketQueue // not nil when packets are taken coded

	// Playout, in playout.go and inorder.go.
	clock    clock
	pending  []int16       // decoded, not given out
	pendAt   time.Duration // media time of pending[0]
	pendMem  []int16       // memory behind pending
	current  *decoding     // codec of the audio given out last
	playSeq  int64         // number of the packet decoded last; valid if played
	played   bool
	broken   bool          // the packet decoded last was none
	position time.Duration // media time of the next frame given out; valid if played
	given    time.Duration // length of all frames given out
	ended    bool

	stats ReceiverStats
}

// decoding is a codec of this line with its state.
type decoding struct {
	params  codec.Params
	format  audio.Format
	impl    *codec.Codec // nil if this build cannot decode it
	decoder codec.Decoder
	events  *dtmf.Receiver
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
}

type held struct {
	packet  jitter.Packet
	payload []byte
}

// NewAudioReceiver returns a receiver for c. Two codecs with one payload type
// are an error; a codec that this build cannot decode is not.
func NewAudioReceiver(c ReceiverConfig) (*AudioReceiver, error) {
	c.PTime = cmp.Or(c.PTime, 20*time.Millisecond)
	c.MinDelay = cmp.Or(c.MinDelay, 60*time.Millisecond)
	c.MaxDelay = cmp.Or(c.MaxDelay, 500*time.Millisecond)
	if err := checkPTime(c.PTime); err != nil {
		return nil, err
	}
	r := &AudioReceiver{config: c}
	for _, p := range c.Codecs {
		if p.PayloadType > 127 {
			return nil, fmt.Errorf("stream: payload type %d of %s is not in 0..127", p.PayloadType, p)
		}
		if p.ClockRate <= 0 {
			return nil, fmt.Errorf("stream: %s has no clock rate", p.Name)
		}
		if d := r.decoders[p.PayloadType]; d != nil {
			return nil, fmt.Errorf("stream: payload type %d stands for %s and for %s", p.PayloadType, d.params, p)
		}
		d := &decoding{params: p}
		if isEvent(p) {
			d.events, _ = dtmf.NewReceiver(dtmf.ReceiverConfig{ClockRate: p.ClockRate})
		}
		if impl, err := codec.Lookup(p); err == nil && impl.NewDecoder != nil {
			d.impl = impl
			if d.format, err = impl.Format(p); err != nil {
				return nil, err
			}
		}
		r.decoders[p.PayloadType] = d
	}
	r.stats.Target = c.MinDelay
	return r, nil
}

func checkPTime(d time.Duration) error {
	if d < time.Millisecond || d > time.Second {
		return fmt.Errorf("stream: ptime %v is not between 1ms and 1s", d)
	}
	return nil
}

// TakeCoded makes the receiver put accepted packets into q instead of decoding
// them; nil undoes it.
func (r *AudioReceiver) TakeCoded(q *PacketQueue) { r.queue = q }

// Decodes reports whether this build can decode packets of the payload type.
func (r *AudioReceiver) Decodes(payloadType uint8) bool {
	d := r.decoders[payloadType&127]
	return d != nil && d.impl != nil
}

// AppendReceptions appends to dst the reception data of the sources that have
// proved themselves, for reports on them.
func (r *AudioReceiver) AppendReceptions(dst []*rtcpctl.Reception) []*rtcpctl.Reception {
	for _, s := range r.sources {
		if s.reception.Valid() {
			dst = append(dst, &s.reception)
		}
	}
	return dst
}

// Heard returns the SSRC of the source that is heard, if there is one.
func (r *AudioReceiver) Heard() (ssrc uint32, ok bool) {
	if r.heard == nil {
		return 0, false
	}
	return r.heard.ssrc, true
}

// Push takes a packet that arrived at the given time. It does not keep p or its
// payload.
func (r *AudioReceiver) Push(arrival time.Time, p *rtp.Packet) Verdict {
	v := r.push(arrival, p)
	switch v {
	case TooLate:
		r.stats.Late++
	case WrongType, OtherSource, Malformed:
		r.stats.Discarded++
	}
	return v
}

func (r *AudioReceiver) push(arrival time.Time, p *rtp.Packet) Verdict {
	d := r.decoders[p.PayloadType&127]
	if d == nil {
		return WrongType
	}
	s := r.source(arrival, p.SSRC, d.params.ClockRate)
	s.reception.SetClockRate(d.params.ClockRate)
	order := s.reception.Update(p.SequenceNumber, p.Timestamp, arrival)
	packet := jitter.Packet{
		Seq:       s.reception.Seq(),
		Arrival:   arrival,
		Timestamp: p.Timestamp,
		Type:      p.PayloadType,
		Marker:    p.Marker,
		Payload:   p.Payload,
	}
	switch order {
	case rtcpctl.Stray, rtcpctl.Probation:
		s.hold(packet)
		if order == rtcpctl.Stray {
			return Stray
		}
		return Probation
	case rtcpctl.Duplicate:
		return DuplicateSeen
	}
	s.last = arrival
	begins := order == rtcpctl.First || order == rtcpctl.Restarted
	if s != r.heard {
		if order != rtcpctl.First && r.heard != nil && arrival.Sub(r.heard.last) < switchBack {
			return OtherSource
		}
		r.heard = s
		r.line.enter(s.ssrc)
		packet.Restart = true
	} else if order == rtcpctl.Restarted {
		r.line.enter(s.ssrc)
	}
	if !begins || s.held == nil {
		return r.accept(packet, d)
	}
	// The packet that was held back belongs before this one, or behind it.
	other := s.held.packet
	s.held = nil
	packet.Restart = true
	switch {
	case other.Type != packet.Type:
	case other.Seq == packet.Seq-1:
		other.Restart, packet.Restart = true, false
		r.accept(other, d)
	case other.Seq == packet.Seq+1:
		v := r.accept(packet, d)
		r.accept(other, d)
		return v
	}
	return r.accept(packet, d)
}

// accept puts a validated packet of the source that is heard onto the timeline
// and into the buffer or the queue.
func (r *AudioReceiver) accept(p jitter.Packet, d *decoding) Verdict {
	if len(p.Payload) == 0 { // padding, as a bandwidth probe
		return Malformed
	}
	r.stats.Octets += int64(len(p.Payload))
	if d.events != nil {
		d.events.Push(p.Arrival, uint16(p.Seq), p.Timestamp, p.Payload)
		return Accepted
	}
	r.line.place(&p, d.params.ClockRate)
	if r.queue != nil {
		r.queue.Push(&Packet{
			Codec:     d.params,
			Timeline:  r.line.id,
			Seq:       p.Seq,
			Timestamp: p.Timestamp,
			Marker:    p.Marker,
			Arrival:   p.Arrival,
			Payload:   p.Payload,
		})
		return Accepted
	}
	if d.impl == nil {
		return WrongType
	}
	evicted := r.buffer.Evicted
	v := r.buffer.Push(p)
	r.stats.Discarded += r.buffer.Evicted - evicted
	switch v {
	case jitter.Late:
		return TooLate
	case jitter.Duplicate:
		return DuplicateSeen
	case jitter.Oversize:
		return Malformed
	}
	r.arrived(p)
	return Accepted
}

// source returns the entry for an SSRC, making one if it is new.
func (r *AudioReceiver) source(now time.Time, ssrc uint32, clockRate int) *source {
	oldest := -1
	for i, s := range r.sources {
		if s.ssrc == ssrc {
			return s
		}
		if s != r.heard && (oldest < 0 || s.last.Before(r.sources[oldest].last)) {
			oldest = i
		}
	}
	s := &source{ssrc: ssrc, last: now}
	if len(r.sources) < maxSources {
		r.sources = append(r.sources, s)
	} else {
		*r.sources[oldest] = *s
		s = r.sources[oldest]
	}
	s.reception.Init(ssrc, clockRate)
	return s
}

// hold keeps a copy of a packet that the next one may prove right.
func (s *source) hold(p jitter.Packet) {
	if s.held == nil {
		s.held = &held{}
	}
	s.held.payload = append(s.held.payload[:0], p.Payload...)
	s.held.packet = p
	s.held.packet.Payload = s.held.payload
}

// End says that no more packets come: what is in the buffer is given out
// without waiting for what is missing. [AudioReceiver.Ended] tells when that is
// done.
func (r *AudioReceiver) End() { r.ended = true }

// Ended reports whether End was called and everything has been given out.
func (r *AudioReceiver) Ended() bool {
	return r.ended && r.buffer.Len() == 0 && len(r.pending) == 0
}

// Stats fills in s.
func (r *AudioReceiver) Stats(s *ReceiverStats) {
	*s = r.stats
	if r.queue != nil {
		s.Discarded += r.queue.Dropped
	}
	if r.heard != nil {
		rec := &r.heard.reception
		s.Received, s.Lost = rec.Received(), rec.Lost()
		s.Duplicated, s.Reordered = rec.Duplicates(), rec.Reordered()
		s.Jitter = rec.Jitter()
		s.Discarded += rec.Strays()
	}
}
