package stream

import (
	"slices"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/conceal"
	"github.com/parley-media/parley/audio/stretch"
	"github.com/parley-media/parley/codec"
	"github.com/parley-media/parley/jitter"
)

// A voice is the signal processing of one format.
type voice struct {
	format    audio.Format
	concealer conceal.Concealer
	stretcher stretch.Stretcher
}

// newVoice returns nil for a format that cannot be processed; then gaps stay
// silent and nothing is stretched.
func newVoice(f audio.Format) *voice {
	c, err := conceal.New(f.Rate, f.Channels)
	if err != nil {
		return nil
	}
	s, err := stretch.New(f.Rate, f.Channels)
	if err != nil {
		return nil
	}
	return &voice{format: f, concealer: *c, stretcher: *s}
}

// mender fills gaps.
type mender struct {
	made    []int16 // made up for a gap of known length, not given out; goes before pending
	memory  []int16 // behind made, and for what a codec makes up
	joining bool    // the media that comes next follows something made up
}

const (
	// bridged is the longest gap that is bridged from both sides. What lies in
	// the midst of a longer one is like neither.
	bridged = 100 * time.Millisecond

	// telling is how much of what comes after a gap tells its pitch: shorter packets are
	// taken together, if they are there.
	telling = 20 * time.Millisecond

	// merge is the extension that goes before media to which playout jumps.
	merge = 5 * time.Millisecond
)

// mend begins to fill the gap of length ahead before the packet p, which is in
// the buffer. It reports false if it has nothing better than an extension of what
// was played.
func (r *AudioReceiver) mend(p *jitter.Packet, ahead time.Duration, format audio.Format) bool {
	d := r.decoders.of(p.Type)
	if d.kind != spoken || d.format != format || p.Restart || d.decoder == nil || d != r.current {
		return false
	}
	if r.mendFromCopy(p, d, ahead, format) {
		r.join(d)
		return true
	}
	n := format.Samples(ahead)
	if d.voice == nil || ahead > bridged || n == 0 || r.pausing() {
		return false
	}
	last := min(n, format.Samples(r.span)) // the packet before p, of which it may have a copy
	r.passOver(d, n-last)
	if last < n && r.mendFromCopy(p, d, r.span, format) {
		n -= last
	} else {
		r.passOver(d, last)
		at, next := p.Time, r.buffer.Pop()
		arrival := r.sinceOrigin(next.Arrival)
		if !r.decode(next) {
			return false
		}
		r.pendAt = at
		r.hears(next, r.clock.next+ahead-arrival)
	}
	r.decodeOn(format, format.Samples(telling))
	m := &r.mender
	m.memory = d.voice.concealer.Bridge(slices.Grow(m.memory[:0], n), n/format.Channels, r.pending)
	m.made, m.joining = m.memory, true
	return true
}

// passOver takes the state of a decoder through n samples of a gap that it does not fill.
func (r *AudioReceiver) passOver(d *decoding, n int) {
	if c, ok := d.decoder.(codec.Concealer); ok && n > 0 {
		if out, err := c.Conceal(r.mender.memory[:0], n); err == nil {
			r.mender.memory = out[:0]
		}
	}
}

// mendFromCopy takes the packet before p from the coarse copy of it in p, if
// there is one. It needs the rest of the gap to be filled first.
func (r *AudioReceiver) mendFromCopy(p *jitter.Packet, d *decoding, ahead time.Duration, format audio.Format) bool {
	fec, ok := d.decoder.(codec.FECDecoder)
	if !ok || ahead > r.span+sampleTime(format) {
		return false
	}
	out, ok := fec.DecodeFEC(r.pendMem[:0], p.Payload, format.Samples(ahead))
	if !ok || len(out) == 0 {
		return false
	}
	r.pendMem, r.pending, r.pendAt, r.pendMade = out, out, p.Time-ahead, false
	r.playSeq, r.broken = p.Seq-1, false
	r.stats.Recovered++
	return true
}

// extend overwrites pcm with a continuation of what was given out last.
func (r *AudioReceiver) extend(pcm []int16, format audio.Format) {
	r.mender.joining = true
	if d := r.current; d != nil && d.format == format {
		if c, ok := d.decoder.(codec.Concealer); ok && !r.noise.on {
			out, err := c.Conceal(r.mender.memory[:0], len(pcm))
			if err == nil && len(out) == len(pcm) {
				r.mender.memory = out
				copy(pcm, out)
				d.voice.media(pcm)
				return
			}
		}
		if d.voice != nil {
			d.voice.concealer.Extend(pcm[:0:len(pcm)], len(pcm)/format.Channels)
			return
		}
	}
	clear(pcm)
}

// rest overwrites pcm with what is heard in a pause, and reports whether that is
// comfort noise that the sender wanted.
func (r *AudioReceiver) rest(pcm []int16, format audio.Format) bool {
	r.mender.joining = true
	if r.noise.on && r.noise.described {
		r.noise.fill(pcm, format)
		if d := r.current; d != nil && d.format == format && d.voice != nil {
			if r.noise.begins && r.played { // amid a tone, it may be
				d.voice.concealer.Extend(nil, 0)
				d.voice.concealer.Join(pcm)
			}
			d.voice.media(pcm)
		}
		r.noise.begins = false
		return true
	}
	if d := r.current; d != nil && d.format == format && d.voice != nil && r.played {
		d.voice.concealer.Noise(pcm[:0:len(pcm)], len(pcm)/format.Channels)
		return r.noise.on
	}
	clear(pcm)
	return r.noise.on
}

// media tells the concealer what is played.
func (v *voice) media(pcm []int16) {
	if v != nil {
		v.concealer.Media(pcm)
	}
}

// join makes media follow what was made up before it.
func (r *AudioReceiver) join(d *decoding) {
	if r.mender.joining && d.voice != nil && len(r.pending) > 0 {
		d.voice.concealer.Join(r.pending)
	}
	r.mender.joining = false
}
