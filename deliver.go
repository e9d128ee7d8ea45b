package parley

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// DeliverRTP takes a datagram with an RTP packet that arrived at the given time,
// and from the given address, which may be the zero one if nobody knows. It does
// not keep b. It is meant for legs.
func (a *Audio) DeliverRTP(arrival time.Time, from netip.AddrPort, b []byte) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	if err := a.packet.Unmarshal(b); err != nil || a.packet.Version != 2 {
		a.malformed++
		return
	}
	defer func() { a.packet.Payload = nil }()
	if a.packet.SSRC == a.sender.SSRC() {
		a.collidedLocked(arrival, from)
		c.schedule()
		return
	}
	if !a.direction.Receives() {
		a.unwanted++
		return
	}
	verdict := a.receiver.Push(arrival, &a.packet)
	switch verdict {
	case stream.Accepted, stream.Probation:
		c.lastHeard = arrival
		if a.packet.SSRC != a.byeSource { // not one that the goodbye overtook
			a.byeAt = time.Time{}
		}
	}
	a.followLocked(arrival, verdict)
	a.digitsLocked(arrival)
	if c.waiting.packet > 0 && a.coded.Len() > 0 {
		c.cond.Broadcast()
	}
	c.schedule()
}

// followLocked looks at what the packet that was pushed last changes.
func (a *Audio) followLocked(now time.Time, v stream.Verdict) {
	r := a.receiver.Reception()
	if r == nil || r.SSRC() != a.packet.SSRC {
		return
	}
	a.fates.packet(r.SSRC(), r.Seq(), v)
	if ssrc := r.SSRC(); ssrc != a.heard {
		e := Event{Kind: SourceChanged, SSRC: ssrc}
		if a.heard == 0 {
			e.Kind = FirstMedia
		}
		a.heard = ssrc
		if a.repair != nil {
			a.repair.requester.Reset()
		}
		a.call.emitLocked(e)
	}
	if a.repair != nil && v == stream.Accepted {
		var s stream.ReceiverStats
		a.receiver.Stats(&s)
		a.repair.missed(now, a.rtcp.RTT(), a.sender.PTime(), max(s.Delay, s.Target), r)
	}
}

// collidedLocked takes notice of a packet in our own name, and takes another
// source if that is a collision (RFC 3550, section 8.2).
func (a *Audio) collidedLocked(now time.Time, from netip.AddrPort) {
	if !a.rtcp.Collided(now, from) {
		return
	}
	ssrc := randomSSRC()
	if bye, ok := a.rtcp.AppendRename(nil, ssrc, now); ok {
		a.control.push(bye)
	}
	a.sender.SetSSRC(now, ssrc, randomSequence(), rand.Uint32())
	if a.repair != nil {
		a.repair.history.Reset()
	}
	a.call.emitLocked(Event{Kind: Collision, SSRC: ssrc, Addr: from})
}

// DeliverRTCP takes a datagram with an RTCP compound that arrived at the given
// time, and from the given address, which may be the zero one. It does not keep
// b. It is meant for legs.
func (a *Audio) DeliverRTCP(arrival time.Time, from netip.AddrPort, b []byte) {
	c := a.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return
	}
	impersonated := false
	a.rtcp.Receive(arrival, b, func(e rtcpctl.Event) {
		impersonated = impersonated || e.Kind == rtcpctl.Impersonated
		a.heed(arrival, e)
	})
	if impersonated {
		a.collidedLocked(arrival, from)
	}
	a.breakerLocked()
	if !c.lastHeard.IsZero() {
		c.lastHeard = arrival
	}
	c.schedule()
}

// heed acts on what the far end says by RTCP.
func (a *Audio) heed(now time.Time, e rtcpctl.Event) {
	switch e.Kind {
	case rtcpctl.Reported:
		a.sender.SetLoss(float64(e.Block.FractionLost) / 256)
	case rtcpctl.Nacked:
		if a.repair != nil {
			a.repair.resend(now, a.rtcp.RTT(), e.Member)
		}
	case rtcpctl.Goodbye:
		if heard, ok := a.receiver.Heard(); ok && heard != e.SSRC {
			return
		}
		a.byeAt, a.byeSource, a.byeReason = now, e.SSRC, e.Text
		a.receiver.Pause()
	}
}

// breakerLocked tells when the circuit breaker has tripped, or another reason
// for it has come up.
func (a *Audio) breakerLocked() {
	trip, at := a.rtcp.Tripped()
	if trip == a.trip {
		return
	}
	a.trip = trip
	if trip != rtcpctl.NotTripped {
		a.call.emitLocked(Event{Kind: CircuitBroken, Time: at, Detail: trip.String()})
	}
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
	if b, ok := a.control.pop(); ok {
		return append(dst, b...), control
	}
	if a.repair != nil && !a.call.connected.IsZero() {
		if b, what := a.repairLocked(now, dst); what != nothing {
			return b, what
		}
	}
	room, digits := a.sender.Room(), a.sender.PendingDigits()
	b, ok := a.sender.AppendPacket(dst, now)
	if a.sender.Room() != room || a.sender.PendingDigits() != digits { // on hold without a packet
		if w := a.call.waiting; w.room > 0 || w.digits > 0 {
			a.call.cond.Broadcast()
		}
	}
	if ok {
		a.sentLocked(now, b)
		a.leaving = true
		return b, media
	}
	if next := a.rtcp.Next(); !a.call.connected.IsZero() && !next.IsZero() && !now.Before(next) {
		if b, ok := a.rtcp.AppendReport(dst, now); ok {
			a.breakerLocked()
			return b, control
		}
		a.breakerLocked()
	}
	a.digitsLocked(now)
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
	a.rtcp.Sent(now, a.sender.Timestamp(now), rtpPayload(b))
	if a.repair != nil {
		a.repair.history.Sent(now, binary.BigEndian.Uint16(b[2:]), b)
	}
}

// rtpPayload returns the length of the payload of a packet of ours, which has no
// CSRC and at most one header extension.
func rtpPayload(b []byte) int {
	n := len(b) - 12
	if b[0]&0x10 != 0 {
		n -= 4 + 4*int(binary.BigEndian.Uint16(b[14:]))
	}
	return n
}

// nextLocked returns when dueLocked has something to do.
func (a *Audio) nextLocked() time.Time {
	next := earliest(a.sender.Next(), a.readersLocked())
	next = earliest(next, a.receiver.NextDigit())
	if len(a.control.items) > 0 {
		next = a.call.opened
	}
	if !a.call.connected.IsZero() {
		next = earliest(next, a.rtcp.Next())
		next = earliest(next, a.nextRepairLocked())
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
