package conceal

import (
	"math"

	"github.com/parley-media/parley/audio"
)

const (
	hold    = 6  // ms of an extension before it fades
	fading  = 25 // ms in which it fades by a factor of e, as its likeness to what was lost does
	easing  = 2  // the same for sound that goes over to noise
	joining = 5  // ms in which an extension goes over to media
	chunk   = 20 // ms that are made at a time

	inaudible = 0.01 // gain of an extension that is not heard
)

// A Concealer fills gaps in one stream of audio. It keeps the last 80 ms of what
// was played; what it needs beside that to fill a gap is shared by all concealers,
// and taken for as long as the gap lasts. It is not safe for concurrent use.
type Concealer struct {
	rate, channels int
	played         history
	noise          background
	gap            *gap // not nil if what was played last was made up, and can go on
	seed           uint32
}

// New returns a concealer for PCM of the given shape, or an error that wraps
// [audio.ErrFormat].
func New(rate, channels int) (*Concealer, error) {
	if err := (audio.Format{Rate: rate, Channels: channels}).Check(); err != nil {
		return nil, err
	}
	return &Concealer{
		rate: rate, channels: channels,
		played: history{most: rate * memory / 1000 * channels},
		noise:  newBackground(rate, channels),
	}, nil
}

// Reset forgets everything that was played, the background too.
func (c *Concealer) Reset() {
	c.played.reset()
	c.noise.reset()
	c.end()
}

// Background returns the root mean square of the background noise in sample
// units, 0 to 32768, the mean of the channels. It is 0 before any media.
func (c *Concealer) Background() float64 {
	var power float64
	for i := range c.channels {
		power += c.noise.level[i]
	}
	return math.Sqrt(power / float64(c.channels))
}

// Media observes media as it is played: interleaved samples, any number. They
// are copied.
func (c *Concealer) Media(pcm []int16) {
	if c.channels == 2 {
		pcm = pcm[:len(pcm)&^1]
	}
	c.end()
	c.noise.hear(pcm)
	c.played.add(pcm)
}

// Extend appends n samples per channel that continue what was played last, media
// or not. It allocates only if dst has no room.
func (c *Concealer) Extend(dst []int16, n int) []int16 {
	w := takeWorkspace(c.rate, c.channels)
	defer w.release()
	return c.extend(dst, n, c.decay(fading), w)
}

// Noise appends n samples per channel of background noise. What was played last
// goes over to it in 10 ms. It is for pauses in which nothing is sent, not even
// comfort noise, and after it Join is due as after Extend.
func (c *Concealer) Noise(dst []int16, n int) []int16 {
	w := takeWorkspace(c.rate, c.channels)
	defer w.release()
	if c.gap == nil {
		c.begin(w)
		c.gap.age = c.rate * hold / 1000
	}
	return c.extend(dst, n, c.decay(easing), w)
}

// begin makes the past ready to continue what was played.
func (c *Concealer) begin(w *workspace) {
	c.seed = c.seed*1664525 + 1013904223
	g := takeGap(c.rate, c.channels, c.played.most)
	c.gap = g
	g.passage = c.played.appendTo(g.passage[:0])
	g.past = newSource(c.rate, c.channels)
	g.past.start(g.passage, false, c.seed, w)
	if c.noise.stale {
		c.noise.refresh()
	}
	g.limit.allow(g.passage)
	var power float64
	for i := range c.channels {
		power += c.noise.rms(i) * c.noise.rms(i)
	}
	g.limit.allowNoise(power, c.noise.loudest*float64(c.channels))
}

// end ends the gap, if there is one.
func (c *Concealer) end() {
	if c.gap != nil {
		c.gap.release()
		c.gap = nil
	}
}

// decay returns the gain of each sample after the one before, if it falls by a
// factor of e in so many ms.
func (c *Concealer) decay(ms int) float32 {
	return float32(math.Exp(-1000 / float64(ms*c.rate)))
}

func (c *Concealer) extend(dst []int16, n int, decay float32, w *workspace) []int16 {
	if c.gap == nil {
		c.begin(w)
	}
	for n > 0 {
		m := min(n, c.rate*chunk/1000+1)
		at := len(dst)
		dst = c.more(dst, m, decay, w)
		c.played.add(dst[at:])
		n -= m
	}
	return dst
}

// more appends the next samples of the extension, which are not played yet.
func (c *Concealer) more(dst []int16, n int, decay float32, w *workspace) []int16 {
	g := c.gap
	if g.voice > 0 {
		g.past.next(&w.ahead, n)
	}
	for i := range n {
		g.age++
		if g.age > c.rate*hold/1000 {
			if g.voice *= decay; g.voice < inaudible {
				g.voice = 0
			}
		}
		hiss := float32(math.Sqrt(float64(1 - g.voice*g.voice)))
		var v [2]float32
		for k := range c.channels {
			if g.voice > 0 {
				v[k] = g.voice * w.ahead[k][i]
			}
			if hiss > 0 {
				v[k] += hiss * c.noise.next(k)
			}
		}
		dst = g.limit.append(dst, &v)
	}
	return dst
}

// Join makes the first media after an extension begin like the extension would
// have gone on, and go over to itself within 5 ms. It changes pcm in place, and
// is to be called for the first media after Extend or Noise, before Media; at
// any other time it does nothing.
func (c *Concealer) Join(pcm []int16) {
	if c.gap == nil {
		return
	}
	w := takeWorkspace(c.rate, c.channels)
	defer w.release()
	n := min(len(pcm)/c.channels, c.rate*joining/1000)
	// It takes the place of the passage, of which nothing more is made.
	made := c.more(c.gap.passage[:0], n, c.decay(fading), w)
	for i := range n {
		u := (float32(i) + 0.5) / float32(n)
		for k := i * c.channels; k < (i+1)*c.channels; k++ {
			old := float32(made[k])
			pcm[k] = round(old + u*(float32(pcm[k])-old))
		}
	}
	c.end()
}

func round(v float32) int16 {
	if v < 0 {
		return int16(max(v-0.5, math.MinInt16))
	}
	return int16(min(v+0.5, math.MaxInt16))
}
