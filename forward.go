package parley

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/stream"
)

// A Forwarder sends to one line of audio what another one hears. What comes in the
// codec that the destination sends goes on as it is: at once, from within the
// delivery of the packet, without a jitter buffer, a decoder or another goroutine.
// What comes in another codec is decoded, played out and encoded again, live as
// [Audio.WriteLive] does it. Which of the two is decided anew with each packet, so
// that a source, or an agreement of either end, may change in mid-call.
//
// A packet that is forwarded gets the SSRC, the payload type, the sequence number and
// the timestamp of the destination's own stream. Differences between the numbers of
// one source are kept: its losses, its order and its pauses are those that the far
// end of the destination sees, and reports. Another source, a restart, and what is
// forwarded after a hold go on behind what was sent before. The marker is kept, and
// set where numbers go on like that. Header extensions and the list of contributing
// sources stay behind, since their meaning was agreed on with one end only, and so does
// what is left of a key that was pressed before. The length of packets is that of the
// source. Of what comes at once after a stall, of the network or of this machine, only the
// last MaxDelay of the source is sent on: the rest would wait at the far end from then on.
//
// Frames that are written to the destination meanwhile, as an announcement by
// [Audio.Say], are heard in the place of what the source sends.
type Forwarder struct {
	src, dst *Audio

	// Guarded by src.call.mu.
	sends   *sentFormats  // by dst, when format was compared with them
	format  *codec.Params // of src
	same    bool
	passing bool  // a goroutine sends packets; without one there are none to be sent
	stopped bool  // no other one begins
	end     error // why nothing more can be sent
	stats   ForwardStats
	queue   *stream.PacketQueue // copies of packets that came while another one was being sent; nil: none has

	// For the goroutine that is passing.
	loaded bool          // packet is one
	packet stream.Packet // lies in the datagram that this goroutine delivers
	copied stream.Packet // from queue

	encoded bool // frames were written since the last packet; guarded by dst.call.mu
}

// ForwardStats count what a [Forwarder] did.
type ForwardStats struct {
	Forwarded  int64 // packets sent as they came
	Octets     int64 // of their payloads
	Withheld   int64 // packets not sent: on hold, during a digit or what was written to the destination, in a codec that was just given up, not understood by the far end, or so late that no number is left for them, or nobody would wait; and frames for which this build has no encoder
	Transcoded int64 // frames that were decoded and encoded again
}

// NewForwarder returns what sends to dst what src hears, once it runs. The two may be
// the same line.
func NewForwarder(dst, src *Audio) *Forwarder { return &Forwarder{src: src, dst: dst} }

// An ImmediateLeg is a [Leg] that can receive in a way which suits packets that are
// sent on as soon as they come.
type ImmediateLeg interface {
	Leg

	// Immediate says that this begins. It is called before the first packet is
	// forwarded, maybe more than once, and may block for as long as delivering a packet
	// takes.
	Immediate()
}

var errForwarded = errors.New("parley: the audio is being forwarded already")

// Run forwards until either line or its call ends, or ctx is cancelled, and returns
// nil when the far end of the source has ended its call, else why it stopped. A
// Forwarder runs once, and a line has one Forwarder that runs.
func (f *Forwarder) Run(ctx context.Context) error {
	given := ctx
	ctx, stop := f.dst.within(ctx)
	defer stop()
	defer f.dst.call.watch(ctx)()
	defer f.src.call.watch(ctx)()
	if !f.src.forwarder.CompareAndSwap(nil, f) {
		return errForwarded
	}
	defer f.src.forwarder.Store(nil)
	f.begin()
	defer f.finish()
	return f.dst.whyStopped(given, f.transcode(ctx))
}

// Stats fills in s. It may be called at any time.
func (f *Forwarder) Stats(s *ForwardStats) {
	f.src.call.mu.Lock()
	defer f.src.call.mu.Unlock()
	*s = f.stats
}

// Coded reports whether the packets that come now are forwarded as they are.
func (f *Forwarder) Coded() bool {
	f.src.call.mu.Lock()
	defer f.src.call.mu.Unlock()
	return f.src.receiver.Diverts()
}

// ForwardsDigits reports whether the keys that the far end of the source presses now
// reach the destination in its packets. Otherwise they have to be read and sent.
func (f *Forwarder) ForwardsDigits() bool {
	f.src.call.mu.Lock()
	defer f.src.call.mu.Unlock()
	sends := f.dst.sends.Load()
	return sends != nil && f.src.receiver.Diverts() &&
		slices.ContainsFunc(f.src.codecs, func(p codec.Params) bool { return p.Same(sends.event) })
}

func (f *Forwarder) begin() {
	f.dst.call.mu.Lock()
	f.dst.announceLocked()
	f.dst.call.mu.Unlock()

	a := f.src
	if leg, ok := a.leg.(ImmediateLeg); ok {
		leg.Immediate()
	}
	expected, decodes := a.first()
	if decodes {
		a.decodeAgain()
	}
	a.call.mu.Lock()
	d := (*diversion)(f)
	a.receiver.Divert(d, d.Takes(&expected))
	waits := a.coded != nil && a.coded.Len() > 0 // for want of a decoder
	if waits {
		f.queue, f.passing = a.coded, true
		a.coded = nil
		a.takeCoded()
	}
	a.call.mu.Unlock()
	if waits {
		f.pass()
	}
}

func (f *Forwarder) finish() {
	c := f.src.call
	c.mu.Lock()
	defer c.mu.Unlock()
	f.src.receiver.Divert(nil, false)
	f.stopped = true
	for f.passing {
		c.cond.Wait()
	}
}

// diversion is a Forwarder for the receiver of its source, which calls it with
// src.call.mu held.
type diversion Forwarder

