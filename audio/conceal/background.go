package conceal

import "math"

const (
	order = 10 // of the filter that gives noise its spectrum

	// A block of 10 ms is background if it has at most so much more power than the least of the last seconds.
	calm = 4

	// Of so many blocks one is looked at. It is an odd number, as frames often have
	// two. The least is that of this and the last span of so many that were.
	every = 5
	span  = 30

	// Of one quiet block in so many the spectrum is learned, with this weight.
	// Places do not change faster.
	sparse   = 2
	learning = 0.3

	// hush is the least of noise, in sample units: -84 dBov. A line that is alive
	// is never quite silent.
	hush = 2.

	// What never falls silent need not be background: it is music or a tone as well, or
	// the middle of the first word. So noise is not louder than -50 dBov and, if that is
	// more, a part of the loudest block, 30 dB below it: what is sent of real noise now and
	// then, in a pause of Opus, is not louder either.
	faint, distinct = 100, 32
)

// A background knows the noise behind what was played, and makes more of it.
type background struct {
	channels int
	length   int     // of a block, samples per channel
	block    []int16 // what is not a whole block yet, interleaved; nil while blocks come whole

	least, before float64 // power of the quietest block of this span, and of the one before
	seen          int     // blocks of this span
	skip          int     // samples before the next block that is looked at, interleaved
	loudest       float64 // power of the loudest block ever
	known         bool
	calm          int                // quiet blocks since one was learned
	sequence      [order + 1]float64 // autocorrelation per sample
	level         [2]float64         // power by channel
	stale         bool               // sequence is newer than filter

	filter [order]float32
	gain   [2]float32
	state  [2][order]float32
	random random
}

func newBackground(rate, channels int) background {
	b := background{channels: channels, length: max(order+1, rate/100)}
	b.reset()
	return b
}

func (b *background) reset() {
	*b = background{
		channels: b.channels, length: b.length, block: b.block[:0],
		least: math.Inf(1), before: math.Inf(1), random: 2463534242,
	}
}

// hear takes what was played.
func (b *background) hear(pcm []int16) {
	n := b.length * b.channels
	for {
		passed := min(b.skip, len(pcm))
		b.skip -= passed
		pcm = pcm[passed:]
		if len(b.block) == 0 && len(pcm) >= n {
			b.take(pcm[:n])
			pcm = pcm[n:]
		} else {
			rest := min(n-len(b.block), len(pcm))
			if b.block == nil && rest > 0 {
				b.block = make([]int16, 0, n)
			}
			b.block = append(b.block, pcm[:rest]...)
			pcm = pcm[rest:]
			if len(b.block) < n {
				return
			}
			b.take(b.block)
			b.block = b.block[:0]
		}
		b.skip = (every - 1) * n
	}
}

// take counts a block.
func (b *background) take(pcm []int16) {
	n := float64(b.length)
	sums := energies(pcm, b.channels)
	power := float64(sums[0]+sums[1]) / n / float64(b.channels)
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
	} else if b.calm++; b.calm < sparse {
		return
	}
	b.calm = 0
	b.learn(pcm, weight)
	for c := range b.channels {
		b.level[c] += weight * (float64(sums[c])/n - b.level[c])
	}
}

// learn brings the spectrum of a block into that of the background.
func (b *background) learn(pcm []int16, weight float64) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	w.floats = room(w.floats, b.length)
	mix := w.floats
	if b.channels == 1 {
		for i := range mix {
			mix[i] = float32(pcm[i])
		}
	} else {
		for i := range mix {
			mix[i] = (float32(pcm[2*i]) + float32(pcm[2*i+1])) / 2
		}
	}
	n := float64(b.length)
	for l := range b.sequence {
		b.sequence[l] += weight * (float64(product(mix[l:], mix))/n - b.sequence[l])
	}
	b.stale = true
}

// energies returns the sum of the squares of each channel. The sums do not wait
// for each other.
func energies(pcm []int16, channels int) (sums [2]int64) {
	var s0, s1, s2, s3 int64
	for len(pcm) >= 4 {
		a, b, c, d := int64(pcm[0]), int64(pcm[1]), int64(pcm[2]), int64(pcm[3])
		s0 += a * a
		s1 += b * b
		s2 += c * c
		s3 += d * d
		pcm = pcm[4:]
	}
	for i, v := range pcm {
		if i%2 == 0 {
			s0 += int64(v) * int64(v)
		} else {
			s1 += int64(v) * int64(v)
		}
	}
	if channels == 2 {
		return [2]int64{s0 + s2, s1 + s3}
	}
	return [2]int64{s0 + s1 + s2 + s3}
}

// product returns the scalar product of a and as much of b.
func product(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, x := range a {
		s0 += x * b[i]
	}
	return s0 + s1 + s2 + s3
}

// rms returns the level of the noise of a channel.
func (b *background) rms(c int) float64 {
	loudest := math.Sqrt(b.loudest)
	return min(max(math.Sqrt(b.level[c]), hush), max(faint, loudest/distinct), loudest)
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
