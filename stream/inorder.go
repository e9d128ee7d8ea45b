package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// crowded is the number of packets behind a missing one at which InOrder stops
// waiting for it.
const crowded = 256

// untrue is by how much timestamps may be off where no packet is missing.
const untrue = 2 * time.Millisecond

// gapSlack is by how much all gaps together may be longer than the time that
// went by.
const gapSlack = 10 * time.Second

func (r *AudioReceiver) nextInOrder() time.Time {
	p := r.buffer.First()
	switch {
	case len(r.pending) > 0:
		return r.line.origin.Add(r.line.lastArrival)
	case p == nil:
		return time.Time{}
	case r.ready(p):
		return p.Arrival
	}
	return p.Arrival.Add(r.config.MaxDelay)
}

// ready reports whether nothing has to be waited for before p.
func (r *AudioReceiver) ready(p *jitter.Packet) bool {
	return !r.played || p.Seq == r.playSeq+1 || r.ended || r.buffer.Len() >= crowded
}

func (r *AudioReceiver) pullInOrder(now time.Time, f *audio.Frame) bool {
	for len(r.pending) == 0 {
		p := r.buffer.First()
		if p == nil || !r.ready(p) && now.Before(p.Arrival.Add(r.config.MaxDelay)) {
			return false
		}
		format := r.formatOf(p)
		if r.played {
			if gap := p.Time - r.position; gap > sampleTime(format) && !r.follows(p, gap) && r.affords(gap, p.Arrival) {
				if d := r.decoders.of(p.Type); p.Seq != r.playSeq+1 && d == r.current && r.mendFromCopy(p, d, gap, format) {
					continue
				}
				r.gap(f, format, min(gap, r.config.PTime), p.Seq != r.playSeq+1 || r.broken)
				return true
			}
		} else {
			r.position, r.clock.origin = p.Time, p.Arrival
		}
		next := r.buffer.Pop()
		follows := r.follows(next, next.Time-r.position)
		if d := r.decoders.of(next.Type); d.pause(next) {
			r.playPause(next, d, format)
			continue
		}
		if !r.decode(next) {
			continue
		}
		r.hears(next, now.Sub(next.Arrival))
		over := r.position - next.Time
		if follows && over.Abs() > sampleTime(format) {
			continue // until more of it has come together
		}
		if over <= sampleTime(format) {
			r.position = next.Time // sheds the rounding of earlier frames
			continue
		}
		n := min(format.Samples(over), len(r.pending))
		r.pending = r.pending[n:]
		r.pendAt += format.Duration(n)
		if len(r.pending) == 0 {
			r.stats.Late++
		}
	}
	r.give()
	r.offset = r.given - r.pendAt
	format := r.current.format
	n := min(format.Samples(r.config.PTime), len(r.pending))
	f.Grow(n)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, r.captured(r.pendAt), audio.Media
	copy(f.Samples, r.pending)
	r.pending = r.pending[n:]
	r.goesOn()
	d := format.Duration(n)
	r.pendAt += d
	r.position += d
	r.finish(f, &shares{})
	return true
}

// affords reports whether a gap may be written as one. A sender whose timestamps
// run ahead of time, each step small enough to be a pause, must not make more
// silence than time goes by.
func (r *AudioReceiver) affords(gap time.Duration, arrival time.Time) bool {
	c := &r.clock
	if c.gaps+gap <= arrival.Sub(c.origin)+gapSlack {
		return true
	}
	r.position += gap
	return false
}

// formatOf returns the format of the audio at p: that of before, if p has none.
func (r *AudioReceiver) formatOf(p *jitter.Packet) audio.Format {
	switch d := r.decoders.of(p.Type); {
	case d.kind == spoken:
		return d.format
	case r.current != nil:
		return r.current.format
	}
	return audio.Format{Rate: 8000, Channels: 1}
}

// gap fills f with silence of length d in the place of what is not there.
func (r *AudioReceiver) gap(f *audio.Frame, format audio.Format, d time.Duration, lost bool) {
	r.give()
	n := max(format.Samples(d), format.Channels)
	f.Grow(n)
	clear(f.Samples)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, time.Time{}, audio.Media
	r.position += d
	r.clock.gaps += d
	var made shares
	if lost {
		r.conceals(f.Duration(), &made)
	} else {
		r.goesOn()
		made.silent = f.Duration()
	}
	r.finish(f, &made)
}

// goesOn notes that what was lost in order has ended, with media or a pause.
func (r *AudioReceiver) goesOn() {
	c := &r.clock
	if c.missing >= interruption {
		r.stats.Interrupted++
	}
	c.missing, c.concealing = 0, false
}