// Takes reports whether packets of a format of the source can be forwarded.
func (f *diversion) Takes(p *codec.Params) bool {
	if s := f.dst.sends.Load(); s != f.sends || p != f.format {
		f.sends, f.format, f.same = s, p, p.Same(s.codec)
	}
	return f.same
}

// Take has a packet sent by the goroutine that delivers it, as soon as it has let go of
// the lock, or by the one that is sending already. Only the former needs no copy, and
// only of what is in the datagram itself.
func (f *diversion) Take(p *stream.Packet) {
	own := f.src.packet.Payload
	if !f.passing && len(own) > 0 && &own[0] == &p.Payload[0] {
		f.packet, f.loaded, f.passing = *p, true, true
		f.src.claimed = (*Forwarder)(f)
		return
	}
	if f.queue == nil {
		f.queue = new(stream.PacketQueue)
	}
	f.queue.Push(p)
	if !f.passing {
		f.passing = true
		f.src.claimed = (*Forwarder)(f)
	}
}

// sentFormats are what a line of audio sends, for those who forward to it: they must
// not take its lock while they hold that of another call.
type sentFormats struct{ codec, event codec.Params }

func (a *Audio) announceLocked() {
	a.sends.Store(&sentFormats{a.sending.Codec, a.sending.Event})
}

// settledLocked reports whether a packet that is forwarded, of the same source as the
// one before, makes nothing due any earlier.
func (l *line) settledLocked() bool {
	return l.heard == l.packet.SSRC && !l.muted && l.bye == nil && l.repair == nil && !l.call.scheduled.IsZero()
}

// pass sends what was taken, without the lock. Nothing is to be done for a nil f.
func (f *Forwarder) pass() {
	if f == nil {
		return
	}
	c := f.src.call
	p := &f.copied
	if f.loaded {
		p = &f.packet
	} else {
		c.mu.Lock()
		f.queue.Pop(p)
		c.mu.Unlock()
	}
	for more := true; more; p = &f.copied {
		n, err := f.send(p)
		c.mu.Lock()
		if n > 0 {
			f.stats.Forwarded++
			f.stats.Octets += int64(len(p.Payload))
		} else {
			f.stats.Withheld++
		}
		if err != nil && f.end == nil && !errors.Is(err, audio.ErrFormat) {
			f.end = err
			c.cond.Broadcast()
		}
		f.loaded = false
		more = !f.stopped && f.queue != nil && f.queue.Pop(&f.copied)
		if !more {
			f.passing = false
			f.packet.Payload = nil
			if f.stopped {
				c.cond.Broadcast()
			}
		}
		c.mu.Unlock()
	}
}

// send sends a packet by the rules of [Audio.WritePacket], and returns its length.
func (f *Forwarder) send(p *stream.Packet) (n int, err error) {
	if len(p.Payload) > packetSize-12 {
		return 0, audio.ErrFormat
	}
	buf := packets.Get().(*[packetSize]byte)
	defer packets.Put(buf)
	a := f.dst
	a.call.mu.Lock()
	if end := a.overLocked(); end != nil {
		a.call.mu.Unlock()
		return 0, end
	}
	if f.encoded {
		f.encoded = false
		a.flushLocked(0)
	}
	if a.sender.Queued() > 0 { // nobody would understand the two in turns
		a.call.mu.Unlock()
		return 0, nil
	}
	now := time.Now()
	if now.Sub(p.Arrival) > f.src.maxDelay && !p.Codec.Same(a.sending.Event) { // this machine stood still
		a.call.mu.Unlock()
		return 0, nil
	}
	b, err := a.sender.AppendForward(buf[:0], now, p)
	if len(b) > 0 {
		a.sentLocked(now, b)
		a.tapLocked(now, b)
	}
	a.call.mu.Unlock()
	if len(b) > 0 {
		a.line.send(b, media)
	}
	return len(b), err
}

// transcode does what has to be decoded.
func (f *Forwarder) transcode(ctx context.Context) error {
	var frame audio.Frame
	var missing string     // codec, of which the log has been told
	for ctx.Err() == nil { // which who is always behind would not see in read
		if err := f.read(ctx, &frame); err != nil {
			return err
		}
		if frame.Kind == audio.Silence {
			continue
		}
		f.dst.call.mu.Lock()
		f.encoded = true
		f.dst.call.mu.Unlock()
		// What is left of a source that has ended comes at once.
		err := f.dst.writeFrame(ctx, &frame, f.src.ended() == nil)
		switch {
		case errors.Is(err, codec.ErrUnknown): // this build has no encoder for what the far end takes
			f.count(&f.stats.Withheld)
			if name := f.dst.Codec().Name; name != missing {
				missing = name
				f.dst.call.logger.Warn("what is forwarded cannot be heard", "error", err)
			}
		case err != nil:
			return err
		default:
			f.count(&f.stats.Transcoded)
		}
	}
	return ctx.Err()
}

func (f *Forwarder) count(n *int64) {
	f.src.call.mu.Lock()
	*n++
	f.src.call.mu.Unlock()
}

// read fills frame with the next one that was decoded.
func (f *Forwarder) read(ctx context.Context, frame *audio.Frame) (err error) {
	a := f.src
	c := a.call
	defer c.guard(&err)
	c.mu.Lock()
	defer c.mu.Unlock()
	err = a.wait(ctx, &a.waiting.forward, func() bool {
		if f.end != nil {
			return true
		}
		now := time.Now()
		if a.overLocked() != nil { // play out what is left
			if next := a.receiver.Next(); next.After(now) {
				now = next
			}
		}
		return a.pullLocked(now, frame)
	})
	switch {
	case f.end != nil:
		return f.end
	case err != nil:
		return endOfRead(err)
	}
	return nil
}
