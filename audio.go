package parley

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// AudioConfig describes the audio of a [Call].
type AudioConfig struct {
	Leg     Leg
	Send    codec.Params
	Receive []codec.Params // by payload type

	PTime              time.Duration  // of packets sent and frames read; 0: 20 ms
	Playout            stream.Playout // zero value: Adaptive
	MinDelay, MaxDelay time.Duration  // of the playout; 0: 60 ms, 500 ms
	Immediate          bool           // send when written, not on the media clock

	SSRC  uint32 // 0: random
	CNAME string // "": random (RFC 7022)
}

// Audio is the audio of a [Call]: what the far end sends is read, and what it
// shall hear is written, as PCM frames or as coded packets. It implements
// [audio.Reader] and [audio.Writer]. One goroutine may read while another
// writes.
type Audio struct {
	call       *Call
	leg        Leg
	sendErrors atomic.Int64

	writing sync.Mutex     // held by whoever writes frames; taken before call.mu
	adapter *audio.Adapter // not nil once a frame of another format was written
	adapted []int16

	// Guarded by call.mu.
	receiver  *stream.AudioReceiver
	sender    *stream.AudioSender
	rtcp      *rtcpctl.Session
	codecs    []codec.Params
	sending   bool                // a packet taken from the sender is on its way through the leg
	coded     *stream.PacketQueue // not nil once packets are read
	packet    rtp.Packet
	byeAt     time.Time // when the source that is heard said goodbye
	byeSource uint32
	byeReason string

	packetsSent, octetsSent     int64
	malformed                   int64
	readDeadline, writeDeadline time.Time
}

// byeGrace is how long a call goes on after the goodbye of its source, so that
// another source may take over, as in a transfer.
const byeGrace = 200 * time.Millisecond

func newAudio(call *Call, c *AudioConfig) (*Audio, error) {
	a := &Audio{call: call, leg: c.Leg, codecs: c.Receive}
	var err error
	a.receiver, err = stream.NewAudioReceiver(stream.ReceiverConfig{
		Codecs:   c.Receive,
		PTime:    c.PTime,
		Playout:  c.Playout,
		MinDelay: c.MinDelay,
		MaxDelay: c.MaxDelay,
	})
	if err != nil {
		return nil, err
	}
	if !a.decodesAny() {
		a.takeCoded()
	}
	sender := stream.SenderConfig{
		Codec:     c.Send,
		PTime:     c.PTime,
		Immediate: c.Immediate,
		SSRC:      cmp.Or(c.SSRC, rand.Uint32()|1),
		Sequence:  uint16(rand.Uint32() >> 17), // below 32768, so that the first wrap is far off (RFC 3711, section 3.3.1)
		Timestamp: rand.Uint32(),
	}
	a.sender, err = stream.NewAudioSender(sender)
	if errors.Is(err, codec.ErrUnknown) {
		a.sender, err = stream.NewForwarder(sender), nil
	}
	if err != nil {
		return nil, err
	}
	a.rtcp = rtcpctl.NewSession(rtcpctl.Config{
		SSRC:      sender.SSRC,
		CNAME:     c.CNAME,
		ClockRate: c.Send.ClockRate,
		Sources:   a.receiver.AppendReceptions,
	})
	a.rtcp.Start(time.Now())
	return a, nil
}

// Codec returns the payload format of what is sent.
func (a *Audio) Codec() codec.Params { return a.sender.Codec() }

// Decodes reports whether this build can decode the first codec that the far
// end was asked to send.
func (a *Audio) Decodes() bool {
	return len(a.codecs) > 0 && a.receiver.Decodes(a.codecs[0].PayloadType)
}

// SSRC returns the synchronisation source of what is sent.
func (a *Audio) SSRC() uint32 { return a.sender.SSRC() }

// SetReadDeadline makes reads that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (a *Audio) SetReadDeadline(t time.Time) { a.setDeadline(&a.readDeadline, t) }

// SetWriteDeadline makes writes that have not finished at t fail with
// [os.ErrDeadlineExceeded]. The zero Time means no deadline.
func (a *Audio) SetWriteDeadline(t time.Time) { a.setDeadline(&a.writeDeadline, t) }

func (a *Audio) setDeadline(d *time.Time, t time.Time) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	*d = t
	c.cond.Broadcast()
	c.schedule()
}

