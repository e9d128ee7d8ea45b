package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
	"github.com/parley-media/parley/video"
)

const (
	// playLead is how much earlier than its time a frame is written that follows
	// another, so that the writer never waits for it. The first one after a pause
	// or gap is written at its time, which is how the writer comes to know it.
	playLead = 100 * time.Millisecond
	playGap  = 200 * time.Millisecond

	// playFlushed is how much of what was written still leaves after it was dropped: the
	// packet under way, and the one in which the sound fades out.
	playFlushed = 40 * time.Millisecond

	// playLate is how late sound is not played any more.
	playLate = 300 * time.Millisecond
)

// opusParams are those of all Opus in RTP (RFC 7587 section 7).
var opusParams = codec.Params{Name: "opus", ClockRate: opusRate, Channels: 2}

// A playLine is the way of sound or pictures to one writer.
type playLine struct {
	player   *Player
	picture  bool
	writer   any
	deadline interface{ SetWriteDeadline(time.Time) } // nil: it cannot be interrupted
	wake     *alarm
	gone     chan struct{} // closed when the writer is not used any more

	// Guarded by player.mu.
	next    int64         // number of the next item
	behind  bool          // pictures go on at a key frame
	running bool          // the frame before the next one was written
	end     time.Duration // of what was written; at first before all that can be
	stopped bool
	dropped int64

	// Of the goroutine of the line.
	item    playItem
	moved   int
	track   Track
	sound   audio.Writer
	coded   codedWriter // nil: it takes frames only
	decoder codec.Decoder
	decoded []int16
	gain    float64 // of what is decoded
	frame   audio.Frame
	packet  stream.Packet
	image   video.Writer
	shown   video.Frame
	told    bool // that frames are left out, as the call has gone over to another codec
}

// A codedWriter takes packets of sound as they are.
type codedWriter interface {
	Codec() codec.Params
	WritePacket(*stream.Packet) error
}

func newSoundLine(w audio.Writer, t Track) (*playLine, error) {
	l := &playLine{writer: w, sound: w, track: t, end: -time.Minute, wake: newAlarm(), gone: make(chan struct{})}
	l.deadline, _ = w.(interface{ SetWriteDeadline(time.Time) })
	switch t.Codec {
	case PCM:
		return l, audio.Format{Rate: t.Rate, Channels: t.Channels}.Check()
	case Opus:
		if h, err := parseOpusHead(t.Config); err == nil && h.Streams != 1 {
			return nil, fmt.Errorf("%w: a decoder for %s of %d streams", codec.ErrUnknown, t.Codec, h.Streams)
		}
		l.gain = t.Gain()
		whole := l.gain == 1 || !encodesOpus() // too loud is better than nothing
		if c, ok := w.(codedWriter); ok && whole && c.Codec().Same(opusParams) {
			l.coded, l.packet.Timeline = c, rand.Uint64() // not that of who played there before
			return l, nil
		}
		return l, l.decodes()
	}
	return nil, fmt.Errorf("%w: a decoder for %s", codec.ErrUnknown, t.Codec)
}

// decodes makes the line decode Opus, anew.
func (l *playLine) decodes() error {
	params := opusParams
	if l.track.Channels == 2 {
		params.FMTP = "stereo=1"
	}
	c, err := codec.Lookup(params)
	if err != nil {
		return err
	}
	if c.NewDecoder == nil {
		return fmt.Errorf("%w: a decoder for %s", codec.ErrUnknown, l.track.Codec)
	}
	if l.frame.Format, err = c.Format(params); err != nil {
		return err
	}
	l.decoder, err = c.NewDecoder(params)
	return err
}

func newPictureLine(w video.Writer, t Track) (*playLine, error) {
	l := &playLine{writer: w, picture: true, image: w, track: t, behind: true, wake: newAlarm(), gone: make(chan struct{})}
	l.deadline, _ = w.(interface{ SetWriteDeadline(time.Time) })
	return l, l.fits()
}

// fits returns the error for pictures whose codec the writer has not, or not any more.
func (l *playLine) fits() error {
	if w, ok := l.writer.(interface{ Accepts(codec string) bool }); ok && !w.Accepts(string(l.track.Codec)) {
		return fmt.Errorf("pictures of %s for a line without them: %w", l.track.Codec, errors.ErrUnsupported)
	}
	return nil
}

// stopLocked ends the line, also while it writes.
func (l *playLine) stopLocked() {
	if !l.stopped && l.deadline != nil {
		l.deadline.SetWriteDeadline(time.Unix(1, 0))
	}
	l.stopped = true
	l.wake.poke()
}

// flushLocked drops what the writer has not sent, and reports whether it can.
func (l *playLine) flushLocked() bool {
	switch w := l.writer.(type) {
	case interface {
		Flush(fade time.Duration) stream.Played
	}:
		w.Flush(8 * time.Millisecond)
	case interface{ Flush() }:
		w.Flush()
	default:
		return false
	}
	return true
}

// beginLocked goes on at what is due now.
func (l *playLine) beginLocked(r *playRing, now time.Duration) {
	l.next, l.behind, l.running = r.base, l.picture, false
	for l.next < r.end() && r.at(l.next).at < now-playLead {
		l.next++
	}
}

