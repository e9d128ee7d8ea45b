package parley

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/dtmf"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// AudioConfig describes the audio of a [Call].
type AudioConfig struct {
	Leg     Leg
	Mid     string // in session descriptions; may be empty
	Label   string // of the far end's track; may be empty
	Send    codec.Params
	Receive []codec.Params // by payload type; telephone-event, CN and red are formats like others

	// Formats to send beside Send; one without a name is not used. Noise is sent
	// in pauses, and RED carries Generations earlier packets in each (0: 1).
	// Noise and RED need the clock rate of Send, and are left out if they have
	// another.
	Event, Noise, RED codec.Params
	Generations       int
	Duplicate         bool  // send each packet twice
	LevelExtension    uint8 // id of the audio level (RFC 6464), 1..14; 0: none

	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: 20 ms, 500 ms
	Preference         float64        // of Adaptive: from near 0, least delay, to 1, least loss; 0: 0.5
	Immediate          bool           // send when written, not on the media clock
	Silence            time.Duration  // that is sent when nothing more is written, before nothing is sent; negative: for as long as that lasts
	Direction          Direction

	SSRC  uint32 // 0: random
	CNAME string // "": random (RFC 7022)
	RTCP  RTCPConfig
}

// RTCPConfig describes the RTCP of a call. The zero value is what any far end
// understands.
type RTCPConfig struct {
	Bandwidth   int           // of the session, in bits per second, of which reports take 5 %; 0: 80000, and 2000000 for video
	Interval    time.Duration // shortest average time between reports; 0: 5 s; negative: the reduced minimum of RFC 3550, section 6.2
	XR          bool          // send extended reports (RFC 3611); they are always understood
	ReducedSize bool          // send feedback without a report (RFC 5506)
	NACK        bool          // ask for lost packets, and send again what the far end asks for (RFC 4585)
	FIR         bool          // ask for key frames by full intra request too (RFC 5104)
}

// Audio is one line of audio of a [Call]: what the far end sends is read, and what it
// shall hear is written, as PCM frames or as coded packets. It implements
// [audio.Reader] and [audio.Writer]. One goroutine may read while another
// writes.
type Audio struct {
	line
	maxDelay time.Duration

	writing sync.Mutex     // held by whoever writes frames; taken before call.mu
	adapter *audio.Adapter // not nil once a frame of another format was written
	adapted []int16
	written time.Duration // time of the end of what was queued

	adapterFlushes int // flushes when the adapter was made

	// Guarded by call.mu.
	fates   fates
	codecs  []codec.Params
	flushes int                 // a writer that waits gives up when it changes
	coded   *stream.PacketQueue // not nil once packets are read
	digits  ring[dtmf.Report]
	taps    []*Tap
	sayings *saying                 // that go on
	replies *replies                // nil: not measured
	handler func(*audio.Frame)      // nil: frames are read
	polled  PolledLeg               // the leg, if it has to be asked
	pollAt  time.Time               // when it is, at the latest; zero: when it wakes the call
	ahead   interface{ Prefetch() } // leg, if it has that; else nil
	apart   bool                    // packets are read: frames cannot be
	inOrder bool                    // is the playout
	cut     cuts

	// For the loop.
	polls      bool // the leg is asked in this run
	frame      audio.Frame
	handling   func(*audio.Frame)
	slowFrames atomic.Int64

	// What follows is as long as all of the above. Guarded by call.mu.
	receiver stream.AudioReceiver
	sender   stream.AudioSender
	sending  stream.SenderConfig
}

