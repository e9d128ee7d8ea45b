package conceal

import "math"

const (
	longest = 120 // ms of a gap that are filled from both sides
	bend    = 25  // ms by which a side may be longer, to be compared with the other
	enough  = 5   // ms of what comes after, at least
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
		c.end()
		return dst
	}
	w := takeWorkspace(c.rate, c.channels)
	defer w.release()
	if most := c.rate * longest / 1000; n > most {
		dst = c.extend(dst, n-most, c.decay(fading), w)
		n = most
	}
	if c.gap == nil {
		c.begin(w)
	}
	g := c.gap
	ahead = ahead[:min(len(ahead), c.played.most)/c.channels*c.channels]
	g.limit.allow(ahead)
	future := newSource(c.rate, c.channels)
	future.start(ahead, true, c.seed^0x5bd1e995, w)
	g.past.steady, future.steady = true, true
	there, back := c.meet(n, &future, w)

	at := len(dst)
	stay, grow := c.forget(there, n), c.forget(back, n)
	left := g.voice * float32(math.Sqrt(stay))
	right := float32(math.Pow(grow, float64(n)-0.5))
	for i := range n {
		// The weights that are best for two witnesses that are that much like the
		// truth, and like each other only for that.
		l, r := left*left, right*right
		a, b := left*(1-r)/(1-l*r), right*(1-l)/(1-l*r)
		left *= float32(stay)
		right /= float32(grow)
		hiss := float32(math.Sqrt(float64(max(0, 1-(a+b)*(a+b)))))
		var v [2]float32
		for k := range c.channels {
			v[k] = a*w.ahead[k][i] + b*w.back[k][n-1-i]
			if hiss > 0.05 {
				v[k] += hiss * c.noise.next(k)
			}
		}
		dst = g.limit.append(dst, &v)
	}
	c.end()
	c.played.add(dst[at:])
	return dst
}
