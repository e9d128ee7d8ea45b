package stream

import (
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/jitter"
)

// hurried is the lack of delay from which on fewer artefacts are worth less
// than having it soon.
const hurried = 40 * time.Millisecond

// For how long a delay that is too long is put up with while hardly anything can be
// left out unheard, as in noise or clicks: until it is heard once, in one piece. Each
// part that was left out takes worth times its length back from that time: speech
// has enough of them not to be cut; in noise they are there by chance.
const (
	hurryPatience    = 2 * time.Second
	compressPatience = 5 * time.Second
	worth            = 25

	// leastCut is the longest pitch period. A period may be longer than what there is
	// too much as yet, and so little more delay is not heard, as a cut is.
	leastCut = 15 * time.Millisecond
)

// steer brings the delay of playout towards its target before a frame is made,
// by making what comes next a little longer or shorter.
func (r *AudioReceiver) steer() {
	c := &r.clock
	if r.current == nil || len(r.mender.made) > 0 || c.missing > 0 && len(r.pending) == 0 {
		return // there is no telling yet where the position will be
	}
	format := r.current.format
	// What has not come cannot be hurried to: while the newest packet is later
	// than the target, that is the delay there has to be.
	late := r.addedAt(r.estimate.Base(), r.line.lastTime+r.span)
	delay, spare := r.added(), r.spare()
	depth := r.estimate.Depth(delay-spare, r.config.PTime)
	action, by := jitter.Decide(delay, spare, max(depth, late), r.config.PTime)
	c.sinceStretch++
	wait := c.sinceStretch < 2
	if r.config.Playout == Adaptive && action != jitter.Jump && r.estimate.Overdue(late, delay) {
		action, by, wait = jitter.Stretch, hurried+time.Nanosecond, false
	}
	switch action {
	case jitter.Jump:
		r.skip(by)
	case jitter.Hurry:
		r.compress(format, by, true, hurryPatience)
		return
	case jitter.Compress:
		if !wait {
			r.compress(format, by, false, compressPatience)
		}
		return
	case jitter.Stretch:
		if !wait {
			r.stretch(format, by)
		}
	}
	c.futile = 0
}

// added returns by how much later the audio at the position is given out than
// the fastest packet of the last seconds could be.
func (r *AudioReceiver) added() time.Duration { return r.addedAt(r.estimate.Base(), r.position) }

func (r *AudioReceiver) addedAt(transit, position time.Duration) time.Duration {
	return r.clock.next - transit - position
}

// due returns the media time that is due now when playout is at its target
// behind packets of the given transit time.
func (r *AudioReceiver) due(transit time.Duration) time.Duration {
	return r.addedAt(transit, 0) - r.estimate.Target()
}

// spare returns how much earlier than its media time the next packet is needed:
// it has to be here when the frame begins that has its first sample.
func (r *AudioReceiver) spare() time.Duration {
	next := r.pendAt + r.current.format.Duration(len(r.pending))
	if len(r.pending) == 0 {
		p := r.buffer.First()
		if p == nil {
			return 0
		}
		next = p.Time
	}
	if next <= r.position {
		return 0
	}
	spare, step := next-r.position, r.config.PTime
	if r.span > 0 { // of the packets of a frame, the first counts
		step = min(step, r.span)
	}
	if spare >= step {
		spare %= step
	}
	if spare > step-sampleTime(r.current.format) {
		return 0
	}
	return spare
}

// skip leaves out so much media that what follows is earlier by d, with a short
// extension between what was given out and what is next.
func (r *AudioReceiver) skip(d time.Duration) {
	d += merge
	r.position += d
	r.stats.Skipped += d
	r.clock.merging = merge
	r.clock.skipped = r.position
	r.dropPending()
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

// compress takes a part out of what is pending, or all that there is too much after
// having tried for so long with hardly any success.
func (r *AudioReceiver) compress(format audio.Format, by time.Duration, fast bool, patience time.Duration) {
	c := &r.clock
	v := r.current.voice
	if v == nil || !r.lookAhead(format, v.stretcher.Window()*format.Channels) {
		return
	}
	rest, removed := v.stretcher.Compress(r.pending, format.Samples(by)/format.Channels, fast)
	if removed == 0 {
		if c.futile += r.config.PTime; c.futile >= patience && by >= leastCut {
			c.futile = 0
			r.skip(by)
		}
		return
	}
	d := format.Duration(removed * format.Channels)
	c.futile = max(0, c.futile-worth*d)
	r.pending = rest
	r.pendAt += d
	r.position += d
	r.stats.Compressed += d
	c.sinceStretch = 0
}

// stretch puts a part into what is pending, behind what was stretched before: no
// period is heard three times, and nothing becomes more than twice as long.
func (r *AudioReceiver) stretch(format audio.Format, by time.Duration) {
	v := r.current.voice
	if v == nil {
		return
	}
	window := v.stretcher.Window() * format.Channels
	if !r.lookAhead(format, window) && len(r.pending) == 0 {
		return
	}
	done := 0
	if before := r.clock.stretched - r.pendAt; before > 0 {
		done = format.Samples(before)
		r.lookAhead(format, done+window)
		done = min(done, len(r.pending))
	}
	r.pending = append(r.pendMem[:0], r.pending...) // to the begin of its memory, where there is room behind it
	length := min(len(r.pending)-done, window)
	middle := done + length/format.Channels/2*format.Channels
	longer, inserted := v.stretcher.Expand(r.pending, done, done+length, v.stretcher.Window(), by > hurried)
	r.pending, r.pendMem = longer, longer
	if inserted == 0 {
		return
	}
	r.clock.stretched = r.pendAt + format.Duration(middle)
	d := format.Duration(inserted * format.Channels)
	r.pendAt -= d
	r.position -= d
	r.stats.Stretched += d
	r.clock.sinceStretch = 0
}

// lookAhead decodes packets that follow without a gap until n samples are
// pending, and reports whether they are.
func (r *AudioReceiver) lookAhead(format audio.Format, n int) bool {
	if len(r.pending) == 0 {
		p := r.buffer.First()
		if p == nil || p.Time-r.position > sampleTime(format) || r.position-p.Time > sampleTime(format) || r.clock.missing > 0 {
			return false
		}
		r.pendAt = p.Time
	} else if r.pendAt-r.position > sampleTime(format) {
		return false
	}
	return r.decodeOn(format, n)
}

// decodeOn decodes packets behind what is pending, as far as they follow without a gap,
// until n samples are, and reports whether there are that many.
func (r *AudioReceiver) decodeOn(format audio.Format, n int) bool {
	for len(r.pending) < n {
		p := r.buffer.First()
		if p == nil || p.Seq != r.playSeq+1 || p.Restart || r.broken {
			return false
		}
		d := r.decoders.of(p.Type)
		end := r.pendAt + format.Duration(len(r.pending))
		if d != r.current || d.pause(p) || p.Time-end > sampleTime(format) || end-p.Time > sampleTime(format) {
			return false
		}
		next := r.buffer.Pop()
		delay := r.clock.next + end - r.position - r.sinceOrigin(next.Arrival)
		if !r.decodeAfter(next) {
			return false
		}
		r.hears(next, delay)
	}
	return true
}

// pause reports whether p says that there is a pause.
func (d *decoding) pause(p *jitter.Packet) bool {
	return d.kind != spoken || d.dtx && len(p.Payload) <= 2
}
