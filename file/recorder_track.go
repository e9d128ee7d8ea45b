package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parley-media/parley"
	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

const (
	// joinWithin is how far the times of frames may be from following each other
	// while they are taken to do so.
	joinWithin = 10 * time.Millisecond

	// untimedWithin is the same for frames whose source gives them no times.
	untimedWithin = 100 * time.Millisecond

	// maxReorder is how much earlier a picture with bidirectional prediction is
	// shown than the one that was decoded before it.
	maxReorder = 500 * time.Millisecond

	// silencePiece is how much silence is written at once.
	silencePiece = 100 * time.Millisecond
)

// A recording is what the tracks of a [Recorder] have in common. Everything is
// guarded by rec.mu.
type recording struct {
	rec     *Recorder
	index   int
	codec   Codec
	clock   *recorderClock
	own     bool           // no other track has the clock
	aside   *recorderClock // of a time that is not on the timeline that it was said to be on
	begun   bool
	closed  bool
	swapped bool          // the next frame has nothing to do with those before
	last    time.Duration // the time of the last frame, as it came
	end     time.Duration // where the track ends in the file; the latest picture
	skipped int64
	noticed bool        // that it leaves out what is of another codec
	tap     *parley.Tap // not nil if it is what this end sends
	packet  Packet      // reused
}

// An ender writes what it has kept of a track that ends.
type ender interface {
	endLocked() error
	base() *recording
}

func (t *recording) base() *recording { return t }

func (t *recording) usableLocked() error {
	if err := t.rec.usableLocked(); err != nil {
		return err
	}
	if t.closed {
		return fmt.Errorf("%s: track %d: %w", t.rec.name, t.index, os.ErrClosed)
	}
	return nil
}

// placeLocked returns the place in the file of a frame that arrived at the given
// time of the file and has the time at on its timeline.
func (t *recording) placeLocked(arrival, at time.Duration) time.Duration {
	if t.swapped {
		t.swapped = false
		t.clock.restart(t, arrival, at)
	}
	place, ok := t.clock.place(t, arrival, at)
	if ok {
		t.aside = nil
		return place
	}
	if t.aside == nil {
		t.aside = t.clock.aside()
	}
	place, _ = t.aside.place(t, arrival, at)
	return place
}

// followsLocked returns the place of a frame of sound and whether it follows the
// one before.
func (t *recording) followsLocked(arrival, at time.Duration) (time.Duration, bool) {
	if untimed := t.begun && at == t.last && at == 0; untimed {
		if arrival-t.end <= untimedWithin {
			return t.end, true
		}
		return arrival, false
	}
	if t.begun && at < t.last-joinWithin {
		t.swapped = true // sound does not go back
	}
	t.last = at
	place := t.placeLocked(arrival, at)
	return place, t.begun && (place-t.end).Abs() <= joinWithin
}

// writeLocked writes t.packet.
func (t *recording) writeLocked() error {
	r := t.rec
	if err := r.openLocked(); err != nil {
		return err
	}
	t.packet.Track = t.index
	err := r.out.WritePacket(&t.packet)
	if errors.Is(err, ErrPacket) {
		t.skipped++
	}
	return r.failLocked(err)
}

// noticeLocked has the first error of the track about another codec told.
func (t *recording) noticeLocked(err error) {
	if !t.noticed {
		t.noticed, t.rec.notice = true, err
	}
}

// Skipped returns how many frames or packets were left out: those that came too
// late, would lie before what is written, are of another codec, or have no place in
// the file, and of what this end sends those that were not read in time.
func (t *recording) Skipped() int64 {
	t.rec.mu.Lock()
	defer t.rec.mu.Unlock()
	if t.tap != nil {
		return t.skipped + t.tap.Dropped()
	}
	return t.skipped
}

