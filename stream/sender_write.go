package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
)

// ErrTimestamp is wrapped by the error for a timestamp that lies before what was
// written, or too far ahead.
var ErrTimestamp = errors.New("stream: timestamp is out of order")

// maxAhead is how far a given timestamp may be ahead of the clock and of what
// was written.
const maxAhead = 10 * time.Second

// Write queues the samples of f, all or none: it never blocks, and returns
// [ErrFull] if there is no room. The error wraps [audio.ErrFormat] if f does not
// have the format of the sender.
//
// If a [VideoSender] goes by this sound, a step of up to 10 s in the times of
// frames that continued each other before is a pause: f waits for its time.
func (s *AudioSender) Write(now time.Time, f *audio.Frame) error {
	if stamp, ok := s.resume(now, f.Time); ok {
		return s.write(now, f, &stamp)
	}
	return s.write(now, f, nil)
}

// WriteAt is [AudioSender.Write] with the RTP timestamp of the first sample.
//
// It must not be before the end of what was written, nor more than 10 s ahead
// both of that and of the clock, or the error wraps [ErrTimestamp]; before
// anything was sent, any timestamp is right. What is ahead waits for its time;
// what comes after its time leaves at once, and the clock follows. A packet ends
// where timestamps jump, filled up with silence; samples whose timestamps lie in
// that filling follow it immediately.
func (s *AudioSender) WriteAt(now time.Time, timestamp uint32, f *audio.Frame) error {
	return s.write(now, f, &timestamp)
}

func (s *AudioSender) write(now time.Time, f *audio.Frame, stamp *uint32) error {
	if err := s.check(f); err != nil {
		return err
	}
	if len(f.Samples) == 0 {
		return nil
	}
	if err := s.checkStamp(now, stamp); err != nil {
		return err
	}
	if len(f.Samples) > s.queue.pcm.room() {
		return ErrFull
	}
	p := s.open(stamp)
	if p == nil {
		if p = s.queue.add(); p == nil {
			return ErrFull
		}
		p.set(stamp)
	}
	p.samples += len(f.Samples)
	s.queue.push(f.Samples)
	s.wrote, s.silent, s.live.samples = now, 0, 0
	s.written.frame(f.Time, f.Duration())
	return nil
}

// check returns why the sender cannot take f, or nil.
func (s *AudioSender) check(f *audio.Frame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if s.encoder == nil {
		return codec.NoEncoder(s.config.Codec)
	}
	if f.Format != s.format {
		return fmt.Errorf("%w: frame is %v, %s takes %v", audio.ErrFormat, f.Format, s.config.Codec, s.format)
	}
	return nil
}

// set gives the piece a timestamp.
func (p *piece) set(stamp *uint32) {
	if stamp != nil {
		p.stamp, p.stamped = *stamp, true
	}
}

// open returns the piece that samples with the timestamp go on, or nil.
func (s *AudioSender) open(stamp *uint32) *piece {
	if s.queue.count == 0 {
		return nil
	}
	p := s.queue.piece(s.queue.count - 1)
	if p.samples == 0 || p.closed {
		return nil
	}
	if stamp != nil && (!p.stamped || p.stamp+s.unitsOf(p.samples) != *stamp) {
		return nil
	}
	return p
}

// WriteCoded queues a coded frame that lasts for a duration, to be sent on the
// media clock like PCM. The payload is copied. It returns [ErrFull] if there is
// no room; the error wraps [audio.ErrFormat] for a frame that is empty, larger
// than MaxPayload, or of a duration outside 1 ms..1 s.
func (s *AudioSender) WriteCoded(now time.Time, payload []byte, d time.Duration) error {
	return s.writeCoded(now, payload, d, nil)
}

// WriteCodedAt is [AudioSender.WriteCoded] with a timestamp, as in
// [AudioSender.WriteAt].
func (s *AudioSender) WriteCodedAt(now time.Time, timestamp uint32, payload []byte, d time.Duration) error {
	return s.writeCoded(now, payload, d, &timestamp)
}

func (s *AudioSender) writeCoded(now time.Time, payload []byte, d time.Duration, stamp *uint32) error {
	if len(payload) == 0 || len(payload) > s.config.MaxPayload {
		return fmt.Errorf("%w: coded frame of %d bytes, want 1..%d", audio.ErrFormat, len(payload), s.config.MaxPayload)
	}
	if d < time.Millisecond || d > time.Second {
		return fmt.Errorf("%w: coded frame of %v, want 1ms..1s", audio.ErrFormat, d)
	}
	if err := s.checkStamp(now, stamp); err != nil {
		return err
	}
	if s.queue.count > 0 && s.Queued()+d > s.config.Queue {
		return ErrFull
	}
	p := s.queue.addCoded(payload, uint32(timeToUnits(d, s.clock.rate)), d)
	if p == nil {
		return ErrFull
	}
	p.set(stamp)
	s.wrote, s.silent, s.live.samples = now, 0, 0
	s.written.forget()
	return nil
}