func newAudio(call *Call, c *AudioConfig, cname string) (*Audio, error) {
	a := call.reserved
	if call.reserved = nil; a == nil {
		a = new(Audio)
	}
	*a = Audio{
		line:     line{call: call, leg: c.Leg, name: "audio", mid: c.Mid, label: c.Label, direction: c.Direction},
		codecs:   c.Receive,
		maxDelay: cmp.Or(c.MaxDelay, 500*time.Millisecond),
		inOrder:  c.Playout == stream.InOrder,
		digits:   ring[dtmf.Report]{limit: maxDigits},
	}
	err := a.receiver.Reset(stream.ReceiverConfig{
		Codecs:         c.Receive,
		PTime:          c.PTime,
		Playout:        c.Playout,
		MinDelay:       c.MinDelay,
		MaxDelay:       c.MaxDelay,
		Preference:     c.Preference,
		LevelExtension: c.LevelExtension,
	})
	if err != nil {
		return nil, err
	}
	if !a.decodesAny() {
		a.takeCoded()
	}
	a.sending = fit(stream.SenderConfig{
		Codec:          c.Send,
		Event:          c.Event,
		Noise:          c.Noise,
		RED:            c.RED,
		Generations:    c.Generations,
		Duplicate:      c.Duplicate,
		LevelExtension: c.LevelExtension,
		PTime:          c.PTime,
		Immediate:      c.Immediate,
		Silence:        c.Silence,
		SSRC:           cmp.Or(c.SSRC, call.newSSRC()),
		Sequence:       randomSequence(),
		Timestamp:      rand.Uint32(),
	})
	if err := a.sender.Reset(a.sending); err != nil {
		return nil, err
	}
	now := time.Now()
	a.sender.Hold(now, !c.Direction.Sends())
	a.of, a.in, a.out = a, &a.receiver, &a.sender
	a.polled, _ = c.Leg.(PolledLeg)
	a.ahead, _ = c.Leg.(interface{ Prefetch() })
	a.startLocked(now, c.RTCP, rtcpctl.Config{CNAME: cname, ClockRate: c.Send.ClockRate, VoIP: a.voip})
	if c.RTCP.NACK {
		a.repair = newRepair(rtcpctl.HistoryConfig{}, maxAgain)
	}
	return a, nil
}

// Codec returns the payload format of what is sent.
func (a *Audio) Codec() codec.Params {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.sender.Codec()
}

// Decodes reports whether this build can decode the first codec that the far
// end was asked to send.
func (a *Audio) Decodes() bool {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return len(a.codecs) > 0 && a.receiver.Decodes(a.codecs[0].PayloadType)
}

// ReadFrame fills f with the next frame. It blocks until the first media, and
// from then on gives a frame per ptime for ever: media, or what stands for it,
// by f.Kind. With [stream.InOrder] it gives what was sent, in order, with
// explicit gaps. A reader that falls behind by more than the maximum delay is
// brought back to the present.
//
// The Time of frames goes on without a gap, and is on one timeline with that of
// [Video.ReadFrame]: what has the same Time belongs together. It begins at the
// first packet of either, so the first frame may have a later Time than 0.
//
// After the far end has ended the call, or the line was removed, what is left
// comes at once, and then [io.EOF]. After any other end the error is an
// [*EndError], behind what is left. It is [os.ErrDeadlineExceeded] after the read
// deadline, [ErrCoded] if packets are read, [ErrHandled] while frames go to a function,
// and wraps [codec.ErrUnknown] if this build can decode nothing that the far end may
// send. While the far end may not send, frames go on, without media.
func (a *Audio) ReadFrame(f *audio.Frame) error { return a.readFrame(context.Background(), f) }

func (a *Audio) readFrame(ctx context.Context, f *audio.Frame) (err error) {
	c := a.call
	defer c.guard(&err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !a.decodesAny() {
		return fmt.Errorf("%w: no decoder for %v", codec.ErrUnknown, a.codecs)
	}
	a.decodeLocked()
	var late, apart, handled bool
	err = a.wait(ctx, &a.waiting.frame, func() bool {
		over := a.overLocked() != nil
		if late, apart, handled = expired(a.readDeadline), a.apart && !over, a.handler != nil && !over; late || apart || handled {
			return true
		}
		now := time.Now()
		if over { // play out what is left
			if next := a.receiver.Next(); next.After(now) {
				now = next
			}
		}
		return a.receiver.Pull(now, f)
	})
	switch {
	case late:
		return os.ErrDeadlineExceeded
	case apart:
		return ErrCoded
	case handled:
		return ErrHandled
	case err != nil:
		return endOfRead(err)
	}
	a.hearLocked(f)
	return nil
}

// decodeLocked makes frames of what comes, unless packets are read.
func (a *Audio) decodeLocked() {
	if !a.apart && a.coded != nil {
		a.coded = nil // of the time before there was a codec that can be decoded
		a.receiver.TakeCoded(nil)
	}
}

// ErrCoded is returned by [Audio.ReadFrame] once [Audio.ReadPacket] was called.
var ErrCoded = errors.New("parley: the audio is read in coded packets")

// first returns the codec that the far end was asked to send first, and whether
// any of those it may send can be decoded.
func (a *Audio) first() (p codec.Params, decodes bool) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if len(a.codecs) > 0 {
		p = a.codecs[0]
	}
	return p, a.decodesAny()
}

func (a *Audio) decodesAny() bool {
	for _, p := range a.codecs {
		if a.receiver.Decodes(p.PayloadType) {
			return true
		}
	}
	return false
}

