package parley

import (
	"encoding/binary"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// DeliverRTP takes a datagram with an RTP packet that arrived at the given time.
// It does not keep b. It is meant for legs.
func (a *Audio) DeliverRTP(arrival time.Time, b []byte) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	if err := a.packet.Unmarshal(b); err != nil {
		a.malformed++
		return
	}
	switch a.receiver.Push(arrival, &a.packet) {
	case stream.Accepted, stream.Probation:
		c.lastHeard = arrival
		if a.packet.SSRC != a.byeSource { // not one that the goodbye overtook
			a.byeAt = time.Time{}
		}
	}
	a.packet.Payload = nil
	if c.waiting.packet > 0 && a.coded.Len() > 0 {
		c.cond.Broadcast()
	}
	c.schedule()
}

// DeliverRTCP takes a datagram with an RTCP compound that arrived at the given
// time. It does not keep b. It is meant for legs.
func (a *Audio) DeliverRTCP(arrival time.Time, b []byte) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	a.rtcp.Receive(arrival, b, a.heed)
	if !c.lastHeard.IsZero() {
		c.lastHeard = arrival
	}
	c.schedule()
}

// heed acts on what the far end says by RTCP.
func (a *Audio) heed(e rtcpctl.Event) {
	if e.Kind != rtcpctl.Goodbye {
		return
	}
	if heard, ok := a.receiver.Heard(); ok && heard != e.SSRC {
		return
	}
	a.byeAt, a.byeSource, a.byeReason = time.Now(), e.SSRC, e.Text
}

// protocol says what a packet is that has to leave.
type protocol uint8

const (
	nothing protocol = iota
	media
	control
)

// dueLocked appends to dst the packet that has to leave at now, and says what
// it is.
func (a *Audio) dueLocked(now time.Time, dst []byte) ([]byte, protocol) {
	if b, ok := a.sender.AppendPacket(dst, now); ok {
		a.sentLocked(now, b)
		a.sending = true
		if a.call.waiting.room > 0 {
			a.call.cond.Broadcast()
		}
		return b, media
	}
	if next := a.rtcp.Next(); !a.call.connected.IsZero() && !next.IsZero() && !now.Before(next) {
		if b, ok := a.rtcp.AppendReport(dst, now); ok {
			return b, control
		}
	}
	if next := a.readersLocked(); !next.IsZero() && !now.Before(next) {
		a.call.cond.Broadcast()
	}
	return dst, nothing
}

// send sends a packet that was due, without the lock.
func (a *Audio) send(b []byte, p protocol) {
	var err error
	if p == control {
		err = a.leg.WriteRTCP(b)
	} else {
		err = a.leg.WriteRTP(b)
	}
	if err != nil {
		a.sendErrors.Add(1)
	}
}

// sentLocked counts a packet that is about to leave.
func (a *Audio) sentLocked(now time.Time, b []byte) {
	payload := len(b) - rtpHeader
	a.packetsSent++
	a.octetsSent += int64(payload)
	a.rtcp.Sent(now, binary.BigEndian.Uint32(b[4:]), payload)
}

const rtpHeader = 12

// nextLocked returns when dueLocked has something to do.
func (a *Audio) nextLocked() time.Time {
	next := earliest(a.sender.Next(), a.readersLocked())
	if !a.call.connected.IsZero() {
		next = earliest(next, a.rtcp.Next())
	}
	return next
}

// readersLocked returns when a goroutine that waits has to look again for
// itself.
func (a *Audio) readersLocked() time.Time {
	var next time.Time
	w := a.call.waiting
	if w.frame > 0 {
		next = earliest(a.receiver.Next(), a.readDeadline)
	}
	if w.packet > 0 {
		next = earliest(next, a.readDeadline)
	}
	if w.room > 0 {
		next = earliest(next, a.writeDeadline)
	}
	if w.drain > 0 && a.sender.Queued() == 0 {
		next = earliest(next, a.sender.Drained())
	}
	return next
}

// endLocked stops the audio, and returns the goodbye to send.
func (a *Audio) endLocked(now time.Time) []byte {
	a.receiver.End()
	if a.call.connected.IsZero() {
		return nil
	}
	b, _ := a.rtcp.AppendBye(nil, "", now)
	return b
}
