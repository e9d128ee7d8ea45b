package stream

import (
	"time"

	"github.com/parley-media/parley/jitter"
)

// A timeline gives the packets of a line continuous sequence numbers and media
// times, whatever their senders do: another SSRC, another clock rate, a restart,
// timestamps that are set back, or that jump with no pause to match, begin a new run,
// which takes its place by the time of its arrival.
type timeline struct {
	id        uint64 // of the run; see Packet.Timeline
	epoch     uint32
	timestamp uint32 // of the packet placed last
	begun     bool
	fresh     bool // the next packet begins a new run
	source    bool // and so does its source
	closes    bool // what is missing before the next packet is no gap
	rejoins   bool // the next packet is the first one after a hold
	waits     bool // a picture has not been given to fastest yet

	// unordered is that timestamps need not ascend with the numbers, as those of
	// video with B-frames.
	unordered bool

	origin    time.Time // arrival of the first packet of all
	clockRate int
	seqShift  int64         // added to extended sequence numbers
	base      time.Duration // media time of the run's first packet
	units     int64         // extended timestamp of the packet placed last, from the run's first

	lastSeq     int64 // highest number placed, with its time and arrival
	lastTime    time.Duration
	lastArrival time.Duration // from origin

	since   time.Time // arrival of the run's first packet, if its source had begun before
	fastest fastest
	early   time.Duration // arrival of the picture that waits
	shown   time.Duration // and its media time
}

// jump is the difference between what timestamps and arrival times say beyond
// which the timestamps are taken for a new run. A packet delayed by the network
// has an ordinary timestamp, so its own step is looked at too.
const jump = time.Second

// stoodStill is the same for the first packet after a hold. Chromium takes about 0.3 s to
// start its sound again, by which its timestamps are behind from then on.
const stoodStill = 100 * time.Millisecond

// enter makes the next packet begin a new run, of the given source, which begins
// with it too or had begun before.
func (l *timeline) enter(ssrc uint32, source bool) {
	l.epoch++
	l.id = uint64(ssrc)<<32 | uint64(l.epoch)
	l.fresh, l.source = true, source
}

// place sets p.Seq and p.Time. Each is the length of a packet whose sender's timestamps do
// not count its samples; 0: they do.
func (l *timeline) place(p *jitter.Packet, clockRate int, each time.Duration) {
	if !l.begun {
		*l = timeline{id: l.id, epoch: l.epoch, unordered: l.unordered, begun: true, clockRate: clockRate, timestamp: p.Timestamp}
		l.lastSeq = p.Seq
		l.origin = p.Arrival
		l.fastest.add(0, 0)
		p.Time = 0
		return
	}
	arrival := p.Arrival.Sub(l.origin)
	if l.fresh || clockRate != l.clockRate {
		l.restart(p, arrival, clockRate, l.fresh)
	}
	l.number(p)
	step := int64(int32(p.Timestamp - l.timestamp))
	at := l.base + unitsToTime(l.units+step, l.clockRate)
	if each > 0 {
		off := l.lastTime + time.Duration(p.Seq-l.lastSeq)*each - at
		l.base += off
		at += off
	}
	// An earlier number with a later timestamp is no reordered packet, and a later number
	// with an earlier timestamp is none that is late.
	backwards := !l.unordered && p.Seq < l.lastSeq && at > l.lastTime
	setBack := !l.unordered && p.Seq > l.lastSeq && at < l.lastTime
	if backwards || setBack || l.jumps(at, arrival) {
		p.Seq -= l.seqShift
		l.enter(uint32(l.id>>32), false)
		l.restart(p, arrival, clockRate, backwards)
		p.Seq += l.seqShift
		step, at = 0, l.base
	}
	l.rejoins = false
	l.units += step
	l.timestamp = p.Timestamp
	p.Time = at
	l.arrived(arrival, at)
	if p.Seq > l.lastSeq {
		l.lastSeq, l.lastTime, l.lastArrival = p.Seq, at, arrival
	}
}

