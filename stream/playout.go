package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// pauseAfter is how long audio may be missing, with nothing in the buffer,
// before the gap is taken for a pause of the sender instead of a loss.
const pauseAfter = 120 * time.Millisecond

// clock relates the time of arrival to media time and to the ticks at which
// frames are given out.
type clock struct {
	started bool
	origin  time.Time // arrival of the first packet, to which transit times are relative
	next    time.Time // next tick

	// The least and the greatest transit time (arrival less media time) of the
	// present second and of the one before.
	window    time.Time // begin of the present second
	now, past transits

	adjusted time.Time     // last tick at which the position was moved
	missing  time.Duration // audio made up or silent since the last media
	lateRun  int           // packets in a row that were too late
}

type transits struct{ least, most time.Duration }

// observe takes the transit time of a packet into account.
func (c *clock) observe(p *jitter.Packet) {
	transit := p.Arrival.Sub(c.origin) - p.Time
	if since := p.Arrival.Sub(c.window); since >= time.Second {
		c.past = c.now
		c.now, c.window = transits{transit, transit}, p.Arrival
		if since >= 2*time.Second {
			c.past = c.now
		}
	}
	c.now = transits{min(c.now.least, transit), max(c.now.most, transit)}
}

// anchor forgets earlier transit times and takes that of p alone.
func (c *clock) anchor(p *jitter.Packet) {
	transit := p.Arrival.Sub(c.origin) - p.Time
	c.window = p.Arrival
	c.now = transits{transit, transit}
	c.past = c.now
	c.lateRun = 0
}

// behind returns the media time that is due at the next tick when playout is
// depth behind packets of the given transit time.
func (c *clock) behind(transit, depth time.Duration) time.Duration {
	return c.next.Sub(c.origin) - transit - depth
}

// arrived tells the playout that p was stored.
func (r *AudioReceiver) arrived(p jitter.Packet) {
	if r.config.Playout == InOrder {
		return
	}
	c := &r.clock
	switch {
	case !c.started:
		c.started = true
		c.origin = p.Arrival
		c.next = p.Arrival.Add(r.config.MinDelay)
		c.anchor(&p)
		r.position = c.behind(c.now.least, r.config.MinDelay)
	case c.missing >= pauseAfter && r.buffer.Len() == 1 && len(r.pending) == 0:
		// The first packet after a pause: whatever drifted or jumped
		// meanwhile, it is played one depth after its arrival.
		c.anchor(&p)
		r.position = c.behind(c.now.least, r.config.MinDelay)
	default:
		c.observe(&p)
	}
}

// Next returns when [AudioReceiver.Pull] has the next frame, which may be in
// the past. The zero Time means not before the next Push.
func (r *AudioReceiver) Next() time.Time {
	switch {
	case r.Ended():
		return time.Time{}
	case r.config.Playout == InOrder:
		return r.nextInOrder()
	}
	return r.clock.next
}

// Pull fills f with the next frame if it is due at now, and reports whether it
// was. On a clock the first frame comes when the first packet has waited for
// the depth of the playout, and from then on a frame of PTime falls due each
// PTime for ever. In order, frames come when they are complete and are up to
// PTime long.
func (r *AudioReceiver) Pull(now time.Time, f *audio.Frame) bool {
	if r.Ended() {
		return false
	}
	if r.config.Playout == InOrder {
		return r.pullInOrder(now, f)
	}
	c := &r.clock
	if !c.started || now.Before(c.next) {
		return false
	}
	if behind := now.Sub(c.next); behind > r.config.MaxDelay {
		ticks := behind / r.config.PTime
		c.next = c.next.Add(ticks * r.config.PTime)
		r.position += ticks * r.config.PTime
		r.given += ticks * r.config.PTime
		r.dropPending()
	}
	r.steer()
	r.fill(f)
	c.next = c.next.Add(r.config.PTime)
	return true
}

// steer moves the position by one frame, as a drifting clock makes it necessary
// in time: on when even the slowest packets wait for longer than they should,
// back when even the fastest wait for less. When even the slowest wait for longer
// than the maximum delay, as with timestamps that run ahead of time, it moves the
// position to where it should be.
func (r *AudioReceiver) steer() {
	c := &r.clock
	if c.next.Sub(c.adjusted) < 200*time.Millisecond || c.next.Sub(c.window) > 2*time.Second {
		return
	}
	frame, depth := r.config.PTime, r.config.MinDelay
	most, least := max(c.now.most, c.past.most), min(c.now.least, c.past.least)
	switch {
	case c.behind(most, depth)-r.position > max(r.config.MaxDelay, frame*3/2):
		r.position = c.behind(most, depth)
		c.adjusted = c.next
		r.dropPending()
	case c.behind(most, depth)-r.position > frame*3/2:
		r.position += frame
		c.adjusted = c.next
		r.dropPending()
	case c.behind(least, depth)-r.position < -frame*3/2:
		r.position -= frame
		c.adjusted = c.next
	}
}

// dropPending drops decoded samples from before the position.
func (r *AudioReceiver) dropPending() {
	if r.current == nil {
		return
	}
	if over := r.position - r.pendAt; over > 0 {
		n := min(r.current.format.Samples(over), len(r.pending))
		r.pending = r.pending[n:]
		r.pendAt = r.position
	}
}

