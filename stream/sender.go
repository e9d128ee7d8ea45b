package stream

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// ErrFull is returned by [AudioSender.Write] when the queue has no room for the
// frame. Nothing of it was taken.
var ErrFull = errors.New("stream: queue is full")

// SenderConfig describes the audio that an [AudioSender] makes. SSRC, Sequence
// and Timestamp are the first ones used; they should be random (RFC 3550,
// section 5.1).
type SenderConfig struct {
	Codec     codec.Params
	PTime     time.Duration // audio in one packet, 1 ms to 1 s, rounded to whole samples; 0: 20 ms
	Queue     time.Duration // how much PCM may wait; 0: 200 ms
	Immediate bool          // send when there is audio for a packet, instead of on the media clock

	SSRC       uint32
	Sequence   uint16
	Timestamp  uint32
	MaxPayload int // bytes; 0: 1400. Codecs of a fixed size per sample are cut to fit
}

// An AudioSender turns PCM into RTP packets on the media clock.
//
// The sender owns the timestamps. One packet falls due each ptime, at absolute
// times, so the clock does not drift. When there is nothing to send, nothing is
// sent and time goes on: the next packet has a later timestamp and the marker
// (RFC 3551, section 4.1). After a stall of the caller the packets that are
// overdue are not sent in a burst: what is queued stays, the timestamp jumps
// and the marker is set.
//
// An AudioSender is not safe for concurrent use.
type AudioSender struct {
	config  SenderConfig
	format  audio.Format // of the PCM that the encoder takes
	encoder codec.Encoder
	frame   int    // samples in one packet, all channels
	units   uint32 // RTP timestamp units in one packet
	cut     int    // payload bytes after which a frame is cut, or 0

	queue sampleQueue
	pcm   []int16 // the frame that is being encoded
	wrote time.Time

	seq       uint16
	timestamp uint32        // of the packet that is due at next
	next      time.Time     // due time of the next packet; zero before the first
	rounding  time.Duration // by which the timestamp is behind the clock, since pauses are no whole number of its units
	running   bool          // inside a talkspurt
	marker    bool          // the next packet begins a talkspurt

	rest   []byte // payload of a cut frame that has not been sent
	restAt uint32 // its timestamp
	coded  []byte // memory behind rest

	forward  uint64 // timeline of the packets forwarded last; valid if forwards
	forwards bool
	seqShift uint16
	tsShift  uint32
	played   int64 // samples of each channel that went into packets
}

// NewAudioSender returns a sender for c. The error wraps [codec.ErrUnknown] if
// this build cannot encode c.Codec; use [NewForwarder] for such payloads.
func NewAudioSender(c SenderConfig) (*AudioSender, error) {
	s := NewForwarder(c)
	if err := checkPTime(s.config.PTime); err != nil {
		return nil, err
	}
	impl, err := codec.Lookup(c.Codec)
	if err != nil {
		return nil, err
	}
	if impl.NewEncoder == nil {
		return nil, fmt.Errorf("%w: no encoder for %s", codec.ErrUnknown, c.Codec)
	}
	if s.format, err = impl.Format(c.Codec); err != nil {
		return nil, err
	}
	if s.encoder, err = impl.NewEncoder(c.Codec); err != nil {
		return nil, err
	}
	s.frame = s.format.Samples(s.config.PTime)
	s.config.PTime = s.format.Duration(s.frame) // 20 ms at 11025 Hz are half a sample more
	s.units = uint32(int64(s.frame/s.format.Channels) * int64(c.Codec.ClockRate) / int64(s.format.Rate))
	if sc, ok := s.encoder.(codec.SampleCodec); ok {
		size, perFrame := sc.SampleSize(), s.frame/s.format.Channels
		if perFrame*size > s.config.MaxPayload {
			packets := (perFrame*size + s.config.MaxPayload - 1) / s.config.MaxPayload
			s.cut = (perFrame + packets - 1) / packets * size
		}
	}
	s.queue.ring = make([]int16, max(s.format.Samples(s.config.Queue), 2*s.frame))
	s.pcm = make([]int16, s.frame)
	return s, nil
}

// NewForwarder returns a sender that takes no PCM, only coded packets by
// [AudioSender.AppendForward], and so needs no encoder.
func NewForwarder(c SenderConfig) *AudioSender {
	c.PTime = cmp.Or(c.PTime, 20*time.Millisecond)
	c.Queue = cmp.Or(c.Queue, 200*time.Millisecond)
	c.MaxPayload = cmp.Or(c.MaxPayload, 1400)
	return &AudioSender{config: c, seq: c.Sequence, timestamp: c.Timestamp, marker: true}
}

