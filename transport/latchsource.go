package transport

import (
	"net/netip"
	"time"
)

// A source is the address that a Latch has locked, and its stream.
type source struct {
	locked   bool
	addr     netip.AddrPort
	since    time.Time     // when it was locked
	last     time.Time     // arrival of its last packet
	interval time.Duration // between its packets, smoothed
	seq      uint16        // the highest of ssrc
	ssrc     uint32
}

func (s *source) lock(now time.Time, from netip.AddrPort, h LatchHeader) {
	*s = source{locked: true, addr: from, since: now, last: now, interval: 20 * time.Millisecond, seq: h.Seq, ssrc: h.SSRC}
}

func (s *source) heard(now time.Time, h LatchHeader) {
	if gap := now.Sub(s.last); gap > 0 && gap < time.Second {
		s.interval += (gap - s.interval) / 8
	}
	if now.After(s.last) {
		s.last = now
	}
	if h.SSRC != s.ssrc || s.precedes(h) {
		s.ssrc, s.seq = h.SSRC, h.Seq
	}
}

// precedes reports whether h is of the same stream and later than all before.
func (s *source) precedes(h LatchHeader) bool {
	return h.SSRC == s.ssrc && int16(h.Seq-s.seq) > 0
}

// rebindWindow is how far a stream may have gone on when it comes from another
// port: 5 s of packets of 20 ms, after which a silent source can be replaced
// anyway.
const rebindWindow = 250

// continuedBy reports whether from is the locked source on a new port.
func (s *source) continuedBy(now time.Time, from netip.AddrPort, h LatchHeader) bool {
	if !s.locked || from.Addr() != s.addr.Addr() || from.Port() == 0 || !s.precedes(h) || h.Seq-s.seq > rebindWindow {
		return false
	}
	silence := min(max(3*s.interval, 60*time.Millisecond), 180*time.Millisecond)
	return now.Sub(s.last) >= silence
}

// A candidate is a source that is proving itself.
type candidate struct {
	addr  netip.AddrPort // invalid: free
	rank  int
	ssrc  uint32
	seq   uint16
	ts    uint32
	top   uint32        // the highest timestamp
	n     int           // packets that count
	two   bool          // packets in sequence, at least
	media time.Duration // what these lasted
	start time.Time
	last  time.Time
	count time.Time // of the last one that counts
}

const (
	proof = 4 // packets that make a source of a candidate

	// shortest is the least time between packets that counts as real time where
	// the clock rate is not known; no audio codec is sent in shorter ones.
	shortest = 5 * time.Millisecond

	// apart is how long after another a packet of the same telephone event, which
	// has the same timestamp, counts too.
	apart = 10 * time.Millisecond

	// video is the clock rate of all formats of video.
	video = 90000

	// reach is how far a picture may go back that is sent after those which it is
	// made from, and shown before one of them (B pictures).
	reach = video

	// stale is the pause after which a candidate starts anew, and may lose its place to
	// another.
	stale = time.Second

	// slides is the same for pictures, which may come seconds apart.
	slides = 10 * time.Second

	maxCandidates = 8

	// perNetwork is how many candidates may share an IPv4 address or an IPv6
	// network of 64 bits, so that one sender cannot fill the table.
	perNetwork = 2
)

// consider takes a packet that is not of the locked source.
func (l *Latch) consider(now time.Time, from netip.AddrPort, h LatchHeader) Decision {
	rate := 0
	if l.config.ClockRate != nil {
		if rate = l.config.ClockRate(h.PayloadType); rate <= 0 {
			return l.count(LatchUnexpected)
		}
	}
	rank := l.rank(from)
	switch {
	case !suitable(from, l.config.AllowLoopback || l.signalled.rtp.Addr().IsLoopback()):
		return l.count(LatchUnsuitable)
	case !l.mayFollow(now, from, h, rank):
		return l.count(LatchForeign)
	case rank == signalledAddress && !l.source.locked:
		return l.lock(now, from, h)
	}
	c := l.candidate(now, from, rank)
	switch {
	case c == nil:
		return l.count(LatchCandidate)
	case c.proves(now, h, rate, l.config.Event != nil && l.config.Event(h.PayloadType)), l.config.Mode == LatchFirst && !l.source.locked && c.two:
		return l.lock(now, from, h)
	}
	return l.count(LatchCandidate)
}

// The ranks of candidates: a higher one takes the place of a lower one.
const (
	anyAddress = iota
	signalledHost
	signalledAddress
)

func (l *Latch) rank(from netip.AddrPort) int {
	switch {
	case from == l.signalled.rtp:
		return signalledAddress
	case from.Addr() == l.signalled.rtp.Addr():
		return signalledHost
	}
	return anyAddress
}

