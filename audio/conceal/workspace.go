package conceal

import (
	"math/bits"
	"sync"
)

// A gap is what has to be kept while one is filled.
type gap struct {
	passage []int16 // what was played before it, interleaved
	past    source  // continues that
	limit   limiter
	age     int     // samples that were made up
	voice   float32 // gain of past, 0 to 1
}

// gaps are those that no concealer has, by the number of bits in the length of their
// passages, so that one for 48 kHz is not kept by a stream of 8 kHz.
//
// They and workspaces are caches: a thousand streams need the memory of those that
// are in a gap at the moment, and nothing of what was made for one is ever read for
// another.
var gaps [32]sync.Pool

// takeGap returns one that has just begun, for a passage of so many samples.
func takeGap(rate, channels, length int) *gap {
	g, _ := gaps[bits.Len32(uint32(length))].Get().(*gap)
	if g == nil {
		g = &gap{}
	}
	g.passage = room(g.passage, length)[:0]
	g.limit.begin(rate, channels)
	g.age, g.voice = 0, 1
	return g
}

// release gives g back.
func (g *gap) release() {
	g.past = source{}
	gaps[bits.Len32(uint32(cap(g.passage)))].Put(g)
}

// A workspace is the memory for one piece of work. What is in it when that begins
// is left over from others.
type workspace struct {
	floats           []float32    // all of the following
	ahead, back, sum [2][]float32 // by channels
	mix              []float32    // the mean of the channels of a passage
	low              []float32    // the same at about coarse Hz
}

// workspaces are those that are not at work.
var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func takeWorkspace(rate, channels int) *workspace {
	w := workspaces.Get().(*workspace)
	passage, side, bridge := rate*memory/1000, rate*(longest+bend)/1000+8, rate*longest/1000
	low := passage/max(1, rate/coarse) + 1
	w.floats = room(w.floats, channels*(2*side+bridge)+passage+low)
	rest := w.floats
	take := func(n int) (s []float32) {
		s, rest = rest[:n:n], rest[n:]
		return s
	}
	for i := range channels {
		w.ahead[i], w.back[i], w.sum[i] = take(side), take(side), take(bridge)
	}
	w.mix, w.low = take(passage), take(low)
	return w
}

func (w *workspace) release() { workspaces.Put(w) }

// room returns s with the length n, and memory of its own if that of s is not enough.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
