package transport

import (
	"fmt"
	"net/netip"
	"time"
)

// A LatchMode says how far the source of media may differ from what was
// signalled.
type LatchMode uint8

const (
	// LatchSignalled hears only the signalled IP address, on any of its ports,
	// since the ports that a far end sends from and receives on may differ; but
	// while the signalled port sends, only that one. Media always goes to the
	// signalled address. Where none was signalled, the first source that proves
	// itself is learnt, as with LatchSymmetric.
	LatchSignalled LatchMode = iota
	// LatchSymmetric is for far ends behind address translation, which are not
	// where they say (symmetric RTP, RFC 4961): media goes to where it comes from,
	// once that source has proved itself.
	LatchSymmetric
	// LatchFirst is LatchSignalled for ends that wait for whoever calls, such as
	// recorders and test tools: where nobody was signalled, the first source of two
	// packets in sequence is the far end, whatever its pace. It has to prove
	// itself only to take the place of another.
	LatchFirst
	// LatchStrict hears exactly the signalled IP address and port, and nobody
	// while none is signalled.
	LatchStrict
)

// LatchConfig says whom a Latch may learn.
type LatchConfig struct {
	Mode LatchMode

	// ClockRate returns the RTP clock rate in Hz of an expected payload type, and
	// 0 for one that was not negotiated. It must not allocate. Nil expects all
	// types; then a source is too fast only if it sends more than a packet in 5 ms.
	ClockRate func(payloadType uint8) int

	// Event reports whether a payload type is that of telephone events, of which
	// many packets have one timestamp (RFC 4733, section 2.3.3). Nil: none is.
	Event func(payloadType uint8) bool

	// Reopen is how long the locked source has to send no RTP before another may
	// take its place; 0 means 5 s, and a negative value that only SetSignalled
	// makes room.
	Reopen time.Duration

	// Mux says that RTCP shares the port of RTP (RFC 5761).
	Mux bool

	// AllowLoopback lets sources on this machine be learnt, for servers that
	// listen there. A signalled loopback address allows it too.
	AllowLoopback bool
}

// LatchHeader is what a Latch looks at in an RTP packet (RFC 3550, section 5.1).
type LatchHeader struct {
	PayloadType uint8
	Seq         uint16
	Timestamp   uint32
	SSRC        uint32
}

// A LatchReason says why a datagram was delivered or not.
type LatchReason uint8

const (
	LatchHeard      LatchReason = iota // from the far end: delivered
	LatchForeign                       // from somebody else
	LatchCandidate                     // from a source that has not proved itself yet
	LatchUnexpected                    // from such a source, with a payload type that was not negotiated
	LatchUnsuitable                    // from an address where no media may be sent
)

var latchReasons = [...]string{"heard", "foreign", "candidate", "unexpected", "unsuitable"}

// String returns the reason in one word.
func (r LatchReason) String() string {
	if int(r) < len(latchReasons) {
		return latchReasons[r]
	}
	return fmt.Sprintf("LatchReason(%d)", uint8(r))
}

// A Decision is what a Latch made of a datagram.
type Decision struct {
	Deliver bool
	Reason  LatchReason
	Moved   bool // Remote has changed with this datagram
}

// LatchStats counts what a Latch has decided.
type LatchStats struct {
	Decisions [LatchUnsuitable + 1]int64 // datagrams by reason
	Locks     int64                      // sources that were locked
	Moves     int64                      // changes of Remote by what was received
	Rebinds   int64                      // of these, new ports of the same stream
}