// An AudioRecording is a track of sound of a [Recorder]. It is an [audio.Writer].
type AudioRecording struct {
	recording

	// Of PCM, and of what is encoded.
	rate, channels int
	adapter        *audio.Adapter // nil: packets only, so far
	encoder        *recorderEncoder
	samples        []int16
	written        int64 // where in the file the next sample goes, of each channel

	order packetOrder // of what stays coded
}

// WriteFrame writes a frame to a track of PCM, or of Opus if this build can encode
// it. A frame with the time 0 after another such has no time, and follows it. The
// error wraps [audio.ErrFormat] for a frame that is wrong, [errors.ErrUnsupported]
// for a track of another codec, [codec.ErrUnknown] without an encoder, and
// [os.ErrClosed]; any other is that of the file, and final.
func (a *AudioRecording) WriteFrame(f *audio.Frame) error {
	now := time.Now()
	return a.writeFrame(now, now, f)
}

// writeFrame writes a frame whose place in the file is by its arrival at now; what decides
// whether it was in a pause is when it was heard.
func (a *AudioRecording) writeFrame(now, heard time.Time, f *audio.Frame) error {
	a.rec.mu.Lock()
	defer a.rec.unlock()
	if err := a.usableLocked(); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		a.skipped++
		return err
	}
	if a.adapter == nil {
		if err := a.encodeLocked(); err != nil {
			a.skipped++
			return fmt.Errorf("%s: a frame for a track of %s: %w", a.rec.name, a.codec, err)
		}
	}
	return a.frameLocked(now, heard, f)
}

func (a *AudioRecording) frameLocked(now, heard time.Time, f *audio.Frame) error {
	if len(f.Samples) == 0 {
		return nil
	}
	place, follows := a.followsLocked(a.rec.presentLocked(now), f.Time)
	if a.rec.inPauseLocked(heard, now) {
		return nil
	}
	part := *f
	if !follows {
		early := max(a.end-place, -place)
		if early > 0 {
			skip := f.Format.Samples(early)
			if skip >= len(f.Samples) {
				a.skipped++
				return nil
			}
			part.Samples = f.Samples[skip:]
			place += early
		}
		if err := a.flushLocked(); err != nil {
			return err
		}
		if err := a.gapLocked(timeToSamples(place, a.rate)); err != nil {
			return err
		}
		a.end = place
	}
	a.begun = true
	a.end += part.Duration()
	var err error
	if a.samples, err = a.adapter.Append(a.samples[:0], &part); err != nil {
		return err
	}
	return a.pcmLocked(a.samples)
}

// flushLocked writes what the change of the rate has kept.
func (a *AudioRecording) flushLocked() error {
	a.samples = a.adapter.Flush(a.samples[:0])
	return a.pcmLocked(a.samples)
}

// gapLocked goes on at the given sample: after silence, if there was sound.
func (a *AudioRecording) gapLocked(to int64) error {
	silent := a.begun && a.encoder == nil && a.rec.ext != ".wav" // which fills gaps itself
	for silent && to > a.written {
		n := min(to-a.written, timeToSamples(silencePiece, a.rate))
		a.samples = appendSilence(a.samples[:0], int(n)*a.channels)
		if err := a.pcmLocked(a.samples); err != nil {
			return err
		}
	}
	a.written = max(to, a.written)
	return nil
}

// pcmLocked writes samples behind those before.
func (a *AudioRecording) pcmLocked(samples []int16) error {
	if len(samples) == 0 {
		return nil
	}
	at := a.written
	a.written += int64(len(samples) / a.channels)
	r := a.rec
	if a.encoder != nil {
		return a.encoder.write(a, at, samples)
	}
	if r.ext == ".wav" {
		if err := r.openLocked(); err != nil {
			return err
		}
		cut, err := r.wav.write(a.index, at, samples, time.Since(r.start))
		if cut {
			a.skipped++
		}
		return r.failLocked(err)
	}
	a.packet.Time, a.packet.Data = samplesToTime(at, a.rate), a.packet.Data[:0]
	for _, s := range samples {
		a.packet.Data = binary.LittleEndian.AppendUint16(a.packet.Data, uint16(s))
	}
	return a.writeLocked()
}

