package resample

import "math/bits"

// A stage is one filter with its rate change. For each channel it keeps the
// samples that its next window still needs.
//
// It steps through its input either by exact fractions, choosing a row of the
// bank for each output sample, or, when it is adjustable, by a fixed-point
// position between two rows.
type stage struct {
	shape    shape
	taps     int
	bank     []float32
	num, den int // the step, without correction, in input samples
	offset   int // where the first output sample is, in input samples over den

	// Exact: the next window begins at sample start, and its row is phase.
	// Each output sample advances by whole samples and part rows of den.
	start, phase int
	whole, part  int

	// Adjustable: the next window's position and the step, with fixedBits
	// binary places, and the number of rows.
	adjustable bool
	pos, step  uint64
	rowBits    uint

	history [2][]float32
	have    int
}

const fixedBits = 48

// newStage makes an exact stage that advances by num/den input samples for each
// output sample; the first one is offset/den input samples after the first
// input sample. Input comes in pieces of at most block samples.
func newStage(s shape, num, den, offset, channels, block int) *stage {
	st := newHistory(s, num, den, offset, channels, block)
	st.bank = s.bank(den, false)
	st.reset()
	return st
}

// exactRows is the largest bank of an exact stage. All pairs of the usual rates
// need less or just as much.
const exactRows = 640

// newWideStage makes a stage that can be made adjustable, with steps rows, a
// power of two. It begins so if its fraction is not simple.
func newWideStage(s shape, steps, num, den, offset, channels, block int) *stage {
	st := newHistory(s, num, den, offset, channels, block)
	st.rowBits = uint(bits.Len(uint(steps)) - 1)
	if den > exactRows {
		st.adjust(1)
	} else {
		st.bank = s.bank(den, false)
	}
	st.reset()
	return st
}

func newHistory(s shape, num, den, offset, channels, block int) *stage {
	st := &stage{
		shape: s, taps: s.taps, num: num, den: den, offset: offset,
		whole: num / den, part: num % den,
	}
	for c := range channels {
		st.history[c] = make([]float32, s.taps-1+block)
	}
	return st
}

// adjust makes the stage give factor times as many samples, and adjustable if
// it was not.
func (st *stage) adjust(factor float64) {
	if !st.adjustable {
		st.adjustable = true
		st.bank = st.shape.bank(1<<st.rowBits, true)
		st.pos = uint64(st.start)<<fixedBits + fixed(st.phase, st.den)
	}
	// Rounded up, so that no sample comes early.
	st.step = fixed(st.num, st.den) + 1
	if factor != 1 {
		st.step = uint64(float64(st.step) / factor)
	}
}

// fixed returns num/den, rounded down, with fixedBits binary places.
func fixed(num, den int) uint64 {
	hi, lo := bits.Mul64(uint64(num), 1<<fixedBits)
	q, _ := bits.Div64(hi, lo, uint64(den))
	return q
}

func (st *stage) reset() {
	for _, h := range st.history {
		clear(h[:min(len(h), st.taps-1)])
	}
	st.have = st.taps - 1
	st.start, st.phase = st.offset/st.den, st.offset%st.den
	st.pos = fixed(st.offset, st.den)
}

// input returns room for the next n input samples of a channel. The caller
// fills it for each channel and then adds n to have.
func (st *stage) input(channel, n int) []float32 {
	return st.history[channel][st.have : st.have+n]
}

// ready returns how many output samples can be computed.
func (st *stage) ready() int {
	windows := st.have - st.taps + 1
	if windows <= 0 {
		return 0
	}
	if st.adjustable {
		limit := uint64(windows) << fixedBits
		if st.pos >= limit {
			return 0
		}
		return int((limit-1-st.pos)/st.step) + 1
	}
	at, limit := st.start*st.den+st.phase, windows*st.den
	if at >= limit {
		return 0
	}
	return (limit-1-at)/st.num + 1
}

// filter computes len(dst) samples of a channel, at most as many as are ready,
// without moving on.
func (st *stage) filter(dst []float32, channel int) {
	if len(dst) == 0 {
		return
	}
	h := st.history[channel][:st.have]
	if st.adjustable {
		slide(dst, h, st.bank, st.taps, st.pos, st.step, st.rowBits)
	} else {
		step(dst, h, st.bank, st.taps, st.start, st.phase, st.den, st.whole, st.part)
	}
}

// drop moves on by n output samples and forgets the input before them.
func (st *stage) drop(n int) {
	if st.adjustable {
		st.pos += uint64(n) * st.step
		st.start = int(st.pos >> fixedBits)
	} else {
		at := st.phase + n*st.part
		st.start += n*st.whole + at/st.den
		st.phase = at % st.den
	}
	d := min(st.start, st.have)
	for _, h := range st.history {
		if h != nil {
			copy(h, h[d:st.have])
		}
	}
	st.have -= d
	st.start -= d
	if st.adjustable {
		st.pos -= uint64(d) << fixedBits
	}
}
