package conceal

import "math"

const (
	// Both sides have a pitch if they are at least as periodic as that.
	voiced = 0.7

	// The two pitches are one that glides if one is at most so many times the
	// other, or a multiple of the other.
	glide = 4. / 3

	// Where both pitches lead is in phase with the other side within a part of a
	// period. A whole period away from there costs as much as so much correlation.
	astray = 4

	// What is compared is a period, up to so many ms.
	compared = 12

	// A side becomes less like what was lost by a factor of e in so many ms, and
	// by as much over the gap as it then is unlike the other side, which can say
	// that much at most.
	fleeting = 80
	unlike   = 0.1
)

// meet writes n samples of each side to ahead and back, and returns how much each
// is like the passage of the other where it gets there. If both sides have a
// pitch, it glides from one to the other, and they are in phase throughout.
func (c *Concealer) meet(n int, future *source, w *workspace) (there, back float32) {
	past := &c.gap.past
	window := min(max(past.lag, future.lag), c.rate*compared/1000, past.length, future.length)
	from, to, scale, ok := c.contour(n, future)
	if !ok {
		past.next(&w.ahead, n+window)
		future.next(&w.back, n+window)
		if max(past.alike, future.alike) < voiced {
			return 1, 1 // noise is like no other noise, and is not to be fainter for that
		}
		return c.compare(n, n, window, future, w)
	}

	past.straighten()
	future.straighten()
	centre := float32(n) * (from + to) / 2
	reach := float32(past.lag) / 8
	most := len(w.ahead[0]) - window - 4
	end := min(int(centre+reach), most, int(float32(most)/scale))
	past.next(&w.ahead, end+window+3)
	future.next(&w.back, int(float32(end)*scale)+window+4)
	best, total := float32(math.Inf(-1)), end
	for d := max(1, min(end, int(centre-reach))); d <= end; d += max(1, c.rate/coarse) {
		a, b := c.compare(d, int(float32(d)*scale+0.5), window, future, w)
		away := (float32(d) - centre) / float32(past.lag)
		if sum := a + b - astray*max(away, -away); sum > best {
			best, total, there, back = sum, d, a, b
		}
	}
	c.resample(w, &w.ahead, n, float32(total), from, to)
	c.resample(w, &w.back, n, float32(total)*scale, to*scale, from*scale)
	return there, back
}

// contour returns how fast the past has to go at the beginning and at the end of
// a gap of n samples, so that its pitch becomes that of the future, and how fast
// the future has to go for the same pitch where the past goes at 1. It reports
// false if there is no such pitch.
func (c *Concealer) contour(n int, future *source) (from, to, scale float32, ok bool) {
	past := &c.gap.past
	if min(past.alike, future.alike) < voiced {
		return 0, 0, 0, false
	}
	first, last := past.period, future.period
	scale = float32(future.lag) / float32(past.lag)
	if many := float32(math.Round(float64(last / first))); many > 1 {
		last, scale = last/many, scale/many
	} else if many := float32(math.Round(float64(first / last))); many > 1 {
		last, scale = last*many, scale*many
	}
	if max(first/last, last/first) > glide {
		return 0, 0, 0, false
	}
	// The pitch of a side is that of the middle of what it was found in.
	found := float32(c.rate) * template / 1000
	before, after := (first+found)/2, (last+found)/2
	if c.gap.age > 0 {
		first, before = past.now, 0
	}
	slope := (last - first) / (float32(n) + before + after)
	first, last = first+slope*before, last-slope*after
	return float32(past.lag) / first, float32(past.lag) / last, scale, true
}

// compare returns how much each side is like the passage of the other, from those
// samples on.
func (c *Concealer) compare(ahead, back, window int, future *source, w *workspace) (there, here float32) {
	there = c.like(&w.ahead, ahead, future, window)
	if c.gap.age > 0 {
		// What is next to the gap is not a passage, but made up and as faint as that.
		return there, there * c.gap.voice
	}
	return there, c.like(&w.back, back, &c.gap.past, window)
}

// like returns the correlation of a side from sample at on and the passage of the
// other, which runs the other way.
func (c *Concealer) like(side *[2][]float32, at int, other *source, window int) float32 {
	var ab, aa, bb float32
	step := max(1, c.rate/coarse)
	for j := 0; j < window; j += step {
		y := other.mean(other.length - 1 - j)
		x := side[0][at+j]
		if c.channels == 2 {
			x = (x + side[1][at+j]) / 2
		}
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / float32(math.Sqrt(float64(aa)*float64(bb)))
}

// resample makes n samples of a side of its first total ones, beginning and
// ending so many times as fast as it was.
func (c *Concealer) resample(w *workspace, side *[2][]float32, n int, total, from, to float32) {
	// The cubic polynomial with these values and slopes at both ends.
	from, to = from*float32(n), to*float32(n)
	square, cube := 3*total-2*from-to, from+to-2*total
	for k := range c.channels {
		x := side[k]
		for i := range n {
			t := float32(i) / float32(n)
			at := min(max(0, t*(from+t*(square+t*cube))), float32(len(x)-4))
			j := int(at)
			w.sum[k][i] = between(x[max(0, j-1)], x[j], x[j+1], x[j+2], at-float32(j))
		}
		copy(x, w.sum[k][:n])
	}
}

// forget returns the factor by which a side becomes less like what was lost in
// each of n samples, if after them it is that much like the other side.
func (c *Concealer) forget(alike float32, n int) float64 {
	return math.Exp(math.Log(float64(max(alike, unlike)))/float64(n) - 1000/float64(fleeting*c.rate))
}
