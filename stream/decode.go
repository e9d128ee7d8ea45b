package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// decodeNext decodes the first packet of the buffer into pending, without what
// lies before at. A packet that lies there as a whole is too late.
func (r *AudioReceiver) decodeNext(at time.Duration, filled int, format audio.Format) {
	p := r.buffer.Pop()
	d := r.decoders.of(p.Type)
	c := &r.clock
	if d.pause(p) {
		r.playPause(p, d, format)
		return
	}
	if !r.decode(p) {
		return
	}
	due, arrival := c.next, r.sinceOrigin(p.Arrival)
	if filled > 0 {
		due += format.Duration(filled)
	}
	if over := at - p.Time; over > sampleTime(format) {
		n := format.Samples(over)
		if n >= len(r.pending) {
			r.pending = nil
			r.pendAt += r.span // where the next one should begin
			if p.Time < c.skipped {
				return
			}
			if arrival > due+p.Time-at {
				r.stats.Late++
			} else {
				r.stats.Discarded++
			}
			if c.missed > 0 && p.Time < c.missed && (r.line.lastTime >= c.missed || c.next < c.back+catchUp) {
				return // what has waited for us is no sign of a slow network
			}
			if c.lateRun++; c.lateRun >= 3 {
				// The network has become slower for good, or the timestamps have
				// gone back.
				c.lateRun, c.stretched = 0, 0
				r.position = min(r.position, r.due(arrival-p.Time))
			}
			return
		}
		r.pending = r.pending[n:]
		r.pendAt += over
	}
	c.lateRun = 0
	r.join(r.current)
	r.hears(p, due-arrival)
}

// playPause takes a packet that says that there is a pause.
func (r *AudioReceiver) playPause(p *jitter.Packet, d *decoding, format audio.Format) {
	r.playSeq, r.played, r.broken = p.Seq, true, false
	switch d.kind {
	case event:
		r.digits.playing = true
	case comfort:
		if !r.noise.set(p.Payload, format) {
			r.stats.Discarded++
		}
	default:
		if !r.noise.on {
			r.noise.on, r.noise.described = true, false
		}
	}
	r.clock.paused = true
	r.position = max(r.position, p.Time)
}

// decode decodes p into pending, in the place of what is there. It reports false
// if that failed.
func (r *AudioReceiver) decode(p *jitter.Packet) bool {
	r.pending = nil
	if next := r.played && !r.broken && p.Seq == r.playSeq+1; r.brief < tooBrief {
		if r.brief++; !next || r.pendAt-p.Time <= untrue {
			r.brief = 0
		}
	}
	if !r.decodeAfter(p) {
		return false
	}
	r.pendAt = p.Time
	return true
}

// decodeAfter decodes p behind what is pending. It reports false if that failed.
func (r *AudioReceiver) decodeAfter(p *jitter.Packet) bool {
	d := r.decoders.of(p.Type)
	if d.decoder == nil || p.Restart {
		dec, err := d.impl.NewDecoder(d.params)
		if err != nil {
			r.stats.Discarded++
			return false
		}
		d.decoder = dec
	}
	r.playSeq, r.played = p.Seq, true
	if packet := d.format.Samples(r.span); packet > 0 { // append would take up to twice as much
		if size := (len(r.pending) + 2*packet - 1) / packet * packet; size > cap(r.pendMem) {
			r.pendMem = make([]int16, 0, size)
		}
	}
	before := append(r.pendMem[:0], r.pending...)
	out, err := d.decoder.Decode(before, p.Payload)
	r.pendMem = out
	if r.broken = err != nil || len(out) == len(before); r.broken {
		r.pending = before
		r.stats.Discarded++
		return false
	}
	r.span = d.format.Duration(len(out) - len(before))
	r.goOver(d, p)
	r.pending, r.pendMade = out, false
	return true
}

// goOver makes d, the format of p, the current one. A sender that comes back to the
// one before does so with a new encoder, and a decoder that went on from where it was
// would make a bang of that. A copy in another format changes nothing of it.
func (r *AudioReceiver) goOver(d *decoding, p *jitter.Packet) {
	if r.current != nil && r.current != d && !p.Copy {
		r.current.decoder = nil
	}
	r.current = d
}

// hears counts p, which was decoded last, and its delay from arrival to playout.
func (r *AudioReceiver) hears(p *jitter.Packet, d time.Duration) {
	if p.Copy {
		r.stats.Recovered++
	}
	r.stats.Emitted += r.span
	r.stats.Waited += time.Duration(float64(d) * r.span.Seconds())
	r.stats.Aimed += time.Duration(float64(r.estimate.Target()) * r.span.Seconds())
	if r.stats.Delay == 0 {
		r.stats.Delay = d
		return
	}
	r.stats.Delay += (d - r.stats.Delay) / 16
}

// sampleTime is the tolerance with which media times are compared.
func sampleTime(f audio.Format) time.Duration { return time.Second / time.Duration(f.Rate) }
