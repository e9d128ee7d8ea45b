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
// was played. It is not safe for concurrent use.
type Concealer struct {
	rate, channels int
	kept           []int16 // what was played, interleaved, oldest first; more than is needed, so that it is moved rarely
	played         []int16 // the end of that, 80 ms
	memory         int     // samples of played
	noise          *background
	past, future   *source
	limit          *limiter

	active bool    // what was played last was made up, and past can go on
	age    int     // samples of that
	voice  float32 // gain of past, 0 to 1
	seed   uint32

	ahead, back, sum [2][]float32 // by channels
	scratch          []int16
}

// New returns a concealer for PCM of the given shape, or an error that wraps
// [audio.ErrFormat].
func New(rate, channels int) (*Concealer, error) {
	if err := (audio.Format{Rate: rate, Channels: channels}).Check(); err != nil {
		return nil, err
	}
	c := &Concealer{
		rate: rate, channels: channels,
		noise: newBackground(rate, channels),
		past:  newSource(rate, channels), future: newSource(rate, channels),
		limit:   newLimiter(rate, channels),
		memory:  rate * memory / 1000 * channels,
		kept:    make([]int16, 0, 2*rate*memory/1000*channels),
		scratch: make([]int16, 0, rate*chunk/1000*channels),
	}
	for i := range channels {
		c.ahead[i] = make([]float32, rate*(longest+bend)/1000+8)
		c.back[i] = make([]float32, rate*(longest+bend)/1000+8)
		c.sum[i] = make([]float32, rate*longest/1000)
	}
	return c, nil
}

// Reset forgets everything that was played, the background too.
func (c *Concealer) Reset() {
	c.kept = c.kept[:0]
	c.played = c.kept
	c.noise.reset()
	c.active = false
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
	c.active = false
	c.noise.hear(pcm)
	c.remember(pcm)
}

// remember appends to what was played.
func (c *Concealer) remember(pcm []int16) {
	pcm = pcm[max(0, len(pcm)-c.memory):]
	if len(c.kept)+len(pcm) > cap(c.kept) {
		c.kept = c.kept[:copy(c.kept, c.kept[len(c.kept)-(c.memory-len(pcm)):])]
	}
	c.kept = append(c.kept, pcm...)
	c.played = c.kept[max(0, len(c.kept)-c.memory):]
}

// Extend appends n samples per channel that continue what was played last, media
// or not. It allocates only if dst has no room.
func (c *Concealer) Extend(dst []int16, n int) []int16 {
	return c.extend(dst, n, c.decay(fading))
}

// Noise appends n samples per channel of background noise. What was played last
// goes over to it in 10 ms. It is for pauses in which nothing is sent, not even
// comfort noise, and after it Join is due as after Extend.
func (c *Concealer) Noise(dst []int16, n int) []int16 {
	if !c.active {
		c.begin()
		c.age = c.rate * hold / 1000
	}
	return c.extend(dst, n, c.decay(easing))
}

// begin makes past ready to continue what was played.
func (c *Concealer) begin() {
	c.seed = c.seed*1664525 + 1013904223
	c.past.start(c.played, false, c.seed)
	c.active, c.age, c.voice = true, 0, 1
	if c.noise.stale {
		c.noise.refresh()
	}
	c.limit.begin()
	c.limit.allow(c.played)
	var power float64
	for i := range c.channels {
		power += c.noise.rms(i) * c.noise.rms(i)
	}
	c.limit.allowNoise(power, c.noise.loudest*float64(c.channels))
}

// decay returns the gain of each sample after the one before, if it falls by a
// factor of e in so many ms.
func (c *Concealer) decay(ms int) float32 {
	return float32(math.Exp(-1000 / float64(ms*c.rate)))
}

func (c *Concealer) extend(dst []int16, n int, decay float32) []int16 {
	if !c.active {
		c.begin()
	}
	for n > 0 {
		m := min(n, c.rate*chunk/1000+1)
		at := len(dst)
		dst = c.more(dst, m, decay)
		c.remember(dst[at:])
		n -= m
	}
	return dst
}

// more appends the next samples of the extension, which are not played yet.
func (c *Concealer) more(dst []int16, n int, decay float32) []int16 {
	if c.voice > 0 {
		c.past.next(&c.ahead, n)
	}
	for i := range n {
		c.age++
		if c.age > c.rate*hold/1000 {
			if c.voice *= decay; c.voice < inaudible {
				c.voice = 0
			}
		}
		hiss := float32(math.Sqrt(float64(1 - c.voice*c.voice)))
		var v [2]float32
		for k := range c.channels {
			if c.voice > 0 {
				v[k] = c.voice * c.ahead[k][i]
			}
			if hiss > 0 {
				v[k] += hiss * c.noise.next(k)
			}
		}
		dst = c.limit.append(dst, &v)
	}
	return dst
}

// Join makes the first media after an extension begin like the extension would
// have gone on, and go over to itself within 5 ms. It changes pcm in place, and
// is to be called for the first media after Extend or Noise, before Media; at
// any other time it does nothing.
func (c *Concealer) Join(pcm []int16) {
	if !c.active {
		return
	}
	n := min(len(pcm)/c.channels, c.rate*joining/1000)
	c.scratch = c.more(c.scratch[:0], n, c.decay(fading))
	for i := range n {
		w := (float32(i) + 0.5) / float32(n)
		for k := i * c.channels; k < (i+1)*c.channels; k++ {
			old := float32(c.scratch[k])
			pcm[k] = round(old + w*(float32(pcm[k])-old))
		}
	}
	c.active = false
}

func round(v float32) int16 {
	if v < 0 {
		return int16(max(v-0.5, math.MinInt16))
	}
	return int16(min(v+0.5, math.MaxInt16))
}
