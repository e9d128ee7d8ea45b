package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// interruption is the length from which on missing media is one.
const interruption = 150 * time.Millisecond

// catchUp is how long it may take until all is received that has waited while this
// machine stood still.
const catchUp = 100 * time.Millisecond

// clock has the ticks at which frames are given out.
//
// While nothing is there that could be played, the position stands still, so
// that audio that is only late is heard in full when it comes, and made shorter
// then. When it shows that it was lost, what was made up meanwhile takes its
// place.
type clock struct {
	next time.Duration // next tick, from the origin of the estimate

	missing      time.Duration // audio made up or silent since the last media
	waited       time.Duration // of that, what the position did not advance by
	guessed      time.Duration // of that, what was concealed with nothing received after it
	merging      time.Duration // extension to be made before what is next
	skipped      time.Duration // media before it was left out
	stretched    time.Duration // media before it has been made longer
	missed       time.Duration // media before it was due while nobody pulled
	back         time.Duration // the first tick after that
	lateRun      int           // packets in a row that were too late
	sinceStretch int           // frames
	futile       time.Duration // for how long too little could be left out
	started      bool
	paused       bool  // a part of what is missing was a pause
	concealing   bool  // the last part given out was concealment
	rest         int32 // billionths of a sample by which the last frame was too short

	origin time.Time     // in order: arrival of the first packet
	gaps   time.Duration // in order: all gaps given out
}

// arrived tells the playout that p was stored.
func (r *AudioReceiver) arrived(p *jitter.Packet, d *decoding) {
	if r.config.Playout == InOrder {
		return
	}
	if d.kind == spoken || !r.clock.started {
		r.estimate.Push(p.Arrival, p.Seq, p.Time)
	}
	if c := &r.clock; !c.started {
		c.started = true
		c.next = r.estimate.Target() // p is the first that was pushed, and so the origin
		r.position = p.Time
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
	case !r.clock.started:
		return time.Time{}
	}
	return r.estimate.Origin().Add(r.clock.next)
}

// sinceOrigin returns t on the scale of the clock: arithmetic on a time.Time
// costs several times as much.
func (r *AudioReceiver) sinceOrigin(t time.Time) time.Duration { return t.Sub(r.estimate.Origin()) }

// Position returns the place on the media timeline of the sample after the last
// one that was given out. The first packet is at 0.
func (r *AudioReceiver) Position() time.Duration { return r.position }

// Delay returns by how much later the audio at [AudioReceiver.Position] is given
// out than if its packet had come as fast as the fastest of the last second.
// It is 0 before the first packet, and in order.
func (r *AudioReceiver) Delay() time.Duration {
	if !r.clock.started {
		return 0
	}
	return r.added()
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
	if !c.started {
		return false
	}
	behind := r.sinceOrigin(now) - c.next
	if behind < 0 {
		return false
	}
	r.give()
	if behind > r.patience {
		ticks := behind / r.config.PTime
		c.next += ticks * r.config.PTime
		r.position += ticks * r.config.PTime
		r.given += ticks * r.config.PTime
		r.stats.Skipped += ticks * r.config.PTime
		c.missed, c.back = r.position, c.next
		r.mender.made = nil
		r.dropPending()
	}
	r.fill(f)
	c.next += r.config.PTime
	return true
}

// SetPatience sets how far whoever pulls may fall behind: after that, what was due
// meanwhile is left out. The default is MaxDelay of the configuration. It is not for
// reading in order.
func (r *AudioReceiver) SetPatience(d time.Duration) { r.patience = d }

// give begins to count the time of frames when the first one is given out: from
// 0, or from where the media is on a timeline that is shared.
func (r *AudioReceiver) give() {
	if !r.giving && r.sync != nil {
		r.given = r.position + r.offset
	}
	r.giving = true
}

// fill makes the frame that begins at the position.
func (r *AudioReceiver) fill(f *audio.Frame) {
	r.chooseFormat()
	r.steer()
	format := audio.Format{Rate: 8000, Channels: 1}
	if r.current != nil {
		format = r.current.format
	}
	// Where a frame is no whole number of samples (20 ms at 11025 Hz), what is left
	// belongs to the next one: the clock goes on by PTime all the same.
	billionths := r.config.PTime*time.Duration(format.Rate) + time.Duration(r.clock.rest)
	total := int(billionths/time.Second) * format.Channels
	r.clock.rest = int32(billionths % time.Second)
	f.Grow(total)
	f.Format, f.Time, f.Captured, f.Kind = format, r.given, time.Time{}, audio.Media
	if r.clock.missing < r.config.PauseAfter { // in a pause the position waits
		r.stats.Added = r.added()
	}
	var made shares
	for filled := 0; filled < total; {
		filled += r.part(f.Samples[filled:], filled, format, f, &made)
	}
	r.finish(f, &made)
}