// settled is how long a source has to have gone on to keep its place when it
// falls silent: the remains of an earlier call on a port must not.
const settled = 5 * time.Second

// mayFollow reports whether from could become the source now.
func (l *Latch) mayFollow(now time.Time, from netip.AddrPort, h LatchHeader, rank int) bool {
	s := &l.source
	if !s.locked {
		return !l.held && (rank > anyAddress || from != l.left.rtp || !now.Before(l.leftUntil))
	}
	if rank > l.rank(s.addr) {
		return true
	}
	if l.config.Reopen < 0 || now.Sub(s.last) < l.config.Reopen {
		return false
	}
	// What was heard before is a replay, whoever sends it.
	if h.SSRC == s.ssrc && !s.precedes(h) {
		return false
	}
	return !l.signalled.rtp.IsValid() || from.Addr() == s.addr.Addr() || h.SSRC == s.ssrc || s.last.Sub(s.since) < settled
}

// proves takes the next packet of c and reports whether it completes the proof.
// What is not consecutive, or ahead of its time, begins a new one.
func (c *candidate) proves(now time.Time, h LatchHeader, rate int, event bool) bool {
	if c.n > 0 && h.SSRC == c.ssrc && h.Seq == c.seq && h.Timestamp == c.ts {
		return false // a copy: no beginning, and no progress
	}
	step, back, pause := int32(h.Timestamp-c.top), int32(0), stale
	if rate == video {
		back, pause = reach, slides
	}
	if c.n == 0 || h.SSRC != c.ssrc || h.Seq != c.seq+1 || step < -back || now.Sub(c.last) > pause || now.Before(c.last) {
		c.begin(now, h)
		return false
	}
	c.seq, c.ts, c.last, c.two = h.Seq, h.Timestamp, now, true
	step = max(step, 0)
	c.top += uint32(step)
	if step > 0 || event && now.Sub(c.count) >= apart {
		c.n++
		c.count = now
	}
	elapsed := now.Sub(c.start)
	least := time.Duration(c.n-1) * shortest
	if rate > 0 {
		c.media += time.Duration(step) * time.Second / time.Duration(rate)
		// The network may have held back the first packet, and clocks differ.
		least = max(least, c.media*4/5-10*time.Millisecond)
	}
	if least > elapsed+100*time.Millisecond || time.Duration(c.n-proof)*shortest > elapsed {
		c.begin(now, h)
		return false
	}
	return c.n >= proof && elapsed >= least
}

func (c *candidate) begin(now time.Time, h LatchHeader) {
	*c = candidate{addr: c.addr, rank: c.rank, ssrc: h.SSRC, seq: h.Seq, ts: h.Timestamp, top: h.Timestamp, n: 1, start: now, last: now, count: now}
}

// candidate returns the entry of from, which may be a new one in the place of
// another; nil if all others have more right to theirs.
func (l *Latch) candidate(now time.Time, from netip.AddrPort, rank int) *candidate {
	if l.candidates == nil {
		l.candidates = make([]candidate, maxCandidates)
	}
	var free, own *candidate // the worst that are replaceable, of all and of its network
	same := 0
	for i := range l.candidates {
		c := &l.candidates[i]
		if c.addr == from {
			return c
		}
		mine := c.addr.IsValid() && network(c.addr) == network(from)
		if mine {
			same++
		}
		if replaceable(c, now, rank) {
			free = worse(free, c)
			if mine {
				own = worse(own, c)
			}
		}
	}
	if same >= perNetwork {
		free = own
	}
	if free != nil {
		*free = candidate{addr: from, rank: rank}
	}
	return free
}

// replaceable reports whether c may lose its place to one of rank: a candidate
// that has sent a second packet keeps it as long as it goes on.
func replaceable(c *candidate, now time.Time, rank int) bool {
	return !c.addr.IsValid() || now.Sub(c.last) > stale || c.rank < rank || c.rank == rank && c.n < 2
}

// worse returns which of two loses its place first; a may be nil.
func worse(a, b *candidate) *candidate {
	switch {
	case a == nil || !b.addr.IsValid():
		return b
	case !a.addr.IsValid():
		return a
	case a.rank != b.rank:
		if a.rank < b.rank {
			return a
		}
		return b
	case a.last.After(b.last):
		return b
	}
	return a
}

func network(a netip.AddrPort) netip.Prefix {
	bits := 32
	if a.Addr().Is6() {
		bits = 64
	}
	p, _ := a.Addr().Prefix(bits) // the length suits the family
	return p
}
