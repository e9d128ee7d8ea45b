package parley

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/stream"
)

// ReadPacket copies the next coded packet into p, reusing the memory of
// p.Payload. Packets come as they are received: validated, but neither ordered
// nor delayed. From the first ReadPacket on, ReadFrame fails with [ErrCoded];
// packets that nobody reads are dropped, oldest first. It ends as ReadFrame does, and
// fails with [ErrHandled] while frames go to a function, which would hear nothing more.
func (a *Audio) ReadPacket(p *stream.Packet) error { return a.readPacket(context.Background(), p) }

func (a *Audio) readPacket(ctx context.Context, p *stream.Packet) error {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.handler != nil && a.overLocked() == nil {
		return ErrHandled
	}
	a.takeCoded()
	if !a.apart {
		a.apart = true
		c.cond.Broadcast() // for those who wait for frames
	}
	return a.read(ctx, &a.waiting.packet, func() bool { return a.coded.Pop(p) })
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
	a.coded, a.apart = nil, false
	a.receiver.TakeCoded(nil)
}

// WritePacket sends a coded packet at once, with the call's own SSRC, sequence
// number and timestamp. Video of the same Time leaves with it, as with that of
// WriteFrame. It never blocks. Before the call is connected, and while the
// direction does not let this end send, p is lost, and so is one from before the first
// that was sent, for which no number is left. The error wraps
// [audio.ErrFormat] if p is not of the call's codec or larger than a datagram, and
// is an [*EndError] after the end of the call or of the line. What the network
// refuses is counted in SendErrors of [LineStats].
func (a *Audio) WritePacket(p *stream.Packet) error {
	if len(p.Payload) > maxAudioPayload {
		return fmt.Errorf("%w: a packet of %d bytes", audio.ErrFormat, len(p.Payload))
	}
	buf := packets.Get().(*[packetSize]byte)
	defer packets.Put(buf)
	c := a.call
	c.mu.Lock()
	if end := a.overLocked(); end != nil {
		defer c.mu.Unlock()
		return end
	}
	now := time.Now()
	b, err := a.sender.AppendForward(buf[:0], now, p)
	if len(b) > 0 {
		a.sentLocked(now, b)
		a.tapLocked(now, b)
	}
	c.mu.Unlock()
	if err != nil || len(b) == 0 { // on hold, or while a digit is sent
		return err
	}
	a.send(b, media)
	return nil
}

// packets are buffers for packets on their way out.
var packets = sync.Pool{New: func() any { return new([packetSize]byte) }}

const (
	packetSize      = 1600
	maxAudioPayload = 65000 // with the headers of IP, UDP, RTP and SRTP a datagram
)