// number sets p.Seq.
func (l *timeline) number(p *jitter.Packet) {
	if gap := p.Seq + l.seqShift - l.lastSeq - 1; l.closes && gap >= 0 {
		l.closes = false
		l.seqShift -= gap
	}
	p.Seq += l.seqShift
}

// arrived notes when what has media time at has come. A picture that is shown after
// one that follows it has left before its own time, so each waits for the next one.
func (l *timeline) arrived(arrival, at time.Duration) {
	switch {
	case !l.unordered || !l.fastest.begun:
		l.fastest.add(arrival, at)
	case !l.waits || at < l.shown:
		l.waits, l.early, l.shown = true, arrival, at
	case at > l.shown: // of one picture the first packet counts
		l.fastest.add(l.early, l.shown)
		l.early, l.shown = arrival, at
	}
}

// follow places a packet whose timestamp is no measure of time: that of a
// telephone event, which is the same for all packets of the event, or one on
// another clock. It lies behind everything that came before it.
func (l *timeline) follow(p *jitter.Packet, clockRate int) {
	if !l.begun || l.fresh {
		l.place(p, clockRate, 0)
		return
	}
	l.number(p)
	p.Time = l.lastTime
	if ahead := int64(int32(p.Timestamp - l.timestamp)); clockRate == l.clockRate {
		at := l.base + unitsToTime(l.units+ahead, l.clockRate)
		if at > l.lastTime && !l.jumps(at, p.Arrival.Sub(l.origin)) {
			p.Time = at
		}
	}
	l.lastSeq = max(l.lastSeq, p.Seq)
}

// jumps reports whether the step to media time at is not borne out by the time
// of arrival: neither by that of the packet before, which may have come late itself,
// as one that was sent again before a pause, nor by that of the fastest.
func (l *timeline) jumps(at, arrival time.Duration) bool {
	moved := at - l.lastTime
	diff := moved - (arrival - l.lastArrival)
	limit := jump
	if l.rejoins {
		limit = stoodStill
	} else if moved.Abs() <= jump {
		return false
	}
	if diff.Abs() <= limit {
		return false
	}
	late := arrival - at - l.fastest.zero()
	return !l.fastest.begun || late.Abs() > limit
}

// restart begins a run with p. With newSeq its sequence numbers have nothing to
// do with those of before. The arrival is from origin.
func (l *timeline) restart(p *jitter.Packet, arrival time.Duration, clockRate int, newSeq bool) {
	elapsed := max(0, arrival-l.lastArrival)
	l.since = p.Arrival
	if l.fresh && l.source {
		l.since = time.Time{}
	}
	l.fresh, l.closes = false, false
	l.clockRate = clockRate
	l.base = l.lastTime + elapsed
	l.units = 0
	l.timestamp = p.Timestamp
	l.fastest, l.waits = fastest{}, false
	if newSeq {
		l.seqShift = l.lastSeq + 1 - p.Seq
	}
	p.Restart = p.Restart || newSeq
}

// zero returns when media time 0 would have arrived with the fastest packets of
// the last seconds.
func (l *timeline) zero() time.Time { return l.origin.Add(l.fastest.zero()) }

func unitsToTime(units int64, clockRate int) time.Duration {
	if clockRate == 8000 { // divisions are dear
		return time.Duration(units) * (time.Second / 8000)
	}
	whole, part := units/int64(clockRate), units%int64(clockRate)
	return time.Duration(whole)*time.Second + time.Duration(part)*time.Second/time.Duration(clockRate)
}

// timeToUnits rounds to the nearest unit.
func timeToUnits(d time.Duration, clockRate int) int64 {
	whole, part := int64(d/time.Second), int64(d%time.Second)
	return whole*int64(clockRate) + (part*int64(clockRate)+int64(time.Second)/2)/int64(time.Second)
}