// Format returns the shape of the PCM that [AudioSender.Write] takes. It is the
// zero Format if the sender only forwards.
func (s *AudioSender) Format() audio.Format { return s.format }

// Codec returns the payload format of the packets.
func (s *AudioSender) Codec() codec.Params { return s.config.Codec }

// PTime returns how much audio is in one packet.
func (s *AudioSender) PTime() time.Duration { return s.config.PTime }

// SSRC returns the synchronisation source of the packets.
func (s *AudioSender) SSRC() uint32 { return s.config.SSRC }

// Write queues the samples of f, all or none: it never blocks, and returns
// [ErrFull] if there is no room. The error wraps [audio.ErrFormat] if f does not
// have the format of the sender.
func (s *AudioSender) Write(now time.Time, f *audio.Frame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if s.encoder == nil {
		return fmt.Errorf("%w: this build cannot encode %s", codec.ErrUnknown, s.config.Codec)
	}
	if f.Format != s.format {
		return fmt.Errorf("%w: frame is %v, %s takes %v", audio.ErrFormat, f.Format, s.config.Codec, s.format)
	}
	if !s.queue.push(f.Samples) {
		return ErrFull
	}
	s.wrote = now
	return nil
}

// Queued returns how much audio waits to be sent.
func (s *AudioSender) Queued() time.Duration {
	d := s.format.Duration(s.queue.count)
	if len(s.rest) > 0 {
		d += s.config.PTime
	}
	return d
}

// Drained returns when all that was written has been sent and its time has
// passed. It is zero before the first packet, and says nothing while Queued is
// not zero.
func (s *AudioSender) Drained() time.Time { return s.next }

// Room returns how many samples, all channels together, Write takes now.
func (s *AudioSender) Room() int { return len(s.queue.ring) - s.queue.count }

// Clear drops what waits to be sent, and returns how much that was.
func (s *AudioSender) Clear() time.Duration {
	d := s.Queued()
	s.queue.first, s.queue.count, s.rest = 0, 0, nil
	return d
}

// Played returns how much audio has gone into packets, padding not counted.
func (s *AudioSender) Played() time.Duration {
	return s.format.Duration(int(s.played) * s.format.Channels)
}

// grace is how long after its time a packet may still leave with its own
// timestamp: a writer that keeps the pace, but a little late, makes no holes.
func (s *AudioSender) grace() time.Duration { return s.config.PTime }

// stall is the lateness of the caller beyond which time is skipped.
func (s *AudioSender) stall() time.Duration { return max(100*time.Millisecond, 3*s.config.PTime) }

// Next returns when [AudioSender.AppendPacket] has something to do, which may
// be in the past. The zero Time means not before the next Write.
func (s *AudioSender) Next() time.Time {
	switch {
	case len(s.rest) > 0:
		return s.wrote
	case s.config.Immediate || !s.running:
		if s.queue.count >= s.frame && s.frame > 0 {
			return s.wrote
		}
		if s.queue.count > 0 {
			return s.wrote.Add(s.grace())
		}
		return time.Time{}
	case s.queue.count >= s.frame:
		return s.next
	}
	return s.next.Add(s.grace())
}

// AppendPacket appends to dst the RTP packet that is due at now, if any, and
// reports whether there was one. Call it until it reports false.
func (s *AudioSender) AppendPacket(dst []byte, now time.Time) ([]byte, bool) {
	if len(s.rest) > 0 {
		return s.appendRest(dst), true
	}
	due := s.Next()
	if due.IsZero() || now.Before(due) {
		return dst, false
	}
	if s.queue.count == 0 { // the grace is over: a pause begins
		s.running = false
		return dst, false
	}
	if s.config.Immediate {
		s.next = now
	} else {
		s.catchUp(now)
	}
	n := s.queue.pop(s.pcm)
	clear(s.pcm[n:])
	s.played += int64(n / s.format.Channels)

	timestamp := s.timestamp
	s.timestamp += s.units
	s.next = s.next.Add(s.config.PTime)
	s.running = true
	s.forwards = false // its numbers are taken now

	if s.cut > 0 {
		var err error
		if s.coded, err = s.encoder.Encode(s.coded[:0], s.pcm); err != nil {
			return dst, false
		}
		s.rest, s.restAt = s.coded, timestamp
		return s.appendRest(dst), true
	}
	begin := len(dst)
	dst = s.appendHeader(dst, timestamp)
	out, err := s.encoder.Encode(dst, s.pcm)
	if err != nil || len(out) == len(dst) { // nothing to send for this frame, as with DTX
		s.seq--
		s.marker = true
		return dst[:begin], false
	}
	return out, true
}

