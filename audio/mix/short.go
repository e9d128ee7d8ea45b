package mix

import "time"

const (
	patience = time.Second            // for which a queue has to be longer than is needed
	periods  = 500 * time.Millisecond // for which unheard ways to leave something out are looked for
	hurried  = 40 * time.Millisecond  // too much, from which on that may be heard a little
)

// A surplus is what a queue never falls below. Frames come as fast as time goes by, so
// that is nothing but delay: after a stall, when all that was missed comes at once, or
// from a sender whose clock is fast.
type surplus struct {
	least  int // samples that each step since the begin left behind
	waited int // samples of these steps
	spare  int // of least, samples that are being left out
}

// begin makes the patience begin anew.
func (in *Input) begin() { in.surplus = surplus{least: in.mixer.queue} }

// keepShort looks, after a step of n samples, at what is left in the queue. Up to one
// more step is for frames that are late; of more, half a step stays.
func (in *Input) keepShort(n int) {
	format, s := in.mixer.format, &in.surplus
	left, enough, half := len(in.queue), n, n/2/format.Channels*format.Channels
	if s.spare > 0 {
		enough = half
	}
	if left <= enough || in.leaving {
		in.begin()
		return
	}
	s.least = min(s.least, left)
	s.waited += n
	if s.spare == 0 {
		if s.waited < format.Samples(patience) {
			return
		}
		s.waited, s.spare = 0, s.least-half
	}
	s.spare = min(s.spare, left-half) // the sender may be slow now
	removed := in.compress(s.spare)
	if removed == 0 && s.waited >= format.Samples(periods) {
		removed = s.spare
		in.cut(removed)
	}
	if s.spare -= removed; s.spare < n/4 {
		in.begin()
	}
}

// compress takes one pitch period or a few out of the begin of the queue, at most so
// many samples, and returns how many. It is 0 where that would be heard.
func (in *Input) compress(most int) int {
	format := in.mixer.format
	window := min(len(in.queue), in.stretcher.Window()*format.Channels)
	rest, n := in.stretcher.Compress(in.queue[:window], most/format.Channels, format.Duration(most) > hurried)
	in.queue = in.queue[:len(rest)+copy(in.queue[len(rest):], in.queue[window:])]
	in.dropped += n
	return n * format.Channels
}

// cut takes the first n samples out of the queue. Over the next ones they fade out, and
// what follows fades in.
func (in *Input) cut(n int) {
	channels, ramp := in.mixer.format.Channels, in.mixer.ramp
	old, next := in.queue[:n], in.queue[n:]
	switch {
	case !in.playing:
	case len(next) < ramp*channels || n < ramp*channels:
		in.pause()
	default:
		for i := range ramp * channels {
			j := i / channels
			next[i] = int16((int(old[i])*(ramp-j) + int(next[i])*j) / ramp)
		}
	}
	in.queue = in.queue[:copy(in.queue, next)]
	in.dropped += n / channels
}

// Skip leaves out the next n samples of each channel of all inputs, as far as they have
// come, for one who has left out steps. What found no room since the last step counts.
func (m *Mixer) Skip(n int) {
	for _, in := range m.inputs {
		if more := min(n*m.format.Channels-in.spilled, len(in.queue)); more > 0 {
			in.cut(more)
		}
		in.spilled = 0
		in.begin()
	}
}