// A Latch decides by its source address whether a datagram on a media port is
// heard, and where media is sent (RFC 7362). It never sends to, nor delivers
// from, whoever merely sends to the port: without a signature, all that it can
// go by is who was signalled, and who keeps sending well.
//
// A source that is not the signalled one is a candidate until it has sent four packets
// of one SSRC with consecutive sequence numbers, advancing timestamps, expected payload
// types and no faster than real time. Packets of one timestamp, as of a video frame,
// count as one, but not those of a telephone event, at their pace; a packet that is
// sent twice counts once, and a picture that is shown before one which was sent (a B
// picture) does not count. Then it is locked: only its packets are delivered. Packets of
// candidates are not, so a far end that has to be learnt loses its first three packets,
// or 60 ms of a call. The signalled address has nothing to prove while nobody is
// locked; and once it, or else another port of its IP address, has proved itself, it
// takes the place of any other source.
//
// The lock ends when its source has been silent for Reopen, or with a new
// signalled address. After silence, where an address was signalled, only a
// source with the IP address or the SSRC of the locked one may follow it, since
// another far end would have been signalled, unless the locked one was heard for
// less than 5 s, as the remains of an earlier call are; where none was
// signalled, anybody may.
//
// One move needs no such silence: a new port at the IP address of the locked
// source that continues its SSRC and sequence numbers, while the old port sends
// nothing for three packets (at least 60 ms, at most 180 ms), is the same source
// behind a translator that has forgotten it.
//
// Before the first lock of LatchSymmetric, or of an end that was not signalled,
// whoever sends a good stream is taken for the far end; the time until the
// signalled address speaks is the one that remains open to guessing.
//
// With SRTP, only packets that passed authentication may be shown to a Latch:
// learning an address from others gives the call to whoever sends first.
//
// A Latch is a state machine without locks or timers; it is not for concurrent
// use, and does not allocate.
type Latch struct {
	config     LatchConfig
	signalled  addresses
	held       bool // nothing is to be sent
	remote     addresses
	source     source
	left       addresses      // before the last change of what was signalled: RTP as it was locked
	leftAt     netip.AddrPort // where that was said to be
	leftUntil  time.Time
	candidates []candidate // nil: none
	stats      LatchStats
}

type addresses struct{ rtp, rtcp netip.AddrPort }

// NewLatch returns a Latch for which nothing was signalled yet.
func NewLatch(config LatchConfig) *Latch {
	l := new(Latch)
	l.Reset(config)
	return l
}

// Reset makes l what [NewLatch] returns.
func (l *Latch) Reset(config LatchConfig) {
	if config.Reopen == 0 {
		config.Reopen = 5 * time.Second
	}
	*l = Latch{config: config}
}

// SetMux changes Mux of [LatchConfig] for the next call of SetSignalled, and for what
// is learnt from now on: what was offered may be turned down.
func (l *Latch) SetMux(mux bool) { l.config.Mux = mux }

// leaving is how long after a new signalled address the source before it is not
// learnt again, nor its reports heard: it may go on until it hears that it was replaced,
// and then says goodbye.
const leaving = 2 * time.Second

// SetSignalled sets the addresses of an offer or answer. A zero rtp means that
// none is known; a zero rtcp is the port after rtp (RFC 3550, section 11), or
// rtp itself with Mux. The same addresses again, as in a refreshed session, keep
// the lock; others end it. An rtp address that cannot be sent to, such as 0.0.0.0
// for a call on hold (RFC 3264, section 8.4), only stops sending until the next
// call of SetSignalled. It reports whether another address has taken the place of
// the one before.
func (l *Latch) SetSignalled(now time.Time, rtp, rtcp netip.AddrPort) (moved bool) {
	rtp, rtcp = unmap(rtp), unmap(rtcp)
	l.held = rtp.IsValid() && !suitable(rtp, true)
	if l.held {
		return false
	}
	next := addresses{rtp, rtcp}
	if rtp.IsValid() && !suitable(rtcp, true) {
		next.rtcp = l.besides(rtp)
	}
	if next == l.signalled {
		return false
	}
	switch {
	case l.source.locked:
		l.left.rtp, l.leftAt = l.source.addr, l.signalled.rtp
	case rtp == l.leftAt: // it is the far end again, as a telephone that answers when another one has rung too
		l.left.rtp = netip.AddrPort{}
	}
	l.left.rtcp, l.leftUntil = l.signalled.rtcp, now.Add(leaving)
	l.signalled = next
	l.remote = next
	l.source = source{}
	l.candidates = nil
	return true
}

