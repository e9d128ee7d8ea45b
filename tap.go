package parley

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/payload"
	"github.com/parley-media/parley/stream"
)

// tapPackets is how many packets wait for the reader of a [Tap]: some seconds.
const tapPackets = 128

// A Tap gives what a line of audio sends, to record it for instance. It gives what
// has left, and nothing else: neither what is still queued, nor what a Flush has
// dropped, nor what nobody was sent because of a hold, of a digit, or because the
// call was not connected yet. What the network then does to it is not known here.
//
// A tap never holds up the sender. Up to 128 packets wait for a reader that is
// slow; a further one takes the place of the oldest. Its methods may be used from
// any goroutine.
type Tap struct {
	audio *Audio

	reading  sync.Mutex // held by whoever reads; taken before call.mu
	receiver *stream.AudioReceiver
	queue    stream.PacketQueue
	formats  *tapFormats // that the receiver knows
	apart    bool        // packets are read: frames cannot be
	datagram []byte
	packet   rtp.Packet
	left     time.Time // when packet did
	now      time.Time // of the receiver
	begin    time.Duration
	begun    bool // begin is the Time of the first frame of packet
	end      error

	// Guarded by call.mu.
	ring         []sentCopy
	first, count int
	sends        *tapFormats
	dropped      int64
	waiting      int
	closed       bool
	deadline     time.Time
	alarm        *time.Timer // not nil if there is a deadline
}

// A sentCopy is that of a packet, and waits to be read.
type sentCopy struct {
	left     time.Time
	formats  *tapFormats
	datagram []byte
}

// tapFormats are the payload formats that are sent. They are not changed.
type tapFormats struct {
	codecs []codec.Params // the first is that of the sound
	red    codec.Params
}

func tapFormatsOf(c *stream.SenderConfig) *tapFormats {
	f := &tapFormats{red: c.RED}
	for _, p := range []codec.Params{c.Codec, c.Event, c.Noise} {
		if p.Name != "" {
			f.codecs = append(f.codecs, p)
		}
	}
	return f
}

// Tap returns a tap of what is sent from now on. It must be closed, and goes on
// until then, or until the end of the call or of the line. A line may have many. The
// error is an [*EndError] after that end.
func (a *Audio) Tap() (*Tap, error) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if end := a.overLocked(); end != nil {
		return nil, end
	}
	t := &Tap{audio: a, sends: tapFormatsOf(&a.sending), ring: make([]sentCopy, tapPackets)}
	var err error
	t.receiver, err = stream.NewAudioReceiver(stream.ReceiverConfig{
		Codecs:   t.sends.codecs,
		PTime:    a.sender.PTime(),
		Playout:  stream.InOrder,
		MaxDelay: 200 * time.Millisecond, // for what was forwarded and is not in order
	})
	if err != nil {
		return nil, err
	}
	t.formats = t.sends
	for i := range t.ring {
		t.ring[i].datagram = make([]byte, 0, 256) // as most are
	}
	a.taps = append(a.taps, t)
	return t, nil
}

// pushLocked takes a copy of a packet that leaves now.
func (t *Tap) pushLocked(now time.Time, b []byte) {
	if len(b) > packetSize {
		t.dropped++
		return
	}
	if t.count == len(t.ring) {
		t.first = (t.first + 1) % len(t.ring)
		t.count--
		t.dropped++
	}
	p := &t.ring[(t.first+t.count)%len(t.ring)]
	p.left, p.formats, p.datagram = now, t.sends, append(p.datagram[:0], b...)
	t.count++
	if t.waiting > 0 {
		t.audio.call.cond.Broadcast()
	}
}

// tapLocked gives a packet that leaves now to the taps.
func (a *Audio) tapLocked(now time.Time, b []byte) {
	if a.call.connected.IsZero() {
		return
	}
	for _, t := range a.taps {
		t.pushLocked(now, b)
	}
}

// dueAtLocked returns when the packet that leaves now had to, by the media clock: a
// loop that is late for the first one is not late for all.
func (a *Audio) dueAtLocked(now time.Time) time.Time {
	at := a.sender.Drained().Add(-a.sender.PTime())
	if late := now.Sub(at); late < 0 || late > 100*time.Millisecond { // it is no packet of that clock
		return now
	}
	return at
}

// retapLocked tells the taps what is sent from now on.
func (a *Audio) retapLocked() {
	for _, t := range a.taps {
		t.sends = tapFormatsOf(&a.sending)
	}
}

