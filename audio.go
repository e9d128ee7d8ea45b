package parley

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
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
	MinDelay, MaxDelay time.Duration  // of the playout; 0: a PTime (of Fixed 60 ms), 500 ms
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
	FIR         bool          // ask for key frames by full intra request too (RFC 5104)

	// NACK is to ask for lost packets, and to send again what the far end asks for (RFC
	// 4585). Sound is asked for if it can be back before its playout: MinDelay should be
	// the round trip and 40 ms, or 100 ms where losses come in bursts. Requests leave as
	// often as Bandwidth allows: with that of 0 a few times a second, with 1000000 and
	// ReducedSize for each loss.
	NACK bool
}

// Audio is one line of audio of a [Call]: what the far end sends is read, and what it
// shall hear is written, as PCM frames or as coded packets. It implements
// [audio.Reader] and [audio.Writer]. One goroutine may read while another
// writes.
type Audio struct {
	line
	maxDelay time.Duration

	// For who has the turn to write frames.
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
	asked   time.Time               // when it was last
	ahead   interface{ Prefetch() } // leg, if it has that; else nil
	clocked bool                    // polled is asked again after pollInterval, and not when it wakes the call
	apart   bool                    // packets are read: frames cannot be
	inOrder bool                    // is the playout
	writing bool                    // somebody has the turn to write frames
	cut     cuts

	// For the loop, but that polls is guarded too.
	polls      bool // the leg is asked in this run, and has not been yet
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
// The Time of frames goes on without a gap, but for what a reader that fell behind has
// missed, and is on one timeline with that of [Video.ReadFrame]: what has the same Time
// belongs together. It begins at the first packet of either, so the first frame may
// have a later Time than 0.
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
		return a.pullLocked(now, f)
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

// pullLocked fills f with the frame that is due at now, for a goroutine that reads. One
// that comes before the loop, which reads the leg when a frame is due, waits for it: what
// the frame needs may have come long ago.
func (a *Audio) pullLocked(now time.Time, f *audio.Frame) bool {
	next := a.receiver.Next()
	unread := a.polled != nil && (a.polls || next.After(a.asked))
	if unread && !a.inOrder && a.overLocked() == nil {
		if !now.Before(next) {
			a.woken = time.Time{} // who was told of something else is to be told again
		}
		return false
	}
	return a.receiver.Pull(now, f)
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