// WriteFrame queues the samples of f to be sent on the media clock, and blocks
// while the queue is full: it is for what was made in advance, such as a file or
// synthetic speech. What comes as fast as time goes by is for [Audio.WriteLive]. A
// frame may have any length, rate and number of channels, and goes on in the new codec
// when that changes in the midst of it. Samples follow each other whatever their f.Time
// says; that is for video, which leaves with the sound of the same Time. In a call with
// video a step of up to 10 s between frames whose times were continuous before is a
// pause, and f waits for its time.
//
// Before the call is connected the clock runs already, and what leaves is lost;
// [Call.WaitConnected] waits for that. While the direction does not let this end
// send, frames go by unheard at the same pace.
//
// The error wraps [audio.ErrFormat] if the format of f or the number of its
// samples is wrong, and [codec.ErrUnknown] if this build has no encoder for the
// call's codec. It is [os.ErrDeadlineExceeded] after the write deadline, when a
// part of f may have been taken, and an [*EndError] after the end of the call or of
// the line.
func (a *Audio) WriteFrame(f *audio.Frame) error { return a.writeFrame(context.Background(), f, false) }

// WriteLive is [Audio.WriteFrame] for frames that come as fast as time goes by, such
// as those that ReadFrame gives or a mixer makes. It never waits for room.
//
// After a stall of this machine, or of the one who writes, all that was missed comes
// at once. WriteFrame sends all of it, so that the far end hears everything, and
// everything that follows, up to 200 ms later for the rest of the call. WriteLive
// leaves out what has no room, and in the next two seconds what keeps the queue from
// becoming empty, as far as possible by whole pitch periods, which are not missed.
// LeftOut of [AudioStats] counts it. Without stalls nothing is left out.
//
// Silence that was read need not be written. The times of frames make no pauses.
// What WriteFrame has queued is sent first, and in full.
func (a *Audio) WriteLive(f *audio.Frame) error { return a.writeFrame(context.Background(), f, true) }

func (a *Audio) writeFrame(ctx context.Context, f *audio.Frame, live bool) (err error) {
	if err := f.Check(); err != nil {
		return err
	}
	defer a.call.guard(&err)
	a.writing.Lock()
	defer a.writing.Unlock()
	rest, begun := *f, -1
	for {
		format, flushes, err := a.target()
		if err != nil {
			return err
		}
		if begun >= 0 && flushes != begun {
			return nil
		}
		begun = flushes
		left, err := a.writeAs(ctx, &rest, format, flushes, live)
		n := min(f.Format.Samples(left), len(rest.Samples))
		if err != nil || n == 0 {
			return err
		}
		done := len(rest.Samples) - n
		rest.Samples, rest.Time = rest.Samples[done:], rest.Time+f.Format.Duration(done)
	}
}

// writeAs writes a frame in the format of the sender, and returns what is left of it
// when that has gone over to another one.
func (a *Audio) writeAs(ctx context.Context, f *audio.Frame, format audio.Format, flushes int, live bool) (left time.Duration, err error) {
	if a.adapter != nil && (a.adapter.Format() != format || a.adapterFlushes != flushes) {
		a.adapter = nil
	}
	if a.adapter == nil && f.Format == format {
		return a.queue(ctx, format, flushes, f.Samples, f.Time, live)
	}
	if a.adapter == nil {
		if a.adapter, err = audio.NewAdapter(format); err != nil {
			return 0, err
		}
		a.adapterFlushes = flushes
	}
	if a.adapted, err = a.adapter.Append(a.adapted[:0], f); err != nil {
		return 0, err
	}
	return a.queue(ctx, format, flushes, a.adapted, f.Time, live)
}

// target returns what the sender takes.
func (a *Audio) target() (format audio.Format, flushes int, err error) {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	if format = a.sender.Format(); format.Rate == 0 {
		err = codec.NoEncoder(a.sender.Codec())
	}
	return format, a.flushes, err
}