// catchUp moves the clock to now when a talkspurt begins or the caller was away
// for so long that the packets it missed would be a burst.
func (s *AudioSender) catchUp(now time.Time) {
	late := now.Sub(s.next)
	switch {
	case s.next.IsZero():
		s.next = now
	case !s.running && late > 0:
		rate := s.config.Codec.ClockRate
		late += s.rounding
		units := max(0, timeToUnits(late, rate))
		s.rounding = late - unitsToTime(units, rate)
		s.next = now
		s.timestamp += uint32(units)
		s.marker = true
	case s.running && late > s.stall():
		missed := late / s.config.PTime
		s.next = s.next.Add(missed * s.config.PTime)
		s.timestamp += uint32(missed) * s.units
		s.marker = true
	}
}

func (s *AudioSender) appendRest(dst []byte) []byte {
	n := min(s.cut, len(s.rest))
	dst = append(s.appendHeader(dst, s.restAt), s.rest[:n]...)
	size := s.encoder.(codec.SampleCodec).SampleSize()
	s.restAt += uint32(n / size * s.config.Codec.ClockRate / s.format.Rate)
	s.rest = s.rest[n:]
	return dst
}

func (s *AudioSender) appendHeader(dst []byte, timestamp uint32) []byte {
	dst = appendHeader(dst, rtp.Header{
		Marker:         s.marker,
		PayloadType:    s.config.Codec.PayloadType,
		SequenceNumber: s.seq,
		Timestamp:      timestamp,
		SSRC:           s.config.SSRC,
	})
	s.marker = false
	s.seq++
	return dst
}

const headerSize = 12 // of RTP without CSRC and extension (RFC 3550, section 5.1)

func appendHeader(dst []byte, h rtp.Header) []byte {
	h.Version = 2
	var space [headerSize]byte
	at := len(dst)
	dst = append(dst, space[:]...)
	h.MarshalTo(dst[at:]) //nolint:errcheck // the header has its fixed size
	return dst
}

// AppendForward appends to dst the RTP packet that carries p's payload with the
// sender's own SSRC, payload type, sequence number and timestamp. Differences
// between the numbers of one timeline are kept, so that the far end sees the
// losses, the order and the pauses of the source. After PCM of the sender's own
// they go on behind that. The error wraps [audio.ErrFormat] if p is not of the
// sender's codec.
func (s *AudioSender) AppendForward(dst []byte, now time.Time, p *Packet) ([]byte, error) {
	if !p.Codec.Same(s.config.Codec) {
		return dst, fmt.Errorf("%w: packet is %s, the stream %s", audio.ErrFormat, p.Codec, s.config.Codec)
	}
	marker := p.Marker
	if !s.forwards || s.forward != p.Timeline {
		s.forwards, s.forward = true, p.Timeline
		s.running = false
		s.catchUp(now)
		s.seqShift = s.seq - uint16(p.Seq)
		s.tsShift = s.timestamp - p.Timestamp
		marker = true
	}
	seq := uint16(p.Seq) + s.seqShift
	timestamp := p.Timestamp + s.tsShift
	if int16(seq+1-s.seq) > 0 {
		s.seq = seq + 1
		s.timestamp, s.next, s.running = timestamp, now, false
	}
	s.marker = false
	dst = appendHeader(dst, rtp.Header{
		Marker:         marker,
		PayloadType:    s.config.Codec.PayloadType,
		SequenceNumber: seq,
		Timestamp:      timestamp,
		SSRC:           s.config.SSRC,
	})
	return append(dst, p.Payload...), nil
}

// A sampleQueue is a ring of samples.
type sampleQueue struct {
	ring         []int16
	first, count int
}

// push appends all samples, or none if there is no room.
func (q *sampleQueue) push(samples []int16) bool {
	if len(samples) > len(q.ring)-q.count {
		return false
	}
	if len(samples) == 0 {
		return true
	}
	end := (q.first + q.count) % len(q.ring)
	n := copy(q.ring[end:], samples)
	copy(q.ring, samples[n:])
	q.count += len(samples)
	return true
}

// pop moves samples into dst until it is full or the queue is empty, and
// returns how many.
func (q *sampleQueue) pop(dst []int16) int {
	n := min(len(dst), q.count)
	if n == 0 {
		return 0
	}
	m := copy(dst[:n], q.ring[q.first:])
	copy(dst[m:n], q.ring)
	q.first = (q.first + n) % len(q.ring)
	q.count -= n
	return n
}