// checkStamp checks a timestamp that was given.
func (s *AudioSender) checkStamp(now time.Time, stamp *uint32) error {
	if stamp == nil || s.clock.next.IsZero() && s.queue.count == 0 {
		return nil
	}
	tail := s.clock.timestamp
	for i := range s.queue.count {
		p := s.queue.piece(i)
		if p.stamped {
			tail = p.stamp
		}
		tail += p.units + s.unitsOf(p.samples)
	}
	limit := int32(timeToUnits(maxAhead, s.clock.rate))
	ahead := int32(*stamp - tail)
	if ahead < 0 || ahead > limit && int32(*stamp-s.clock.at(now)) > limit {
		return fmt.Errorf("%w: %d, after what was written up to %d", ErrTimestamp, *stamp, tail)
	}
	return nil
}

// Queued returns how much audio waits to be sent.
func (s *AudioSender) Queued() time.Duration {
	d := s.format.Duration(s.queue.pcm.count) + s.queue.length
	if len(s.rest) > 0 {
		d += s.config.PTime
	}
	return d
}

// Unplayed returns how much of that was written and is not told by Played: Queued
// without the faded end of what was flushed.
func (s *AudioSender) Unplayed() time.Duration {
	d := s.format.Duration(s.queue.pcm.count) + s.queue.length
	for i := range s.queue.count {
		if p := s.queue.piece(i); p.closed {
			d -= s.format.Duration(p.samples)
		}
	}
	return d
}

// Progress returns how much was ever queued, in samples, all channels together, and
// coded frames, and how much of that has left the queue since, into packets or not. What
// is queued now has left when left has come to what queued is now, whatever is written
// behind it.
func (s *AudioSender) Progress() (queued, left int) {
	left = s.queue.left()
	if len(s.rest) > 0 { // of the frame under way
		left -= s.frame
	}
	return s.queue.added, left
}

// Room returns how many samples, all channels together, Write takes now.
func (s *AudioSender) Room() int {
	if s.queue.count == maxPieces && s.open(nil) == nil {
		return 0
	}
	return s.queue.pcm.room()
}

// Played says what became of what was written since the last Flush. With Unplayed
// that is all.
type Played struct {
	Sent    time.Duration // went into packets, padding not counted
	Muted   time.Duration // fell into a digit or hold
	Dropped time.Duration // was dropped by Flush or by a change of the format, or left out of what was written live
}

// tally is a Played of samples of the present format and of coded frames.
type tally struct {
	sent, muted           int // samples, all channels
	codedSent, codedMuted time.Duration
}

func (t *tally) add(muted bool, samples int, coded time.Duration) {
	if muted {
		t.muted += samples
		t.codedMuted += coded
		return
	}
	t.sent += samples
	t.codedSent += coded
}

// Played returns what became of what was written since the last Flush.
func (s *AudioSender) Played() Played {
	return Played{
		Sent:    s.played.Sent + s.format.Duration(s.tally.sent) + s.tally.codedSent,
		Muted:   s.played.Muted + s.format.Duration(s.tally.muted) + s.tally.codedMuted,
		Dropped: s.played.Dropped,
	}
}

// Flush drops what waits to be sent, as when a listener barges in, and returns
// what was played of what was written since the last Flush.
//
// Inside a talkspurt of PCM up to fade of it still leaves, going down to
// silence, so that the far end hears no click; 5 to 10 ms are enough, at most
// what is queued is used, and 0 means none. That counts as sent. A frame that
// has left in part still leaves whole. Digits are not touched.
func (s *AudioSender) Flush(fade time.Duration) Played {
	keep := 0
	if s.queue.count > 0 {
		p := s.queue.piece(0)
		switch {
		case p.closed:
			keep = p.samples // it is faded and counted
		case fade > 0 && s.running && !s.held && p.samples > 0 && (!p.stamped || p.stamp == s.clock.timestamp):
			keep = min(s.format.Samples(min(fade, time.Second)), p.samples)
			s.queue.pcm.fade(keep, s.format.Channels)
			s.tally.sent += keep
		}
	}
	s.drop(keep)
	s.written.forget()
	played := s.Played()
	s.played, s.tally = Played{}, tally{}
	return played
}

// drop drops the queue but for keep samples, and counts it.
func (s *AudioSender) drop(keep int) {
	s.played.Dropped += s.format.Duration(s.queue.pcm.count-keep) + s.queue.length
	s.queue.keep(keep)
}