// queue gives samples of the given time to the sender, and waits while it has no
// room, unless they are live. What is left of them when the queue is flushed is
// dropped, and returned when the sender goes over to another format.
func (a *Audio) queue(ctx context.Context, format audio.Format, flushes int, samples []int16, at time.Duration, live bool) (left time.Duration, err error) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := a.overLocked(); end != nil {
		return 0, end
	}
	if live {
		return 0, a.queueLiveLocked(&audio.Frame{Format: format, Samples: samples, Time: at}, flushes)
	}
	for len(samples) > 0 {
		late, over := false, false
		err := a.wait(ctx, &a.waiting.room, func() bool {
			late = expired(a.writeDeadline)
			over = a.flushes != flushes || a.sender.Format() != format
			return late || over || a.sender.Room() >= format.Channels
		})
		switch {
		case err != nil:
			return 0, err
		case ctx.Err() != nil: // or else this would come behind the Flush of Say
			return 0, ctx.Err()
		case a.overLocked() != nil:
			return 0, a.overLocked()
		case over && a.flushes != flushes:
			return 0, nil
		case over:
			return format.Duration(len(samples)), nil
		case late:
			return 0, os.ErrDeadlineExceeded
		}
		n := min(len(samples), a.sender.Room()/format.Channels*format.Channels)
		part := audio.Frame{Format: format, Samples: samples[:n], Time: at}
		now := time.Now()
		a.sayLocked(now, &part)
		if err := a.sender.Write(now, &part); err != nil {
			return 0, err
		}
		samples = samples[n:]
		at += format.Duration(n)
		a.written = at
		a.sendDueLocked(now)
	}
	return 0, nil
}

func (a *Audio) queueLiveLocked(f *audio.Frame, flushes int) error {
	if a.flushes != flushes || a.sender.Format() != f.Format {
		return nil
	}
	now := time.Now()
	a.replies.writeLive(now, f)
	if err := a.sender.WriteLive(now, f); err != nil {
		return err
	}
	a.written = f.Time + f.Duration()
	a.sendDueLocked(now)
	return nil
}

// nearly is how long before its time a packet may leave: the loop, which works in
// steps of a millisecond, would send it after that.
const nearly = time.Millisecond

// sendDueLocked sends the packet that what was just written has made due, without the
// lock meanwhile; the ones after it are for the loop. Who reads a frame and answers it
// at once needs no other run of the loop for that.
func (a *Audio) sendDueLocked(now time.Time) {
	c := a.call
	defer c.schedule()
	next := a.sender.Next()
	if c.running || next.IsZero() || next.Sub(now) >= nearly {
		return
	}
	buf := packets.Get().(*[packetSize]byte)
	defer packets.Put(buf)
	b, what := a.mediaLocked(later(now, next), buf[:0])
	if what == nothing {
		return
	}
	a.direct = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		a.direct = false
	}()
	a.send(b, what)
}

// Flush drops what waits to be sent, as when the far end interrupts, and says
// what became of all that was written since the Flush before. What leaves next
// fades out over the given time, 8 ms being enough, so that no click is heard; 0
// means a cut. A WriteFrame that waits for room returns, without an error and
// without the rest of its frame; Say returns [ErrFlushed]. Digits are sent to their
// end.
func (a *Audio) Flush(fade time.Duration) stream.Played {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.flushLocked(fade)
}

func (a *Audio) flushLocked(fade time.Duration) stream.Played {
	a.flushes++
	played := a.sender.Flush(fade)
	a.replies.flush(time.Now())
	for s := a.sayings; s != nil; s = s.next {
		s.flush(played)
	}
	a.sayings = nil
	a.call.cond.Broadcast()
	a.call.schedule()
	return played
}

// Played says what became so far of what was written since the last Flush.
func (a *Audio) Played() stream.Played {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	return a.sender.Played()
}

// Drain blocks until everything written has been sent and its time has passed,
// so that nothing is cut off when the call is closed next. The error is that of
// ctx, or an [*EndError] if the call or the line ends before.
func (a *Audio) Drain(ctx context.Context) error {
	defer a.call.watch(ctx)()
	if err := a.flushAdapter(ctx); err != nil {
		return err
	}
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.wait(ctx, &a.waiting.drain, func() bool {
		return a.sender.Queued() == 0 && a.sender.PendingDigits() == 0 && !a.leaving && !a.direct && !time.Now().Before(a.sender.Drained())
	})
}

// flushAdapter queues what the change of the sampling rate has held back.
func (a *Audio) flushAdapter(ctx context.Context) error {
	if !a.writing.TryLock() { // what is held back goes on with what is being written
		return nil
	}
	defer a.writing.Unlock()
	if a.adapter == nil {
		return nil
	}
	format, flushes, err := a.target()
	if err != nil || a.adapter.Format() != format || a.adapterFlushes != flushes {
		return err
	}
	a.adapted = a.adapter.Flush(a.adapted[:0])
	_, err = a.queue(ctx, format, flushes, a.adapted, a.written, false)
	return err
}