func expired(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// ReadFrame fills f with the next frame. It blocks until the first media, and
// from then on gives a frame per ptime for ever: media, or what stands for it,
// by f.Kind. With [stream.InOrder] it gives what was sent, in order, with
// explicit gaps. A reader that falls behind by more than the maximum delay is
// brought back to the present.
//
// After the far end has ended the call, what is left comes at once, and then
// [io.EOF]. After any other end the error is an [*EndError].
func (a *Audio) ReadFrame(f *audio.Frame) error { return a.readFrame(context.Background(), f) }

func (a *Audio) readFrame(ctx context.Context, f *audio.Frame) error {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if !a.decodesAny() {
		return fmt.Errorf("%w: no decoder for %v", codec.ErrUnknown, a.codecs)
	}
	late := false
	err := c.wait(ctx, &c.waiting.frame, func() bool {
		if late = expired(a.readDeadline); late {
			return true
		}
		now := time.Now()
		if c.end != nil { // play out what is left
			if next := a.receiver.Next(); next.After(now) {
				now = next
			}
		}
		return a.receiver.Pull(now, f)
	})
	switch {
	case late:
		return os.ErrDeadlineExceeded
	case err != nil:
		return a.endOfRead(err)
	}
	return nil
}

// endOfRead turns the end of a call by the far end into io.EOF.
func (a *Audio) endOfRead(err error) error {
	if end := a.call.end; end != nil && err == error(end) && end.Reason == Bye {
		return io.EOF
	}
	return err
}

func (a *Audio) decodesAny() bool {
	for _, p := range a.codecs {
		if a.receiver.Decodes(p.PayloadType) {
			return true
		}
	}
	return false
}

// ReadPacket copies the next coded packet into p, reusing the memory of
// p.Payload. Packets come as they are received: validated, but neither ordered
// nor delayed. From the first ReadPacket on, ReadFrame gets nothing; packets
// that nobody reads are dropped, oldest first. It ends as ReadFrame does.
func (a *Audio) ReadPacket(p *stream.Packet) error { return a.readPacket(context.Background(), p) }

func (a *Audio) readPacket(ctx context.Context, p *stream.Packet) error {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	a.takeCoded()
	late := false
	err := c.wait(ctx, &c.waiting.packet, func() bool {
		late = expired(a.readDeadline)
		return late || a.coded.Pop(p)
	})
	switch {
	case late:
		return os.ErrDeadlineExceeded
	case err != nil:
		return a.endOfRead(err)
	}
	return nil
}

// takeCoded keeps packets coded from now on, for ReadPacket.
func (a *Audio) takeCoded() {
	if a.coded == nil {
		a.coded = &stream.PacketQueue{}
		a.receiver.TakeCoded(a.coded)
	}
}

// decodeAgain undoes takeCoded: packets are decoded again, for ReadFrame.
func (a *Audio) decodeAgain() {
	a.call.mu.Lock()
	defer a.call.mu.Unlock()
	a.coded = nil
	a.receiver.TakeCoded(nil)
}

// WriteFrame queues the samples of f to be sent on the media clock, and blocks
// while the queue is full. A frame may have any length, rate and number of
// channels.
func (a *Audio) WriteFrame(f *audio.Frame) error { return a.writeFrame(context.Background(), f) }

func (a *Audio) writeFrame(ctx context.Context, f *audio.Frame) error {
	if err := f.Check(); err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	format := a.sender.Format()
	if format.Rate == 0 {
		return fmt.Errorf("%w: no encoder for %s", codec.ErrUnknown, a.sender.Codec())
	}
	if a.adapter == nil && f.Format == format {
		return a.queue(ctx, f.Samples)
	}
	if a.adapter == nil {
		var err error
		if a.adapter, err = audio.NewAdapter(format); err != nil {
			return err
		}
	}
	var err error
	if a.adapted, err = a.adapter.Append(a.adapted[:0], f); err != nil {
		return err
	}
	return a.queue(ctx, a.adapted)
}

// queue gives samples to the sender, and waits while it has no room.
func (a *Audio) queue(ctx context.Context, samples []int16) error {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	format := a.sender.Format()
	for len(samples) > 0 {
		late := false
		err := c.wait(ctx, &c.waiting.room, func() bool {
			late = expired(a.writeDeadline)
			return late || a.sender.Room() >= format.Channels
		})
		switch {
		case err != nil:
			return err
		case late:
			return os.ErrDeadlineExceeded
		case c.end != nil:
			return c.end
		}
		n := min(len(samples), a.sender.Room()/format.Channels*format.Channels)
		part := audio.Frame{Format: format, Samples: samples[:n]}
		if err := a.sender.Write(time.Now(), &part); err != nil {
			return err
		}
		samples = samples[n:]
		c.schedule()
	}
	return nil
}

// WritePacket sends a coded packet at once, with the call's own SSRC, sequence
// number and timestamp. The error wraps [audio.ErrFormat] if it is not of the
// call's codec.
func (a *Audio) WritePacket(p *stream.Packet) error {
	buf := packets.Get().(*[packetSize]byte)
	defer packets.Put(buf)
	c := a.call
	c.mu.Lock()
	if c.end != nil {
		defer c.mu.Unlock()
		return c.end
	}
	now := time.Now()
	b, err := a.sender.AppendForward(buf[:0], now, p)
	if err == nil {
		a.sentLocked(now, b)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	a.send(b, media)
	return nil
}

// packets are buffers for packets on their way out.
var packets = sync.Pool{New: func() any { return new([packetSize]byte) }}

const packetSize = 1600

// Drain blocks until everything written has been sent and its time has passed,
// so that nothing is cut off when the call is closed next.
func (a *Audio) Drain(ctx context.Context) error {
	defer a.call.watch(ctx)()
	if err := a.flushAdapter(ctx); err != nil {
		return err
	}
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, &c.waiting.drain, func() bool {
		return a.sender.Queued() == 0 && !a.sending && !time.Now().Before(a.sender.Drained())
	})
}

// flushAdapter queues what the change of the sampling rate has held back.
func (a *Audio) flushAdapter(ctx context.Context) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.adapter == nil {
		return nil
	}
	a.adapted = a.adapter.Flush(a.adapted[:0])
	return a.queue(ctx, a.adapted)
}
