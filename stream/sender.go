package stream

import (
	"cmp"
	"errors"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// ErrFull is returned when the queue of an [AudioSender] has no room for what
// was written. Nothing of it was taken.
var ErrFull = errors.New("stream: queue is full")

// An AudioSender turns PCM or coded frames into RTP packets on the media clock,
// with telephone events, comfort noise and redundancy where that is wanted.
//
// The sender owns the timestamps, unless the writer gives them. One packet falls
// due each ptime, at absolute times, so the clock does not drift. When there is
// nothing to send, nothing is sent and time goes on: the next packet has a later
// timestamp and the marker (RFC 3551, section 4.1). After a stall of the caller
// the packets that are overdue are not sent in a burst: what is queued stays, the
// timestamp jumps and the marker is set.
//
// While a digit is sent, and on hold, time goes on for what is queued too: audio
// whose time comes is dropped as if it had been played, so that no delay builds
// up, and is counted as muted.
//
// An AudioSender is not safe for concurrent use.
type AudioSender struct {
	setup

	clock   mediaClock
	queue   frameQueue
	spare   []int16 // for samples that are not in one piece in queue; see space
	wrote   time.Time
	written written
	live    live

	seq     uint16
	running bool // inside a talkspurt
	marker  bool // the next frame begins a talkspurt
	held    bool
	silent  time.Duration // silence that was queued since the last write
	loss    float64       // that the encoder knows of; negative: not told

	rest      []byte // payload of the frame under way that has not been sent
	restAt    uint32 // its timestamp
	restLevel int
	coded     []byte // memory behind rest

	history history
	copies  copies
	event   eventClock
	pause   pause
	relay   relay

	played Played // durations of what had another format than tally
	tally  tally
	stats  SenderStats
}

// SenderStats count what an [AudioSender] has sent.
type SenderStats struct {
	Packets    int64 // all, forwarded ones too
	Octets     int64 // of their payloads
	Events     int64 // packets of telephone events
	Noise      int64 // packets of comfort noise
	Duplicates int64 // packets that left a second time
	Failed     int64 // frames that the encoder refused

	// Stalled is the time left out of the stream because the caller came too late:
	// nothing written is lost, but the far end hears a pause.
	Stalled time.Duration

	// LeftOut is what was left out of what was written live, so that no delay
	// builds up.
	LeftOut time.Duration
}

// NewAudioSender returns a sender for c. The error wraps [codec.ErrUnknown] if
// this build cannot encode c.Codec; set c.Coded for such payloads. It wraps
// [ErrConfig] for what contradicts itself.
func NewAudioSender(c SenderConfig) (*AudioSender, error) {
	s := new(AudioSender)
	if err := s.Reset(c); err != nil {
		return nil, err
	}
	return s, nil
}

// Reset makes s what [NewAudioSender] returns. After an error it must not be used.
func (s *AudioSender) Reset(c SenderConfig) error {
	n, err := newSetup(c, nil)
	if err != nil {
		return err
	}
	*s = AudioSender{setup: n, seq: c.Sequence, marker: true, loss: -1}
	s.clock = mediaClock{rate: c.Codec.ClockRate, timestamp: c.Timestamp}
	s.event.begin(&s.setup, time.Time{}, c.Timestamp)
	s.resize()
	return nil
}

// resize gives the buffers the size that the setup needs.
func (s *AudioSender) resize() {
	s.queue.pcm.resize(max(s.format.Samples(s.config.Queue), 2*s.frame))
}

// space returns memory for n samples, until the next call.
func (s *AudioSender) space(n int) []int16 {
	if cap(s.spare) < n {
		s.spare = make([]int16, n)
	}
	return s.spare[:n]
}

// Format returns the shape of the PCM that [AudioSender.Write] takes. It is the
// zero Format if the sender takes coded frames only.
func (s *AudioSender) Format() audio.Format { return s.format }

// Codec returns the payload format of the packets.
func (s *AudioSender) Codec() codec.Params { return s.config.Codec }

// PTime returns how much audio is in one packet.
func (s *AudioSender) PTime() time.Duration { return s.config.PTime }

// SSRC returns the synchronisation source of the packets.
func (s *AudioSender) SSRC() uint32 { return s.config.SSRC }

// Stats sets st to what was sent so far.
func (s *AudioSender) Stats(st *SenderStats) { *st = s.stats }

// Timestamp returns the RTP timestamp of now, as a sender report needs it. That
// of a packet which just left may be older: an event has that of its beginning.
func (s *AudioSender) Timestamp(now time.Time) uint32 { return s.clock.at(now) }

// Drained returns when the time of what has left the queue so far has passed. It is
// zero before the first packet.
func (s *AudioSender) Drained() time.Time { return s.clock.next }

// grace is how long after its time a packet may still leave with its own
// timestamp: a writer that keeps the pace, but a little late, makes no holes.
func (s *AudioSender) grace() time.Duration { return s.config.PTime }

// stall is the lateness of the caller beyond which time is skipped.
func (s *AudioSender) stall() time.Duration { return max(100*time.Millisecond, 3*s.config.PTime) }

// muted reports whether audio that is due must not be sent.
func (s *AudioSender) muted(now time.Time) bool {
	return s.held || s.digits != nil && s.digits.Active(now)
}

// Next returns when [AudioSender.AppendPacket] has something to do, which may
// be in the past. The zero Time means not before the next call that gives it
// something.
func (s *AudioSender) Next() time.Time {
	if len(s.rest) > 0 {
		return s.wrote
	}
	next := sooner(s.nextFrame(), s.copies.next())
	if s.digits != nil {
		next = sooner(next, s.digits.Next())
	}
	if s.PendingDigits() == 0 {
		next = sooner(next, s.pause.next)
	}
	return next
}

// sooner returns the earlier of two times, of which the zero one is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// nextFrame returns when the first of the queue is due, or the pause begins.
func (s *AudioSender) nextFrame() time.Time {
	paced := s.running && !s.config.Immediate
	if s.queue.count == 0 {
		if paced {
			return s.clock.next.Add(s.grace())
		}
		return time.Time{}
	}
	p := s.queue.piece(0)
	due := s.wrote
	if paced {
		due = s.clock.next
	}
	// A piece of less than a frame waits for more, unless more cannot come.
	if p.samples > 0 && p.samples < s.frame && !p.closed && s.queue.count == 1 {
		due = due.Add(s.grace())
	}
	if p.stamped && !s.config.Immediate && !s.clock.next.IsZero() {
		if at := s.clock.due(p.stamp); at.After(due) {
			due = at
		}
	}
	return due
}

// AppendPacket appends to dst the RTP packet that is due at now, if any, and
// reports whether there was one. Call it until it reports false.
func (s *AudioSender) AppendPacket(dst []byte, now time.Time) ([]byte, bool) {
	if len(s.rest) > 0 {
		return s.appendRest(dst), true
	}
	if dst, ok := s.appendCopy(dst, now); ok {
		return dst, true
	}
	if dst, ok := s.appendEvent(dst, now); ok {
		return dst, true
	}
	for {
		due := s.nextFrame()
		if due.IsZero() || now.Before(due) {
			return s.appendNoise(dst, now)
		}
		if s.queue.count == 0 && !s.fill() { // the grace is over
			s.running, s.live.since = false, time.Time{}
			s.beginPause(now)
			continue
		}
		s.take(now)
		if len(s.rest) > 0 {
			return s.appendRest(dst), true
		}
	}
}

// fill queues a frame of silence, which counts as nothing written, and reports
// whether there has to be one.
func (s *AudioSender) fill() bool {
	over := s.config.Silence >= 0 && s.silent >= s.config.Silence
	if over || s.encoder == nil || s.noise != nil {
		return false
	}
	silence := s.space(s.frame)
	clear(silence)
	s.queue.push(silence)
	p := s.queue.add()
	p.samples, p.closed = s.frame, true
	s.silent += s.config.PTime
	return true
}

// take takes the next frame off the queue, and makes it the one under way
// unless it is muted or its codec has nothing to send for it.
func (s *AudioSender) take(now time.Time) {
	p := s.queue.piece(0)
	muted := s.muted(now)
	if !muted || !s.config.Immediate {
		s.place(p, now)
	}
	s.coded, s.restLevel = s.coded[:0], noLevel
	units, length := s.units, s.config.PTime
	if p.samples == 0 {
		units, length = p.units, p.length
		s.coded = append(s.coded, p.payload...)
		s.tally.add(muted, 0, length)
	} else {
		n := min(p.samples, s.frame)
		pcm := s.queue.pcm.whole(s.frame)
		if n < s.frame || pcm == nil {
			pcm = s.space(s.frame)
			clear(pcm[s.queue.pcm.peek(pcm[:n]):])
		}
		s.queue.pcm.skip(n)
		p.samples -= n
		p.stamp += units
		if !p.closed {
			s.tally.add(muted, n, 0)
		}
		s.hear(pcm[:n])
		if !muted {
			s.encodeFrame(pcm)
		}
	}
	if p.samples == 0 {
		s.queue.drop()
	}
	s.keepShort(now)
	s.restAt = s.clock.timestamp
	if muted && s.config.Immediate {
		return
	}
	s.clock.timestamp += units
	s.clock.next = s.clock.next.Add(length)
	s.running = true
	s.relay.on = false // its timestamps are taken now
	s.pause.next = time.Time{}
	if muted || len(s.coded) == 0 {
		s.marker = true
		return
	}
	s.rest = s.coded
}

// encodeFrame makes the payload of a frame. It is empty if there is nothing to
// send for the frame, as with DTX.
func (s *AudioSender) encodeFrame(pcm []int16) {
	if s.config.LevelExtension > 0 {
		s.restLevel = level(pcm)
	}
	out, err := s.encoder.Encode(s.coded, pcm)
	if err != nil {
		s.stats.Failed++
		return
	}
	s.coded = out
}

// place moves the clock to the piece p, when a talkspurt begins, the caller was
// away for so long that the packets it missed would be a burst, or the writer
// gave a timestamp.
func (s *AudioSender) place(p *piece, now time.Time) {
	c := &s.clock
	late := now.Sub(c.next)
	switch {
	case c.next.IsZero():
		c.next = now
		if p.stamped {
			c.timestamp = p.stamp
		}
		s.event.begin(&s.setup, now, c.timestamp)
	case p.stamped && int32(p.stamp-c.timestamp) >= 0:
		// The writer's timestamps hold: whoever is late moves the clock.
		if !s.running || p.stamp != c.timestamp {
			s.marker = true
		}
		at := c.due(p.stamp)
		c.timestamp = p.stamp
		late = now.Sub(at)
		if s.config.Immediate || !s.running && late > 0 || late > s.stall() {
			at, c.rounding = now, 0
			s.marker = s.marker || late > s.stall()
		}
		c.next = at
	case s.config.Immediate:
		c.next = now
	case !s.running:
		if c.skip(now) {
			s.marker = true
		}
	case late > s.stall():
		missed := late / s.config.PTime
		c.next = c.next.Add(missed * s.config.PTime)
		s.stats.Stalled += missed * s.config.PTime
		c.timestamp += uint32(missed) * cmp.Or(s.units, 1)
		s.marker = true
	}
}

// appendRest sends the frame under way, or as much of it as fits.
func (s *AudioSender) appendRest(dst []byte) []byte {
	n := len(s.rest)
	if s.cut > 0 {
		n = min(n, s.cut)
	}
	dst = s.appendMedia(dst, s.rest[:n], s.restAt, s.restLevel)
	if s.cut > 0 {
		s.restAt += uint32(n / s.sample * s.config.Codec.ClockRate / s.format.Rate)
	}
	s.rest = s.rest[n:]
	return dst
}
