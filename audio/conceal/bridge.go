package conceal

import "math"

const (
	longest = 120 // ms of a gap that are filled from both sides
	bend    = 25  // ms by which a side may be longer, to be compared with the other
	enough  = 5   // ms of what comes after, at least

	// A side is bent only if it then is as much like the other side as that, and
	// by a tenth at most, about as much as voices glide in the time.
	alignable = 0.6
)

// Bridge appends n samples per channel that lead from what was played last to
// ahead, the decoded audio that follows them: interleaved, 10 ms at least, and
// up to 80 ms of it are of use. ahead itself is neither changed nor played; give
// it to Media when it is. A bridge needs no Join. With less than 5 ms ahead it is
// an extension, and Join is due, which it is safe to call always.
func (c *Concealer) Bridge(dst []int16, n int, ahead []int16) []int16 {
	if len(ahead)/c.channels < c.rate*enough/1000 {
		return c.Extend(dst, n)
	}
	if n <= 0 {
		c.active = false
		return dst
	}
	if most := c.rate * longest / 1000; n > most {
		dst = c.Extend(dst, n-most)
		n = most
	}
	if !c.active {
		c.begin()
	}
	c.limit.allow(ahead[:min(len(ahead), c.memory)/c.channels*c.channels])
	c.future.start(ahead, true, c.seed^0x5bd1e995)
	c.side(c.past, &c.ahead, c.future, n)
	c.side(c.future, &c.back, c.past, n)

	at := len(dst)
	slope := 1000 / float32(fading*c.rate)
	for i := range n {
		w := (float32(i) + 0.5) / float32(n)
		a := (1 - w) * c.voice * min(1, max(0, 1-float32(c.age+i)*slope))
		b := w * min(1, max(0, 1-float32(n-i)*slope))
		hiss := float32(math.Sqrt(float64(max(0, 1-(a+b)*(a+b)))))
		var v [2]float32
		for k := range c.channels {
			v[k] = a*c.ahead[k][i] + b*c.back[k][n-1-i]
			if hiss > 0.05 {
				v[k] += hiss * c.noise.next(k)
			}
		}
		dst = c.limit.append(dst, &v)
	}
	c.active = false
	c.remember(dst[at:])
	return dst
}

// side writes n samples of one side to dst, bent in time so that after them it
// meets the other side's passage in phase.
func (c *Concealer) side(s *source, dst *[2][]float32, other *source, n int) {
	reach := min(s.lag/2, n/10)
	window := min(c.rate*8/1000, len(other.mix))
	s.next(dst, n+reach+window+3)
	best, at := float32(-1), 0
	step := max(1, c.rate/coarse)
	for d := -reach; d <= reach; d += step {
		var ab, aa, bb float32
		for j := 0; j < window; j += step {
			// The other side runs the other way.
			y := other.mix[len(other.mix)-1-j]
			x := dst[0][n+d+j]
			if c.channels == 2 {
				x = (x + dst[1][n+d+j]) / 2
			}
			ab += x * y
			aa += x * x
			bb += y * y
		}
		if aa > 0 && bb > 0 {
			if r := ab / float32(math.Sqrt(float64(aa)*float64(bb))); r > best {
				best, at = r, d
			}
		}
	}
	if best > alignable && at != 0 {
		c.resample(dst, n, at)
	}
}

// resample makes n samples of n+more.
func (c *Concealer) resample(dst *[2][]float32, n, more int) {
	ratio := float32(n+more) / float32(n)
	for k := range c.channels {
		x := dst[k]
		for i := range n {
			at := float32(i) * ratio
			j := int(at)
			f := at - float32(j)
			x0, x1, x2, x3 := x[max(0, j-1)], x[j], x[j+1], x[j+2]
			c.sum[k][i] = x1 + f/2*(x2-x0+f*(2*x0-5*x1+4*x2-x3+f*(3*(x1-x2)+x3-x0)))
		}
		copy(x, c.sum[k][:n])
	}
}
