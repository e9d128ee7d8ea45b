package conceal

import "math"

const (
	order = 10 // of the filter that gives noise its spectrum

	// A block of 10 ms is background if it has at most so much more power than the least of the last seconds.
	calm = 4

	// The least is that of this and the last span of so many blocks.
	span = 150

	// learning is the weight of a block in the background.
	learning = 0.1

	// hush is the least of noise, in sample units: -84 dBov. A line that is alive
	// is never quite silent.
	hush = 2.

	// A sound that never changes need not be background: it is a tone as well, or
	// the middle of the first word. What is louder than -50 dBov, and not a
	// quarter as loud as the loudest block or less, is replaced by noise much
	// fainter than that.
	faint, distinct, doubtful = 100, 4, 16
)

// A background knows the noise behind what was played, and makes more of it.
type background struct {
	channels int
	block    []float32 // of the mean of the channels
	power    [2]float64

	least, before float64 // power of the quietest block of this span, and of the one before
	seen          int     // blocks of this span
	loudest       float64 // power of the loudest block ever
	known         bool
	sequence      [order + 1]float64 // autocorrelation per sample
	level         [2]float64         // power by channel
	stale         bool               // sequence is newer than filter

	filter [order]float32
	gain   [2]float32
	state  [2][order]float32
	random random
}

func newBackground(rate, channels int) *background {
	b := &background{channels: channels, block: make([]float32, 0, max(order+1, rate/100))}
	b.reset()
	return b
}

func (b *background) reset() {
	*b = background{channels: b.channels, block: b.block[:0], least: math.Inf(1), before: math.Inf(1), random: 2463534242}
}

// hear takes what was played.
func (b *background) hear(pcm []int16) {
	for i := 0; i+b.channels <= len(pcm); i += b.channels {
		x := float32(pcm[i])
		b.power[0] += float64(x * x)
		if b.channels == 2 {
			y := float32(pcm[i+1])
			b.power[1] += float64(y * y)
			x = (x + y) / 2
		}
		if b.block = append(b.block, x); len(b.block) == cap(b.block) {
			b.take()
			b.block = b.block[:0]
			b.power = [2]float64{}
		}
	}
}

// take counts a block.
func (b *background) take() {
	n := float64(len(b.block))
	power := (b.power[0] + b.power[1]) / n / float64(b.channels)
	b.loudest = max(b.loudest, power)
	b.least = min(b.least, power)
	if b.seen++; b.seen == span {
		b.before, b.least, b.seen = b.least, power, 0
	}
	if power > calm*min(b.least, b.before)+1 {
		return
	}
	weight := learning
	if !b.known || power*calm < b.level[0] {
		weight, b.known = 1, true
	}
	for l := range b.sequence {
		var sum float32
		for i, x := range b.block[l:] {
			sum += x * b.block[i]
		}
		b.sequence[l] += weight * (float64(sum)/n - b.sequence[l])
	}
	for c := range b.channels {
		b.level[c] += weight * (b.power[c]/n - b.level[c])
	}
	b.stale = true
}

// rms returns the level of the noise of a channel.
func (b *background) rms(c int) float64 {
	loudest := math.Sqrt(b.loudest)
	level := math.Sqrt(b.level[c])
	if level > max(faint, loudest/distinct) {
		level = max(faint, loudest/doubtful)
	}
	return min(max(level, hush), loudest)
}

// refresh makes the filter by Levinson's and Durbin's recursion.
func (b *background) refresh() {
	b.stale = false
	var a, old [order]float64
	r := b.sequence
	r[0] = r[0]*1.001 + 1
	left := r[0]
	for i := range order {
		sum := r[i+1]
		for j := range i {
			sum -= a[j] * r[i-j]
		}
		k := sum / left
		if !(k > -0.999 && k < 0.999) {
			break
		}
		old = a
		a[i] = k
		for j := range i {
			a[j] = old[j] - k*old[i-1-j]
		}
		left *= 1 - k*k
	}
	for i := range a {
		b.filter[i] = float32(a[i])
	}
	for c := range b.channels {
		b.gain[c] = float32(b.rms(c) * math.Sqrt(left/r[0]))
	}
}

// next returns the next sample of the noise of a channel.
func (b *background) next(c int) float32 {
	v := b.gain[c] * b.random.sound()
	state := &b.state[c]
	for i, a := range b.filter {
		v += a * state[i]
	}
	copy(state[1:], state[:order-1])
	state[0] = v
	return v
}
