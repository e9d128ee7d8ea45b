package bench

import "encoding/binary"

// A task is work of ours, done a frame of 20 ms at a time, and what it is
// compared with.
type task struct {
	name       string
	input      []byte        // what the yardsticks go through, as frame does
	frame      func()        // does the next frame
	output     func() []byte // of the last frame
	references []reference
	missing    string // what our work wants; there is nothing to do then
}

// A reference does a task in C.
type reference struct {
	name  string
	yard  *yardstick
	args  []string
	goal  float64 // largest ratio of times that we want
	exact bool    // the outputs must be the same
}

// encode returns a task that makes codes of PCM, perFrame samples at a time.
func encode(name string, pcm []int16, perFrame int, code func(dst []byte, pcm []int16) []byte, references ...reference) task {
	in, out := ring[int16]{data: pcm}, []byte(nil)
	return task{
		name:       name,
		input:      raw(pcm),
		frame:      func() { out = code(out[:0], in.next(perFrame)) },
		output:     func() []byte { return out },
		references: references,
	}
}

// decode returns a task that makes PCM of codes, perFrame bytes at a time.
func decode(name string, codes []byte, perFrame int, sample func(dst []int16, codes []byte) []int16, references ...reference) task {
	in, out := ring[byte]{data: codes}, []int16(nil)
	return task{
		name:       name,
		input:      codes,
		frame:      func() { out = sample(out[:0], in.next(perFrame)) },
		output:     func() []byte { return raw(out) },
		references: references,
	}
}

// convert returns a task that makes PCM of PCM.
func convert(name string, pcm []int16, perFrame int, sample func(dst, src []int16) []int16, references ...reference) task {
	in, out := ring[int16]{data: pcm}, []int16(nil)
	return task{
		name:       name,
		input:      raw(pcm),
		frame:      func() { out = sample(out[:0], in.next(perFrame)) },
		output:     func() []byte { return raw(out) },
		references: references,
	}
}

// raw returns samples as they lie in the memory of this machine.
func raw(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = binary.NativeEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// A ring gives its data over and over, in pieces of equal length.
type ring[T any] struct {
	data []T
	at   int
}

func (r *ring[T]) next(n int) []T {
	piece := r.data[r.at:][:n]
	if r.at += n; r.at+n > len(r.data) {
		r.at = 0
	}
	return piece
}