// WritePacket writes a coded packet to a track of Opus. Packets may come as they
// were received: they are put in order, for which one that is missing is waited
// for by 200 ms. The error wraps [errors.ErrUnsupported] if the packet or the
// track is not Opus, [ErrPacket] for a packet that is wrong, and [os.ErrClosed];
// any other is that of the file, and final.
func (a *AudioRecording) WritePacket(p *stream.Packet) error {
	now := time.Now()
	a.rec.mu.Lock()
	defer a.rec.unlock()
	if err := a.usableLocked(); err != nil {
		return err
	}
	if a.encoder != nil {
		a.skipped++
		return fmt.Errorf("%s: a packet for a track that has frames: %w", a.rec.name, errors.ErrUnsupported)
	}
	if a.codec != Opus || !strings.EqualFold(p.Codec.Name, string(Opus)) {
		a.skipped++
		return fmt.Errorf("%s: a packet of %s for a track of %s: %w", a.rec.name, p.Codec, a.codec, errors.ErrUnsupported)
	}
	if opusSamples(p.Payload) == 0 {
		a.skipped++
		return fmt.Errorf("%s: %w", a.rec.name, packetError("not a packet of Opus"))
	}
	if !p.Arrival.IsZero() && p.Arrival.Before(now) {
		now = p.Arrival
	}
	return a.packetLocked(now, p)
}

func (a *AudioRecording) packetLocked(now time.Time, p *stream.Packet) error {
	if a.order.fresh(p) {
		if err := a.order.pop(0, true, a.codedLocked); err != nil {
			return err
		}
		if a.swapped { // times of another source
			a.order.begun, a.order.base = false, 0
		}
	}
	arrival := a.rec.presentLocked(now)
	at := a.placeLocked(arrival, a.order.time(p, arrival))
	if !a.order.push(p.Seq, at, arrival, p.Payload) {
		a.skipped++
		return nil
	}
	return a.order.pop(arrival, false, a.codedLocked)
}

// codedLocked writes a packet whose turn it is.
func (a *AudioRecording) codedLocked(h *heldPacket) error {
	if came := a.rec.start.Add(h.arrival); a.rec.inPauseLocked(came, came) {
		return nil
	}
	at := h.at
	if a.begun && (at-a.end).Abs() <= joinWithin {
		at = a.end
	}
	if at < a.end || at < 0 {
		if at < -joinWithin || a.begun {
			a.skipped++
			return nil
		}
		at = 0
	}
	a.begun = true
	a.end = at + samplesToTime(int64(opusSamples(h.data)), opusRate)
	a.packet.Time, a.packet.Key = at, true
	a.packet.Data = append(a.packet.Data[:0], h.data...)
	return a.writeLocked()
}

func (a *AudioRecording) endLocked() error {
	if a.closed {
		return nil
	}
	var err error
	switch {
	case a.rec.err != nil:
	case a.adapter == nil:
		err = a.order.pop(0, true, a.codedLocked)
	default:
		if err = a.flushLocked(); err == nil && a.encoder != nil {
			err = a.encoder.flush(a)
		}
	}
	a.closed = true
	a.clock.leave(&a.recording)
	return err
}

// Close ends the track, and the reading of its sources, for which it waits if they
// can be interrupted. The file goes on.
func (a *AudioRecording) Close() error { return a.rec.closeTrack(a, &a.recording) }

// A VideoRecording is a track with pictures of a [Recorder]. It is a
// [video.Writer].
type VideoRecording struct {
	recording
	tick  time.Duration // of the frame before, as files with milliseconds have it
	top   time.Duration // the latest time since the last key frame, as it came
	floor time.Duration // where the track ended before the picture of that time
	apart bool          // frames were left out, and no key frame has come since
}