// run writes what is due, until the line ends.
func (l *playLine) run() {
	p := l.player
	for {
		p.mu.Lock()
		if l.stopped {
			l.goneLocked()
			p.mu.Unlock()
			return
		}
		wait, ready := l.takeLocked()
		at := p.origin.Add(l.item.at).Sub(p.opened)
		moved := p.moved
		p.mu.Unlock()
		if !ready {
			l.wake.wait(wait)
			continue
		}
		err := l.write(moved, at)
		switch {
		case errors.Is(err, payload.ErrFrame):
			l.leaveOut()
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			l.fail(err)
		}
	}
}

// takeLocked takes the next item when its time has come, or says how long that
// is; 0 means until something happens.
func (l *playLine) takeLocked() (wait time.Duration, ready bool) {
	p := l.player
	r := p.ring(l.picture)
	if lost := r.base - l.next; lost > 0 {
		l.next = r.base
		l.dropped += lost
		l.behind, l.running = l.picture, false
	}
	now := p.nowLocked()
	for ; l.next < r.end() && !p.paused; l.next++ {
		i := r.at(l.next)
		late := !l.picture && now-i.at > playLate
		overlaps := l.coded != nil && i.at-i.skip < l.end && i.skip > 0 // as it is written whole
		if l.behind && !i.key || late || overlaps {
			l.dropped++
			l.running = false
			continue
		}
		lead := time.Duration(0)
		if l.running && l.coded == nil && i.at-l.end <= playGap {
			lead = playLead
		}
		if wait = i.at - lead - now; wait > 0 {
			return wait, false
		}
		l.item.at, l.item.duration, l.item.skip, l.item.key = i.at, i.duration, i.skip, i.key
		l.item.data = append(l.item.data[:0], i.data...)
		if !l.running {
			l.end = i.at
		}
		l.end = max(l.end, i.at+i.duration)
		l.running, l.behind = true, false
		l.next++
		return 0, true
	}
	return 0, false
}

// goneLocked takes the line out of the player.
func (l *playLine) goneLocked() {
	if l.deadline != nil {
		l.deadline.SetWriteDeadline(time.Time{})
	}
	close(l.gone)
	l.player.lines = slices.DeleteFunc(l.player.lines, func(o *playLine) bool { return o == l })
}

// leaveOut goes on at the next key frame, as a picture could not be sent.
func (l *playLine) leaveOut() {
	p := l.player
	p.mu.Lock()
	l.dropped++
	l.behind, l.running = true, false
	p.mu.Unlock()
	if err := l.fits(); err != nil && !l.told && p.report != nil {
		l.told = true
		p.report(fmt.Errorf("%s: %w", p.source.name, err))
	}
}

// fail ends the line because of an error of its writer.
func (l *playLine) fail(err error) {
	p := l.player
	p.mu.Lock()
	told := l.stopped
	l.stopped = true
	p.mu.Unlock()
	if !told && p.report != nil {
		p.report(fmt.Errorf("%s: played to a writer: %w", p.source.name, err))
	}
}

// write gives the item to the writer, for a time that goes on through seeking.
func (l *playLine) write(moved int, at time.Duration) error {
	fresh := l.moved != moved
	l.moved = moved
	if l.picture {
		l.shown = video.Frame{Data: l.item.data, Key: l.item.key, Codec: string(l.track.Codec), Time: at}
		return l.image.WriteFrame(&l.shown)
	}
	l.frame.Time = at
	if l.track.Codec == PCM {
		l.frame.Format = audio.Format{Rate: l.track.Rate, Channels: l.track.Channels}
		l.frame.Samples = l.frame.Samples[:0]
		for b := l.item.data; len(b) >= 2; b = b[2:] {
			l.frame.Samples = append(l.frame.Samples, int16(binary.LittleEndian.Uint16(b)))
		}
		return l.sound.WriteFrame(&l.frame)
	}
	if l.coded != nil {
		err := l.writeCoded(at - l.item.skip)
		if !errors.Is(err, audio.ErrFormat) {
			return err
		}
		// The call has gone over to another codec.
		l.coded = nil
		fresh = true
	}
	if fresh {
		if err := l.decodes(); err != nil {
			return err
		}
	}
	var err error
	if l.decoded, err = l.decoder.Decode(l.decoded[:0], l.item.data); err != nil {
		return nil // of one packet
	}
	// What lies before the beginning of the file, and behind its end, is not heard.
	begin, n := l.frame.Format.Samples(l.item.skip), l.frame.Format.Samples(l.item.duration)
	l.frame.Samples = l.decoded[min(begin, len(l.decoded)):min(begin+n, len(l.decoded))]
	if len(l.frame.Samples) == 0 {
		return nil
	}
	if l.gain != 1 {
		audio.Amplify(l.frame.Samples, l.gain)
	}
	return l.sound.WriteFrame(&l.frame)
}

// writeCoded writes a packet with its time, and the timestamp of that.
func (l *playLine) writeCoded(at time.Duration) error {
	l.packet.Codec = opusParams
	l.packet.Seq++
	l.packet.Timestamp = uint32(timeToSamples(at, opusRate))
	l.packet.Time = at
	l.packet.Arrival = time.Now()
	l.packet.Payload = l.item.data
	return l.coded.WritePacket(&l.packet)
}

// Dropped returns how many packets of the file a writer did not get since it was
// added, because it was slow, because it could not send them, or because there was no
// key frame before them.
func (p *Player) Dropped(w any) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l.writer == w {
			return l.dropped
		}
	}
	return 0
}
