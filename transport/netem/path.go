package netem

import "time"

// A Path is one direction of a network. The zero value is a perfect one, and
// [New] makes others. It is not safe for concurrent use.
//
// Packets leave in the order of their entry unless [Jitter.Overtake], [Reorder]
// or a [Trace] change it. Times are those of any one clock; a time before one
// that was pushed earlier counts as that one.
type Path struct {
	config Config
	stats  Stats
	held   store

	begun   bool
	start   time.Time     // of the first packet
	now     time.Duration // of the last packet; this and all below count from start
	busy    time.Duration // the bottleneck has sent what it has
	ordered time.Duration // the packets that keep order leave not before
	highest int64         // number of the latest packet that has left

	lossRandom, jitterRandom, reorderRandom, duplicateRandom random

	burst burstLoss
	noise noise
}

// forever leaves room for what is added to a time.
const forever = 100 * 365 * 24 * time.Hour

// Stats count packets. At any time In + Duplicated is
// Out + Lost + Dropped + Inside.
type Stats struct {
	In         int64 // pushed
	Out        int64 // pulled
	Lost       int64 // by Loss and Trace
	Dropped    int64 // for want of room: in the queue of the bottleneck, or within Limits
	Duplicated int64 // copies that were made
	Reordered  int64 // left after a packet that was pushed later
	Inside     int64 // on their way
}

// New returns a path, or an error that wraps [ErrConfig]. The path keeps c.Trace
// and does not change it.
func New(c Config) (*Path, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return newPath(c), nil
}

func newPath(c Config) *Path {
	return &Path{
		config:          c,
		lossRandom:      newRandom(c.Seed, lossStream),
		jitterRandom:    newRandom(c.Seed, jitterStream),
		reorderRandom:   newRandom(c.Seed, reorderStream),
		duplicateRandom: newRandom(c.Seed, duplicateStream),
	}
}

// Push sends a copy of a packet into the path. It does not allocate once the
// path has held as many packets, of up to 2048 bytes, as it is going to.
func (p *Path) Push(now time.Time, packet []byte) { p.push(now, packet, 0) }

// Pull appends to dst the next packet that has come through by now. It returns
// dst as it is, and false, if there is none.
func (p *Path) Pull(now time.Time, dst []byte) ([]byte, bool) {
	dst, _, ok := p.pull(now, dst)
	return dst, ok
}

// Next returns when the next packet comes through, or the zero time if none is
// inside.
func (p *Path) Next() time.Time {
	if p.held.len() == 0 {
		return time.Time{}
	}
	return p.start.Add(p.held.heap[0].due)
}

// Stats returns the counts until now.
func (p *Path) Stats() Stats {
	s := p.stats
	s.Inside = int64(p.held.len())
	return s
}

// push does what Push does, and pull gives the tag back.
func (p *Path) push(now time.Time, packet []byte, tag uint8) {
	if !p.begun {
		p.begun, p.start = true, now
	}
	p.now = max(p.now, min(now.Sub(p.start), forever))
	c := &p.config
	p.stats.In++

	// All that is random is drawn for each packet, lost or not, so that what one
	// impairment does to a packet does not depend on another.
	lost := p.lost()
	extra := p.extra()
	heldBack := p.reorderRandom.chance(c.Reorder.Rate)
	twice := p.duplicateRandom.chance(c.Duplicate)
	if c.Trace != nil {
		a := c.Trace.at(p.now)
		lost = lost || a.Lost
		extra += a.Delay
	}
	if lost {
		p.stats.Lost++
		return
	}
	if !p.room(len(packet)) {
		p.stats.Dropped++
		return
	}
	sent, ok := p.transmit(len(packet))
	if !ok {
		p.stats.Dropped++
		return
	}
	due := sent + max(0, c.Delay+extra)
	switch {
	case heldBack && c.Reorder.By == 0:
		due += defaultReorder
	case heldBack:
		due += c.Reorder.By
	case !c.Jitter.Overtake && c.Trace == nil:
		due = max(due, p.ordered)
		p.ordered = due
	}
	p.held.push(entry{due: due, number: p.stats.In, tag: tag}, packet)
	if twice && p.room(len(packet)) {
		p.held.push(entry{due: due, number: p.stats.In, tag: tag, copied: true}, packet)
		p.stats.Duplicated++
	}
}

func (p *Path) pull(now time.Time, dst []byte) ([]byte, uint8, bool) {
	if p.held.len() == 0 || p.held.heap[0].due > now.Sub(p.start) {
		return dst, 0, false
	}
	e := p.held.pop()
	dst = append(dst, e.packet...)
	p.held.release(e.packet)
	p.stats.Out++
	if e.number < p.highest && !e.copied {
		p.stats.Reordered++
	}
	p.highest = max(p.highest, e.number)
	return dst, e.tag, true
}

func (p *Path) lost() bool {
	l := p.config.Loss
	if l.MeanBurst > 0 && l.Rate > 0 {
		return p.burst.lost(l, &p.lossRandom, p.now)
	}
	return p.lossRandom.chance(l.Rate)
}

// extra returns what jitter and drift add to the delay.
func (p *Path) extra() time.Duration {
	d := time.Duration(float64(p.now) * p.config.Drift / 1e6)
	if p.config.Jitter.Spread > 0 {
		d += p.noise.next(p.config.Jitter, &p.jitterRandom, p.now)
	}
	return d
}

// transmit returns when the bottleneck has sent n bytes, or false if they would
// have to wait for too long.
func (p *Path) transmit(n int) (time.Duration, bool) {
	c := &p.config
	if c.Rate == 0 {
		return p.now, true
	}
	queue := c.Queue
	if queue == 0 {
		queue = defaultQueue
	}
	p.busy = max(p.busy, p.now)
	if p.busy-p.now > queue {
		return 0, false
	}
	p.busy += time.Duration(int64(n) * 8 * int64(time.Second) / c.Rate)
	return p.busy, true
}

// room is true if n more bytes may be held.
func (p *Path) room(n int) bool {
	packets, bytes := p.config.Limits.Packets, p.config.Limits.Bytes
	if packets == 0 {
		packets = defaultPackets
	}
	if bytes == 0 {
		bytes = defaultBytes
	}
	return p.held.len() < packets && p.held.bytes+n <= bytes
}