// fill makes the frame of media time position to position+PTime.
func (r *AudioReceiver) fill(f *audio.Frame) {
	r.chooseFormat()
	format := audio.Format{Rate: 8000, Channels: 1}
	if r.current != nil {
		format = r.current.format
	}
	total := format.Samples(r.config.PTime)
	f.Grow(total)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, time.Time{}, audio.Media
	var concealed, silent time.Duration
	for filled := 0; filled < total; {
		at := r.position + format.Duration(filled)
		rest := f.Samples[filled:]
		gap := format.Duration(len(rest))
		if len(r.pending) > 0 {
			if ahead := r.pendAt - at; ahead > sampleTime(format) {
				gap = min(gap, ahead)
			} else {
				if filled == 0 {
					f.Captured = r.captured()
				}
				n := copy(rest, r.pending)
				r.pending = r.pending[n:]
				r.pendAt += format.Duration(n)
				filled += n
				r.clock.missing = 0
				continue
			}
		}
		lost := r.clock.missing < pauseAfter && r.played || r.broken
		if p := r.buffer.First(); len(r.pending) == 0 && p != nil {
			ahead := p.Time - at
			if ahead <= sampleTime(format) {
				if r.decoders[p.Type].format != format {
					// The rest of this frame stays empty; the next one has the
					// new format.
					lost = false
				} else {
					r.decodeNext(at, format)
					continue
				}
			} else {
				gap = min(gap, ahead)
				lost = r.played && (p.Seq != r.playSeq+1 || r.broken)
			}
		}
		n := min(max(format.Samples(gap), format.Channels), len(rest))
		clear(rest[:n])
		filled += n
		d := format.Duration(n)
		r.clock.missing += d
		if lost {
			concealed += d
		} else {
			silent += d
		}
	}
	r.finish(f, concealed, silent)
	r.position += r.config.PTime
}

// finish sets the kind of a frame and counts it.
func (r *AudioReceiver) finish(f *audio.Frame, concealed, silent time.Duration) {
	d := f.Duration()
	switch {
	case concealed > 0:
		f.Kind = audio.Concealed
	case silent >= d:
		f.Kind = audio.Silence
	}
	r.given += d
	r.stats.Concealed += concealed
	r.stats.Media += d - concealed - silent
}

// chooseFormat takes on the format of the packet that is due at the position.
func (r *AudioReceiver) chooseFormat() {
	if len(r.pending) > 0 {
		return
	}
	if p := r.buffer.First(); p != nil && (r.current == nil || p.Time <= r.position) {
		r.current = r.decoders[p.Type]
	}
}

// decodeNext decodes the first packet of the buffer into pending, without what
// lies before at. A packet that lies there as a whole is too late.
func (r *AudioReceiver) decodeNext(at time.Duration, format audio.Format) {
	p, _ := r.buffer.Pop()
	if !r.decode(&p) {
		return
	}
	c := &r.clock
	due := c.next.Add(at - r.position)
	if over := at - p.Time; over > sampleTime(format) {
		n := format.Samples(over)
		if n >= len(r.pending) {
			r.pending = nil
			if due := due.Add(p.Time - at); p.Arrival.After(due) {
				r.stats.Late++
			} else {
				r.stats.Discarded++
			}
			if c.lateRun++; c.lateRun >= 3 {
				// The network has become slower for good.
				c.anchor(&p)
				r.position = c.behind(c.now.least, r.config.MinDelay)
			}
			return
		}
		r.pending = r.pending[n:]
		r.pendAt += over
	}
	c.lateRun = 0
	r.delay(due.Sub(p.Arrival))
}

// decode decodes p into pending. It reports false if that failed.
func (r *AudioReceiver) decode(p *jitter.Packet) bool {
	d := r.decoders[p.Type]
	if d.decoder == nil || p.Restart {
		dec, err := d.impl.NewDecoder(d.params)
		if err != nil {
			r.stats.Discarded++
			return false
		}
		d.decoder = dec
	}
	r.playSeq, r.played = p.Seq, true
	out, err := d.decoder.Decode(r.pendMem[:0], p.Payload)
	if r.broken = err != nil || len(out) == 0; r.broken {
		r.stats.Discarded++
		return false
	}
	r.current = d
	r.pendMem, r.pending, r.pendAt = out, out, p.Time
	return true
}

// delay smooths the delay from arrival to playout.
func (r *AudioReceiver) delay(d time.Duration) {
	if r.stats.Delay == 0 {
		r.stats.Delay = d
		return
	}
	r.stats.Delay += (d - r.stats.Delay) / 16
}

// captured returns the far end's clock at the first pending sample.
func (r *AudioReceiver) captured() time.Time {
	if r.heard == nil || r.current == nil {
		return time.Time{}
	}
	units := r.line.units - int64((r.line.base+unitsToTime(r.line.units, r.line.clockRate)-r.pendAt)*time.Duration(r.line.clockRate)/time.Second)
	return r.heard.reception.Captured(r.line.timestamp + uint32(units-r.line.units))
}

// sampleTime is the tolerance with which media times are compared.
func sampleTime(f audio.Format) time.Duration { return time.Second / time.Duration(f.Rate) }
