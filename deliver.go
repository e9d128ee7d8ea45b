package parley

import (
	"net/netip"
	"time"

	"github.com/parley-media/parley/rtcpctl"
	"github.com/parley-media/parley/stream"
)

// DeliverRTP takes a datagram with an RTP packet that arrived at the given time,
// and from the given address, which may be the zero one if nobody knows. It does
// not keep b. It is meant for legs.
func (l *line) DeliverRTP(arrival time.Time, from netip.AddrPort, b []byte) {
	c := l.call
	var forwarder *Forwarder
	defer func() { forwarder.pass() }() // without the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.overLocked() != nil {
		return
	}
	if err := l.packet.Unmarshal(b); err != nil || l.packet.Version != 2 {
		l.malformed++
		return
	}
	defer func() { l.packet.Payload = nil }()
	if l.packet.SSRC == l.out.SSRC() && !l.collidedLocked(arrival, from) {
		c.schedule()
		return
	}
	if !l.direction.Receives() {
		l.unwanted++
		l.passLocked(arrival)
		return
	}
	if l.repair != nil && !l.repair.admits(arrival, l.in.Reception(), &l.packet) {
		return
	}
	if l.passed {
		l.passed = false
		l.of.resume()
	}
	settled := l.settledLocked()
	verdict := l.in.Push(arrival, &l.packet)
	switch verdict {
	case stream.Accepted, stream.Probation:
		c.lastHeard = arrival
		l.known = true
		l.freshLocked(arrival)
	}
	if l.bye != nil && (l.packet.SSRC != l.bye.source || arrival.Sub(l.bye.at) > byeGrace) { // not one that the goodbye overtook
		l.bye = nil // the far end sends on, be it in a format that is yet to be agreed on
	}
	l.followLocked(arrival, verdict)
	l.of.pushed(arrival, verdict)
	if forwarder, l.claimed = l.claimed, nil; forwarder == nil || !settled || !l.of.next().IsZero() {
		c.schedule()
	}
}

// passLocked takes notice of a packet that comes on hold and is not heard: it is not
// lost, and reports tell the far end so.
func (l *line) passLocked(now time.Time) {
	r := l.in.Reception()
	if r == nil || r.SSRC() != l.packet.SSRC {
		return
	}
	if !l.passed && l.repair != nil {
		l.repair.requester.Reset(now)
	}
	l.passed = true
	r.Update(l.packet.SequenceNumber, l.packet.Timestamp, now)
}

// followLocked looks at what the packet that was pushed last changes.
func (l *line) followLocked(now time.Time, v stream.Verdict) {
	r := l.in.Reception()
	if r == nil || r.SSRC() != l.packet.SSRC {
		return
	}
	if ssrc := r.SSRC(); ssrc != l.heard {
		e := Event{Kind: SourceChanged, SSRC: ssrc}
		if l.heard == 0 {
			e.Kind = FirstMedia
		}
		l.heard = ssrc
		l.rtcp.Heard(now, r)
		if l.repair != nil {
			l.repair.requester.Reset(now)
		}
		l.emitLocked(e)
	}
	if l.repair == nil || uint16(r.Seq()) != l.packet.SequenceNumber { // of a format that is not understood
		return
	}
	switch r.Order() {
	case rtcpctl.Gap:
		n := r.Skipped()
		l.repair.requester.Missing(now, l.rtcp.RTT(), l.of.hole(now, n, r))
	case rtcpctl.Reordered:
		l.repair.requester.Arrived(now, r.Seq())
	case rtcpctl.Restarted:
		l.repair.requester.Reset(now)
	}
}

// DeliverRTCP takes a datagram with an RTCP compound that arrived at the given
// time, and from the given address, which may be the zero one. It does not keep
// b. It is meant for legs.
func (l *line) DeliverRTCP(arrival time.Time, from netip.AddrPort, b []byte) {
	c := l.call
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.overLocked() != nil {
		return
	}
	impersonated := false
	l.rtcp.Receive(arrival, b, func(e rtcpctl.Event) {
		if e.Kind == rtcpctl.Impersonated {
			impersonated = true
			return
		}
		l.known = true
		l.heed(arrival, e)
	})
	if l.bye != nil && l.bye.grace > byeGrace && l.bye.at.Before(arrival) {
		l.bye = nil // the far end reports on
	}
	if impersonated {
		l.collidedLocked(arrival, from)
	}
	l.breakerLocked()
	c.nameLocked()
	if !c.lastHeard.IsZero() {
		c.lastHeard = arrival
	}
	c.schedule()
}

// nameLocked tells whether what is heard and what is seen come from one far end,
// by its name (RFC 3550, section 6.5.1), if both are known.
func (c *Call) nameLocked() {
	for _, v := range c.videos {
		if v.sync == nil {
			continue
		}
		sound, picture := v.sound.rtcp.Name(v.sound.heard), v.rtcp.Name(v.heard)
		v.sync.SetApart(sound != "" && picture != "" && sound != picture)
	}
}

// graceLocked returns how long the call goes on after a goodbye.
func (l *line) graceLocked(now time.Time) time.Duration {
	forking, ok := l.leg.(interface{ Forks() bool })
	switch {
	case ok && forking.Forks() && now.Sub(l.updated) < forkGrace:
		return max(byeGrace, forkGrace-now.Sub(l.updated))
	case l.heard == l.former && now.Sub(l.updated) < renewal:
		return renewalGrace
	}
	return byeGrace
}

// heed acts on what the far end says by RTCP.
func (l *line) heed(now time.Time, e rtcpctl.Event) {
	switch e.Kind {
	case rtcpctl.Nacked:
		if l.repair != nil {
			l.repair.resend(now, l.rtcp.RTT(), e.Member)
		}
	case rtcpctl.Goodbye:
		if heard, ok := l.in.Heard(); ok && heard != e.SSRC {
			return
		}
		l.bye = &goodbye{now, e.SSRC, e.Text, l.graceLocked(now)}
		l.of.goodbye()
	default:
		l.of.heed(now, e)
	}
}