// ReadFrame fills f with the next sound that was sent, decoded again, as the far
// end hears it if nothing is lost. It blocks until there is some. Frames are up to
// a ptime long.
//
// The Time of frames is on the media clock of the line, and begins at the first one.
// Time in which nothing is sent, or that was dropped, is a gap between the times of
// two frames. Captured is when the first sample left, by [time.Now]: so what is sent
// and what is heard have one clock, that of this machine, by the time at which
// [Audio.ReadFrame] gives a frame.
//
// At the end of the call or of the line the error is that of [Audio.ReadFrame],
// behind what is left. It is [os.ErrDeadlineExceeded] after the read deadline,
// [ErrCoded] if packets are read, and wraps [os.ErrClosed] once the tap is closed
// and [codec.ErrUnknown] if this build cannot decode what is sent.
func (t *Tap) ReadFrame(f *audio.Frame) (err error) {
	defer t.audio.call.guard(&err)
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.apart {
		return ErrCoded
	}
	for {
		if p := t.formats.codecs[0]; !t.receiver.Decodes(p.PayloadType) {
			return fmt.Errorf("%w: no decoder for %s", codec.ErrUnknown, p)
		}
		for t.receiver.Pull(t.now, f) {
			if f.Kind != audio.Media {
				continue
			}
			if !t.begun {
				t.begin, t.begun = f.Time, true
			}
			f.Captured = t.left.Add(f.Time - t.begin)
			return nil
		}
		if err := t.next(t.receiver.Next()); err != nil {
			return err
		}
	}
}

// ReadPacket copies the next packet that was sent into p, as it is coded, reusing
// the memory of p.Payload. Its Arrival is when it left. Redundant packets are left
// out, and telephone events and comfort noise come too. From the first ReadPacket
// on, ReadFrame fails with [ErrCoded]. Errors are those of ReadFrame.
func (t *Tap) ReadPacket(p *stream.Packet) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	if !t.apart {
		t.apart = true
		t.receiver.TakeCoded(&t.queue)
	}
	for !t.queue.Pop(p) {
		if err := t.next(time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// next gives the next packet to the receiver, or tells it that there is none more.
// It waits until the given time, which may be zero, for never.
func (t *Tap) next(until time.Time) error {
	if t.end != nil {
		return t.end
	}
	none, err := t.take(until)
	if none {
		t.now = until
		return nil
	}
	if err != nil {
		if _, over := errors.AsType[*EndError](err); over {
			t.end = endOfRead(err)
			t.receiver.End()
			return nil
		}
		return err
	}
	before := t.packet.SSRC
	if err := t.packet.Unmarshal(t.datagram); err != nil {
		return nil
	}
	if t.formats.red.Name != "" && t.packet.PayloadType == t.formats.red.PayloadType {
		r, err := payload.ParseRED(t.packet.Payload)
		if err != nil {
			return nil
		}
		primary := r.Primary()
		t.packet.PayloadType, t.packet.Payload = primary.PayloadType, primary.Payload
	}
	if t.packet.SSRC != before {
		// A source has to show two packets in sequence before it is heard, but this one
		// needs no proof: an empty packet goes before it.
		proof := t.packet
		proof.SequenceNumber--
		proof.Payload = nil
		t.receiver.Push(t.left, &proof)
	}
	t.receiver.Push(t.left, &t.packet)
	t.begun = false
	return nil
}

// take copies the packet that has waited longest, and waits for one. It reports
// whether there was none until the given time.
func (t *Tap) take(until time.Time) (none bool, err error) {
	c := t.audio.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(until); !until.IsZero() && t.count == 0 && wait > 0 {
		defer t.wake(wait).Stop()
	}
	late := false
	err = t.audio.wait(context.Background(), &t.waiting, func() bool {
		late = expired(t.deadline)
		none = expired(until) && t.count == 0
		return t.closed || late || none || t.count > 0
	})
	switch {
	case t.closed:
		return false, fmt.Errorf("parley: a tap: %w", os.ErrClosed)
	case err != nil:
		return false, err
	case late:
		return false, os.ErrDeadlineExceeded
	case none:
		return true, nil
	}
	p := &t.ring[t.first]
	t.first = (t.first + 1) % len(t.ring)
	t.count--
	t.left, t.now = p.left, p.left
	t.datagram = append(t.datagram[:0], p.datagram...)
	if p.formats != t.formats {
		t.formats = p.formats
		return false, t.receiver.SetCodecs(p.formats.codecs)
	}
	return false, nil
}

// wake makes a reader that waits look again.
func (t *Tap) wake(after time.Duration) *time.Timer {
	c := t.audio.call
	return time.AfterFunc(after, func() {
		c.mu.Lock()
		c.cond.Broadcast()
		c.mu.Unlock()
	})
}

// SetReadDeadline makes reads that have not finished at d fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (t *Tap) SetReadDeadline(d time.Time) {
	c := t.audio.call
	c.mu.Lock()
	defer c.mu.Unlock()
	t.deadline = d
	if t.alarm != nil {
		t.alarm.Stop()
		t.alarm = nil
	}
	if wait := time.Until(d); !d.IsZero() && wait > 0 && !t.closed {
		t.alarm = t.wake(wait)
	}
	c.cond.Broadcast()
}

// Dropped returns how many packets were not read in time, or too large to be
// kept: more than 1600 bytes.
func (t *Tap) Dropped() int64 {
	t.audio.call.mu.Lock()
	defer t.audio.call.mu.Unlock()
	return t.dropped
}

// Close ends the tap, and a read that waits.
func (t *Tap) Close() error {
	a := t.audio
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if t.alarm != nil {
		t.alarm.Stop()
	}
	t.closed = true
	t.count = 0
	a.taps = slices.DeleteFunc(a.taps, func(o *Tap) bool { return o == t })
	a.call.cond.Broadcast()
	return nil
}