// shares is how much of a frame is not media.
type shares struct{ concealed, silent, noise time.Duration }

// part writes the next samples of a frame to pcm, of which filled were written
// before, and returns how many.
func (r *AudioReceiver) part(pcm []int16, filled int, format audio.Format, f *audio.Frame, made *shares) int {
	c := &r.clock
	switch {
	case len(r.mender.made) > 0:
		n := copy(pcm, r.mender.made)
		r.mender.made = r.mender.made[n:]
		d := format.Duration(n)
		r.position += d
		r.conceals(d, made)
		r.current.voice.media(pcm[:n])
		return n
	case c.merging > 0:
		n := min(len(pcm), format.Samples(c.merging))
		if v := r.current.voice; v != nil && len(r.pending) > 0 { // the decoder is behind that already
			v.concealer.Extend(pcm[:0:n], n/format.Channels)
			v.concealer.Join(r.pending)
		} else {
			r.extend(pcm[:n], format)
		}
		c.merging = 0
		r.conceals(format.Duration(n), made)
		return n
	case len(r.pending) > 0:
		if filled == 0 {
			f.Captured = r.captured(r.pendAt)
			r.offset = f.Time - r.pendAt
		}
		return r.play(pcm, format, made)
	}
	p := r.buffer.First()
	if p == nil {
		return r.wait(pcm, format, made)
	}
	lost := r.played && (p.Seq != r.playSeq+1 || r.broken)
	ahead := r.settle(p, lost, filled)
	if c.missing == 0 && r.follows(p, ahead) {
		r.position, ahead = p.Time, 0
	}
	if ahead <= sampleTime(format) {
		if d := r.decoders.of(p.Type); d.kind == spoken && d.format != format && !d.pause(p) {
			// The rest of this frame goes on in the old format; the next one has
			// the new one.
			return r.wait(pcm, format, made)
		}
		r.decodeNext(r.position, filled, format)
		return 0
	}
	if n := format.Samples(ahead); n < len(pcm) {
		pcm = pcm[:max(n, format.Channels)]
	}
	if lost && r.digits.playing {
		// Of what follows a digit only as much is lost as there are numbers
		// missing.
		silent := ahead - time.Duration(p.Seq-r.playSeq-1)*r.span
		if lost = silent <= 0; !lost {
			pcm = pcm[:max(format.Channels, min(len(pcm), format.Samples(silent)))]
		}
	}
	if lost {
		if r.mend(p, ahead, format) {
			return 0
		}
		if keep := ahead - r.span; keep > 0 && len(pcm) > format.Samples(keep) && format.Samples(keep) > 0 {
			pcm = pcm[:format.Samples(keep)] // the last packet may come from a copy
		}
	}
	n := len(pcm)
	d := format.Duration(n)
	r.position += d
	if lost && !r.pausing() {
		r.extend(pcm, format)
		r.conceals(d, made)
	} else {
		r.pauses(pcm, d, format, made)
	}
	return n
}

// pausing reports whether what is missing sounds like a pause by now.
func (r *AudioReceiver) pausing() bool {
	return r.noise.on || r.clock.missing >= r.config.PauseAfter
}

// play gives out what is pending.
func (r *AudioReceiver) play(pcm []int16, format audio.Format, made *shares) int {
	n := copy(pcm, r.pending)
	pcm = pcm[:n]
	r.pending = r.pending[n:]
	d := format.Duration(n)
	r.pendAt += d
	r.position = r.pendAt
	r.current.voice.media(pcm)
	if r.pendMade {
		made.noise += d
		return n
	}
	c := &r.clock
	if c.missing >= interruption && !c.paused {
		r.stats.Interrupted++
	}
	c.missing, c.waited, c.guessed, c.paused, c.concealing = 0, 0, 0, false, false
	r.noise.on, r.digits.playing = false, false
	return n
}

