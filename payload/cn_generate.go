package payload

import (
	"fmt"
	"math"

	"github.com/parley-media/parley/audio"
)

// maxReflection keeps poles far enough from the unit circle that noise does not
// ring for longer than some 50 samples for each of them, whatever a peer sends.
const maxReflection = 0.98

// A NoiseGenerator makes noise as a [CN] describes it. Until the first call of
// Set it makes silence.
type NoiseGenerator struct {
	random uint64
	ramp   int // samples that a change takes
	left   int // of the change under way

	level, levelStep float64 // RMS
	levelGoal        float64
	order            int
	k, step, goal    [MaxCNOrder]float64
	c                [MaxCNOrder]float64     // sqrt(1-k²)
	back             [MaxCNOrder + 1]float64 // backward waves of the lattice
}

// NewNoiseGenerator returns a generator of mono PCM of a rate in Hz. Generators
// of the same seed make the same noise; streams that are mixed must not have
// the same, or their noise adds up to 3 dB more than it should. A rate outside
// 8000..48000 is an error that wraps [audio.ErrFormat].
func NewNoiseGenerator(rate int, seed uint64) (*NoiseGenerator, error) {
	if rate < 8000 || rate > 48000 {
		return nil, fmt.Errorf("%w: rate %d Hz is outside 8000..48000", audio.ErrFormat, rate)
	}
	g := &NoiseGenerator{random: seed, ramp: rate / 50}
	for i := range g.c {
		g.c[i] = 1
	}
	return g, nil
}

// Set changes the noise, over the next 20 ms. Coefficients are limited to
// ±0.98, and the level to 0..127; 127 is silence. The level is that of the
// noise that is made, whatever its spectrum.
func (g *NoiseGenerator) Set(cn CN) {
	level := min(max(cn.Level, 0), 127)
	g.levelGoal = 0
	if level < 127 {
		g.levelGoal = 32768 * math.Pow(10, -float64(level)/20)
	}
	order := min(max(cn.Order, 0), MaxCNOrder)
	g.goal = [MaxCNOrder]float64{}
	for i, k := range cn.Reflection[:order] {
		if !math.IsNaN(k) {
			g.goal[i] = min(max(k, -maxReflection), maxReflection)
		}
	}
	g.order = max(g.order, order)
	g.left = g.ramp
	g.levelStep = (g.levelGoal - g.level) / float64(g.ramp)
	for i := range g.step {
		g.step[i] = (g.goal[i] - g.k[i]) / float64(g.ramp)
	}
}

// Fill overwrites pcm, of any length, with the next samples of the noise.
// Noise that is too loud for 16 bits is limited.
func (g *NoiseGenerator) Fill(pcm []int16) {
	for i := range pcm {
		if g.left > 0 {
			g.change()
		}
		x := math.Round(g.level * g.filter(g.gauss()))
		pcm[i] = int16(min(max(x, math.MinInt16), math.MaxInt16))
	}
}

func (g *NoiseGenerator) change() {
	g.left--
	g.level += g.levelStep
	for i := range g.order {
		g.k[i] += g.step[i]
	}
	if g.left == 0 {
		g.level, g.k = g.levelGoal, g.goal
	}
	for i := range g.order {
		g.c[i] = math.Sqrt(1 - g.k[i]*g.k[i])
	}
}

// filter is an all-pole lattice in its normalized form: each stage turns the
// pair of its waves without changing their power. So the output has the power
// of the input for any coefficients, while they change too.
func (g *NoiseGenerator) filter(f float64) float64 {
	for m := g.order - 1; m >= 0; m-- {
		b := g.back[m]
		g.back[m+1] = g.k[m]*f + g.c[m]*b
		f = g.c[m]*f - g.k[m]*b
	}
	g.back[0] = f
	return f
}

// gauss returns a random number of nearly normal distribution, mean 0 and
// variance 1, no larger than 3.5: the sum of four uniform ones, which are the
// quarters of a SplitMix64 output.
func (g *NoiseGenerator) gauss() float64 {
	g.random += 0x9e3779b97f4a7c15
	z := g.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	sum := int(z&0xffff) + int(z>>16&0xffff) + int(z>>32&0xffff) + int(z>>48) - 2*65535
	return float64(sum) * (1.7320508075688772 / 65536)
}
