package conceal

import "math"

// A limiter keeps what is made up from being louder, in any 10 ms, than the
// loudest 10 ms of what it was made from. Repetition alone would not: one click
// at the end of the past would become a train of them.
type limiter struct {
	channels int
	most     int64    // energy in a window
	sum      int64    // energy in this one
	ring     []uint32 // energies of its samples
	at       int
}

// begin makes l a limiter that knows of nothing that was made, nor of what.
func (l *limiter) begin(rate, channels int) {
	*l = limiter{channels: channels, ring: room(l.ring, max(1, rate/100))}
	clear(l.ring)
}

// allow lets through what is as loud as pcm, and half a decibel more.
func (l *limiter) allow(pcm []int16) {
	step := len(l.ring) * l.channels
	var sum, most int64
	for i, v := range pcm {
		sum += int64(v) * int64(v)
		if i >= step {
			old := int64(pcm[i-step])
			sum -= old * old
		}
		most = max(most, sum)
	}
	l.most = max(l.most, most+most/8)
}

// allowNoise lets through noise of the given power, whose windows differ, up to
// half a decibel more than the given loudest one.
func (l *limiter) allowNoise(power, loudest float64) {
	l.most = max(l.most, int64(min(2*power, loudest*9/8)*float64(len(l.ring)))+1)
}

// append appends a sample of each channel.
func (l *limiter) append(dst []int16, v *[2]float32) []int16 {
	l.sum -= int64(l.ring[l.at])
	energy := l.energy(v)
	if l.sum+energy > l.most {
		left := math.Sqrt(float64(l.most-l.sum) / float64(energy))
		for c := range v {
			v[c] = float32(math.Trunc(left * float64(round(v[c]))))
		}
		energy = l.energy(v)
	}
	l.ring[l.at] = uint32(energy)
	l.sum += energy
	if l.at++; l.at == len(l.ring) {
		l.at = 0
	}
	for _, x := range v[:l.channels] {
		dst = append(dst, round(x))
	}
	return dst
}

// energy returns that of a sample, 2^31 at most.
func (l *limiter) energy(v *[2]float32) int64 {
	a := int64(round(v[0]))
	if l.channels == 1 {
		return a * a
	}
	b := int64(round(v[1]))
	return a*a + b*b
}