// wait fills pcm while nothing is in the buffer that could be played.
func (r *AudioReceiver) wait(pcm []int16, format audio.Format, made *shares) int {
	c := &r.clock
	d := format.Duration(len(pcm))
	c.waited += d
	if r.played && c.missing < r.config.PauseAfter && !r.noise.on && !r.digits.playing && !c.paused {
		r.extend(pcm, format)
		r.conceals(d, made)
		c.guessed += d
	} else {
		r.pauses(pcm, d, format, made)
	}
	return len(pcm)
}

// conceals counts concealment.
func (r *AudioReceiver) conceals(d time.Duration, made *shares) {
	c := &r.clock
	c.missing += d
	made.concealed += d
	if !c.concealing {
		c.concealing = true
		r.stats.Concealments++
	}
}

// pauses fills pcm with what is heard in a pause, and counts it.
func (r *AudioReceiver) pauses(pcm []int16, d time.Duration, format audio.Format, made *shares) {
	r.clock.missing += d
	if r.rest(pcm, format) {
		made.noise += d
	} else {
		made.silent += d
	}
}

// takeBack takes from the count what was made up with nothing received after it, of
// which nothing was lost.
func (r *AudioReceiver) takeBack() {
	c := &r.clock
	if c.guessed > 0 {
		r.stats.Concealed -= c.guessed
		r.stats.Concealments--
		c.guessed, c.concealing = 0, false
	}
}

// settle decides where the position is when p is there, after a time in which
// nothing was, and returns how far ahead of it p is.
func (r *AudioReceiver) settle(p *jitter.Packet, lost bool, filled int) time.Duration {
	c := &r.clock
	tolerance := r.config.PTime / 2
	pause := p.Time-r.position > tolerance && !lost && r.played
	if pause {
		c.paused = true
		r.takeBack()
	}
	if c.waited > 0 {
		if credit := min(c.waited, p.Time-r.position); credit > 0 {
			r.position += credit
		}
		c.waited = 0
	}
	ahead := p.Time - r.position
	pause = pause && ahead > tolerance
	if filled > 0 || !pause && c.missing < r.config.PauseAfter || r.decoders.of(p.Type).kind == event {
		return ahead
	}
	// The end of a pause: whatever drifted or was late before it, what follows
	// is played at its target, on a whole number of ticks.
	due := r.due(r.estimate.Base())
	if due >= p.Time {
		r.position = p.Time
		return 0
	}
	ticks := (p.Time - due + r.config.PTime - 1 - time.Millisecond) / r.config.PTime
	r.position = p.Time - ticks*r.config.PTime
	return p.Time - r.position
}

// follows reports whether p goes on where the speech before it has ended, though its
// timestamp is off by as much as ahead. Senders whose times come from a file in
// milliseconds make some of these steps a bit too short and others too long; to cut,
// and to fill with silence, would be heard as clicks.
func (r *AudioReceiver) follows(p *jitter.Packet, ahead time.Duration) bool {
	return ahead.Abs() <= untrue && r.played && !r.broken && p.Seq == r.playSeq+1 &&
		r.current != nil && r.decoders.of(p.Type) == r.current && !r.noise.on && !r.digits.playing
}

// finish sets the kind of a frame and counts it.
func (r *AudioReceiver) finish(f *audio.Frame, made *shares) {
	d := f.Duration()
	switch {
	case made.concealed > 0:
		f.Kind = audio.Concealed
	case made.noise > 0 && made.noise+made.silent >= d:
		f.Kind = audio.Noise
	case made.silent >= d:
		f.Kind = audio.Silence
	}
	r.given += d
	r.stats.Concealed += made.concealed
	r.stats.Noise += made.noise
	r.stats.Media += d - made.concealed - made.silent - made.noise
}

// chooseFormat takes on the format of the packet that is due at the position.
func (r *AudioReceiver) chooseFormat() {
	if len(r.pending) > 0 || len(r.mender.made) > 0 {
		return
	}
	p := r.buffer.First()
	if p == nil || r.decoders.of(p.Type).kind != spoken {
		return
	}
	if r.current == nil || p.Time <= r.position+r.clock.waited {
		if d := r.decoders.of(p.Type); d != r.current {
			r.goOver(d, p)
			r.mender.joining = false
		}
	}
}