// WriteFrame writes a frame. What comes before the first key frame is left out, whose
// codec is that of the track, if the file can have it. Frames of another one are left
// out too, up to the next key frame: the first of these is told to Error of the
// [RecorderConfig].
// The size of the pictures may change. A frame with the time 0 after another such
// has no time, and is shown when it comes. The error wraps [ErrPacket] for a frame
// that has no place in the file, and [os.ErrClosed]; any other is that of the
// file, and final.
func (v *VideoRecording) WriteFrame(f *video.Frame) error {
	now := time.Now()
	v.rec.mu.Lock()
	defer v.rec.unlock()
	if err := v.usableLocked(); err != nil {
		return err
	}
	if v.rec.inPauseLocked(now, now) {
		v.apart = true
		return nil
	}
	fits := f.Fits(string(v.codec)) || !v.begun && f.Key && v.adoptLocked(picturesOf(f.Codec))
	if !fits {
		v.noticeLocked(fmt.Errorf("%s: a frame of %s for track %d of %s: %w", v.rec.name, f.Codec, v.index, v.codec, errors.ErrUnsupported))
	}
	v.apart = !fits || v.apart && !f.Key
	if v.apart || !v.begun && !f.Key {
		v.skipped++
		return nil
	}
	v.packet.Time, v.packet.Key = v.timeLocked(v.rec.presentLocked(now), f), f.Key
	v.packet.Data = append(v.packet.Data[:0], f.Data...)
	return v.writeLocked()
}

// timeLocked returns the time in the file of a frame that is written at arrival. No two
// have the same time as files with milliseconds have it, and only one that is shown before
// another that was decoded before has an earlier one.
func (v *VideoRecording) timeLocked(arrival time.Duration, f *video.Frame) time.Duration {
	at := arrival
	if untimed := v.begun && f.Time == 0 && v.last == 0; !untimed {
		at = v.placeLocked(arrival, f.Time)
	}
	back := v.top - f.Time
	if f.Key || back < 0 || back > maxReorder {
		v.top = f.Time
	}
	reordered := v.begun && v.codec == H264 && back > 0 && back <= maxReorder
	at = max(at, 0)
	tick := at.Round(webmTick)
	reordered = reordered && tick > v.floor
	if v.begun && (tick == v.tick || !reordered && tick <= v.end) {
		if tick = v.end + webmTick; reordered {
			tick = v.tick + webmTick
		}
		at = tick
	}
	if !reordered {
		v.floor = v.end
	}
	v.tick, v.end = tick, max(v.end, tick)
	v.last, v.begun = f.Time, true
	return at
}

// adoptLocked makes the track, of which nothing is written yet, one of another codec, if
// the file can have that.
func (v *VideoRecording) adoptLocked(c Codec) bool {
	r := v.rec
	tracks := slices.Clone(r.tracks)
	tracks[v.index].Codec = c
	switch {
	case r.web != nil:
		if c != VP8 && c != VP9 && (c != H264 || !r.matroska) {
			return false
		}
		r.web.open.tracks[v.index].Codec = c
	case r.out != nil:
		return false
	default:
		if _, _, err := r.begin(io.Discard, tracks); err != nil {
			return false
		}
	}
	r.tracks, v.codec = tracks, c
	return true
}

func (v *VideoRecording) endLocked() error {
	v.closed = true
	v.clock.leave(&v.recording)
	return nil
}

// Close ends the track, as [AudioRecording.Close] does.
func (v *VideoRecording) Close() error { return v.rec.closeTrack(v, &v.recording) }

func (r *Recorder) closeTrack(e ender, t *recording) error {
	r.mu.Lock()
	var err error
	var done []chan struct{}
	for s := range r.sources {
		if s.of == t && s.deadline != nil {
			done = append(done, s.done)
		}
		if s.of == t {
			s.interruptLocked()
		}
	}
	if !t.closed && !r.closed {
		err = e.endLocked()
	}
	r.unlock()
	for _, c := range done {
		<-c
	}
	return err
}