// besides returns where RTCP goes for a far end known only by its RTP address.
func (l *Latch) besides(rtp netip.AddrPort) netip.AddrPort {
	switch {
	case l.config.Mux:
		return rtp
	case rtp.Port() == 65535:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
}

// Remote returns where media and reports are sent, and whether there is such a
// place. The address for RTCP may be zero although there is one for RTP.
func (l *Latch) Remote() (rtp, rtcp netip.AddrPort, ok bool) {
	if l.held || !l.remote.rtp.IsValid() {
		return netip.AddrPort{}, netip.AddrPort{}, false
	}
	return l.remote.rtp, l.remote.rtcp, true
}

// Stats returns the counters.
func (l *Latch) Stats() LatchStats { return l.stats }

// RTP decides about an RTP packet whose header was read without error.
func (l *Latch) RTP(now time.Time, from netip.AddrPort, h LatchHeader) Decision {
	from = unmap(from)
	switch {
	case !from.IsValid():
		return l.count(LatchUnsuitable)
	case l.config.Mode == LatchStrict:
		return l.decide(from == l.signalled.rtp)
	case !l.learns():
		return l.byAddress(now, from)
	case l.source.locked && from == l.source.addr:
		l.source.heard(now, h)
		return l.count(LatchHeard)
	case l.source.continuedBy(now, from, h):
		l.stats.Rebinds++
		return l.lock(now, from, h)
	}
	return l.consider(now, from, h)
}

// signalledSilence is how long the signalled port has to be silent before others of its
// address are heard: more than three packets of 60 ms.
const signalledSilence = 200 * time.Millisecond

// byAddress decides about a packet of RTP where media goes to the signalled address, but
// may come from any of its ports. While it comes from that one, others are of somebody
// else, as of another telephone that the same call rings at behind one address.
func (l *Latch) byAddress(now time.Time, from netip.AddrPort) Decision {
	if from == l.signalled.rtp {
		l.source.last = now
		return l.count(LatchHeard)
	}
	return l.decide(from.Addr() == l.signalled.rtp.Addr() && now.Sub(l.source.last) >= signalledSilence)
}

// RTCP decides about an RTCP packet. It never moves the address of RTP, and
// that of RTCP only at the IP address which is locked.
func (l *Latch) RTCP(now time.Time, from netip.AddrPort) Decision {
	from = unmap(from)
	switch {
	case !from.IsValid():
		return l.count(LatchUnsuitable)
	case l.config.Mode == LatchStrict:
		return l.decide(from == l.signalled.rtcp || from == l.signalled.rtp)
	case !l.learns():
		left := from == l.left.rtcp && from != l.signalled.rtcp && now.Before(l.leftUntil)
		return l.decide(!left && (from.Addr() == l.signalled.rtp.Addr() || from.Addr() == l.signalled.rtcp.Addr()))
	case !l.source.locked:
		// Nobody to go by yet but who was signalled.
		return l.decide(from == l.signalled.rtcp || from == l.signalled.rtp)
	case from.Addr() != l.source.addr.Addr():
		return l.decide(from == l.signalled.rtcp && l.source.addr == l.signalled.rtp)
	}
	d := l.count(LatchHeard)
	// Where the far end is as signalled, so is its port for RTCP.
	if from != l.remote.rtcp && l.source.addr != l.signalled.rtp && !l.config.Mux && from.Port() != 0 {
		l.remote.rtcp = from
		l.stats.Moves++
		d.Moved = true
	}
	return d
}

// learns reports whether media goes to where it comes from.
func (l *Latch) learns() bool {
	return l.config.Mode == LatchSymmetric || l.config.Mode != LatchStrict && !l.signalled.rtp.IsValid()
}

func (l *Latch) decide(heard bool) Decision {
	if heard {
		return l.count(LatchHeard)
	}
	return l.count(LatchForeign)
}

func (l *Latch) count(r LatchReason) Decision {
	l.stats.Decisions[r]++
	return Decision{Deliver: r == LatchHeard, Reason: r}
}

// lock makes from the source and, unless it is there already, the remote.
func (l *Latch) lock(now time.Time, from netip.AddrPort, h LatchHeader) Decision {
	l.source.lock(now, from, h)
	l.candidates = nil
	l.stats.Locks++
	d := l.count(LatchHeard)
	next := l.signalled
	if from != l.signalled.rtp {
		next = addresses{from, l.besides(from)}
	}
	if next.rtp != l.remote.rtp {
		l.remote = next
		l.stats.Moves++
		d.Moved = true
	}
	return d
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// suitable reports whether media may be sent to a.
func suitable(a netip.AddrPort, loopback bool) bool {
	ip := a.Addr()
	return a.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && (loopback || !ip.IsLoopback())
}
