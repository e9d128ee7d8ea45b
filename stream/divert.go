package stream

import (
	"time"

	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/jitter"
)

// A Diversion takes packets that somebody can use coded out of an [AudioReceiver].
type Diversion interface {
	// Takes reports whether packets of speech in the format are wanted. It is called for
	// each of them, with the same pointer as long as the format is the same.
	Takes(format *codec.Params) bool

	// Take takes a packet, whose payload is borrowed until it returns.
	Take(p *Packet)
}

// Divert gives packets of each codec that to takes to it as they are accepted, while
// the others are decoded, so that a source may go over from one to the other in
// mid-call. Telephone events and comfort noise go where the speech before them went;
// events are reported in any case, and what is left of a key that was pressed before is
// only reported: it was for somebody else. When speech is taken again, what is left of the
// decoded one is dropped: the two do not overlap. Of what comes at once after a stall, the
// packets that are later than MaxDelay are left out, or they would wait at the far end
// from then on. Before the first packet of speech, taken tells whether it is expected to
// be. A nil to undoes all this.
func (r *AudioReceiver) Divert(to Diversion, taken bool) {
	if r.diversion, r.diverted = to, taken; r.Diverts() {
		r.stopPlayout()
	}
	for _, d := range r.events {
		d.before = d.digits.Pressed()
	}
}

// Diverts reports whether packets of the source are taken by that of
// [AudioReceiver.Divert] at present.
func (r *AudioReceiver) Diverts() bool { return r.diversion != nil && r.diverted }

// diverts decides about a packet of the format.
func (r *AudioReceiver) diverts(d *decoding) bool {
	if r.diversion == nil {
		return false
	}
	if d.kind == spoken || d.kind == redundancy {
		on := d.kind == spoken && r.diversion.Takes(&d.params)
		if on && !r.diverted {
			r.stopPlayout()
		}
		r.diverted = on
	}
	return r.diverted
}

// divert gives a packet to who takes it.
func (r *AudioReceiver) divert(p *jitter.Packet, d *decoding) Verdict {
	l := &r.line
	lastTime, lastArrival, run := l.lastTime, l.lastArrival, l.id
	r.place(p, d)
	if d.kind == event {
		r.digits.heard = true
		d.digits.Push(p.Arrival, uint16(p.Seq), p.Timestamp, p.Payload) //nolint:errcheck // who takes it judges it
		if d.digits.Pressed() == d.before && isKey(p.Payload) {
			r.omitted.add(p.Seq, l.id)
			return Accepted
		}
	} else if arrival := p.Arrival.Sub(l.origin); r.isBacklog(arrival-p.Time, lastArrival-lastTime, arrival-lastArrival, l.id != run) {
		return TooLate
	}
	packet, ok := r.coded(p, d)
	if !ok {
		return TooLate
	}
	r.taken = packet
	r.diversion.Take(&r.taken)
	r.taken.Payload = nil
	return Accepted
}

// isBacklog reports whether a packet comes at once after a stall, and later than MaxDelay.
// Its transit, and that of the packet before it, which came since ago, are from media time
// to arrival. What comes no faster than it is played is usual by and by, however late it
// is: the clock of a source, as of a browser on a machine that is too busy, may be slow by
// far.
func (r *AudioReceiver) isBacklog(transit, before, since time.Duration, fresh bool) bool {
	if fresh {
		r.usual = inMs(transit)
	}
	media := since - (transit - before)
	atOnce := since < media/2
	if !atOnce {
		r.usual += max(0, inMs(min(transit, before))-r.usual) / 16
	}
	r.usual = min(r.usual, inMs(transit))
	return atOnce && transit-time.Duration(r.usual)*time.Millisecond > r.config.MaxDelay
}

func inMs(d time.Duration) int32 { return int32(d / time.Millisecond) }

// stopPlayout forgets what is not played yet, and waits for the first packet again.
func (r *AudioReceiver) stopPlayout() {
	r.buffer.Reset()
	r.pending = nil
	r.mender.made, r.mender.joining = nil, false
	r.clock = clock{}
	r.estimate = r.newEstimate()
	r.played, r.broken = false, false
	r.noise.on, r.digits.playing = false, false
	r.usual = inMs(r.line.fastest.zero())
}

// newEstimate returns an estimate of the delay of which nothing is known.
func (r *AudioReceiver) newEstimate() jitter.Estimator {
	c := &r.config
	e := jitter.EstimatorConfig{Min: c.MinDelay, Max: c.MaxDelay, Start: max(2*c.PTime, c.MinDelay), Loss: c.Preference}
	if c.Playout != Adaptive {
		e.Max, e.Start = c.MinDelay, c.MinDelay
	}
	return jitter.NewEstimator(e)
}
