package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// crowded is the number of packets behind a missing one at which InOrder stops
// waiting for it.
const crowded = 256

func (r *AudioReceiver) nextInOrder() time.Time {
	p := r.buffer.First()
	switch {
	case len(r.pending) > 0:
		return r.line.lastArrival
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
		format := r.decoders[p.Type].format
		if r.played {
			if gap := p.Time - r.position; gap > sampleTime(format) {
				r.gap(f, format, min(gap, r.config.PTime), p.Seq != r.playSeq+1 || r.broken)
				return true
			}
		} else {
			r.position = p.Time
		}
		next, _ := r.buffer.Pop()
		if !r.decode(&next) {
			continue
		}
		r.delay(now.Sub(next.Arrival))
		over := r.position - next.Time
		if over <= sampleTime(format) {
			r.position = next.Time // sheds the rounding of earlier frames
			continue
		}
		n := min(format.Samples(over), len(r.pending))
		r.pending = r.pending[n:]
		if len(r.pending) == 0 {
			r.stats.Late++
		}
	}
	format := r.current.format
	n := min(format.Samples(r.config.PTime), len(r.pending))
	f.Grow(n)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, r.captured(), audio.Media
	copy(f.Samples, r.pending)
	r.pending = r.pending[n:]
	d := format.Duration(n)
	r.pendAt += d
	r.position += d
	r.finish(f, 0, 0)
	return true
}

// gap fills f with silence of length d in the place of what is not there.
func (r *AudioReceiver) gap(f *audio.Frame, format audio.Format, d time.Duration, lost bool) {
	n := max(format.Samples(d), format.Channels)
	f.Grow(n)
	clear(f.Samples)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, time.Time{}, audio.Media
	r.position += d
	if lost {
		r.finish(f, f.Duration(), 0)
	} else {
		r.finish(f, 0, f.Duration())
	}
}
