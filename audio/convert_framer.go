package audio

import "time"

// A framer cuts what an [Adapter] gives into frames, on a timeline without gaps.
type framer struct {
	adapter *Adapter
	size    int     // samples of a frame, all channels
	queue   []int16 // not yet given out, from head on
	head    int

	begun  bool
	start  time.Duration // of the timeline
	given  int           // samples per channel given out since
	expect time.Duration // where the next input frame should be
	gap    int           // samples per channel of silence to put in before it

	// What the output is made of, in order: each part up to an end in samples
	// per channel since start.
	parts []part
	end   int
	rest  int // of the last division of samples by rates
	rate  int // of the input, so far

	silent Frame
}

type part struct {
	end      int
	kind     Kind
	captured time.Time // of its first sample
	start    int
}

const (
	// Times of frames are rounded to nanoseconds, and those of some sources to
	// milliseconds.
	gapTolerance = time.Millisecond

	// A smaller step back is mostly the end of one forward, which was filled
	// with silence: the output stays ahead by that, or it would grow with each.
	jitterLimit = 200 * time.Millisecond

	// What is longer is a clock that was set.
	gapLimit = time.Hour

	frameDefault = 20 * time.Millisecond
	frameLimit   = time.Minute
)

func newFramer(f Format, frame time.Duration) (*framer, error) {
	a, err := NewAdapter(f)
	if err != nil {
		return nil, err
	}
	if frame <= 0 {
		frame = frameDefault
	}
	return &framer{adapter: a, size: max(f.Samples(min(frame, frameLimit)), f.Channels)}, nil
}

// admit looks at the next input frame and finds out how much is missing before
// it. The caller calls fill until it returns false, and then push.
func (r *framer) admit(f *Frame) error {
	if err := f.Check(); err != nil {
		return err
	}
	if !r.begun {
		r.begun = true
		r.start, r.expect = f.Time, f.Time
	}
	switch gap := f.Time - r.expect; {
	case gap > gapTolerance && gap <= gapLimit:
		r.silent.Format = f.Format
		r.gap = int(gap.Seconds()*float64(f.Format.Rate) + 0.5)
		r.expect = f.Time
	case gap < -jitterLimit || gap > gapLimit:
		// Also, now and then, a source that leaves all times zero.
		r.expect = f.Time
	}
	r.expect += f.Duration()
	return nil
}

// fill puts in at most 20 ms of what is missing. It returns false if nothing is.
func (r *framer) fill() bool {
	if r.gap == 0 {
		return false
	}
	f := &r.silent
	n := min(r.gap, max(1, f.Format.Rate/50))
	r.gap -= n
	f.Grow(n * f.Format.Channels)
	clear(f.Samples)
	f.Kind = Silence
	r.push(f)
	return true
}

// push takes a frame that has been admitted.
func (r *framer) push(f *Frame) {
	n := len(f.Samples) / f.Format.Channels
	if n == 0 {
		return
	}
	if r.rate != f.Format.Rate {
		r.rate, r.rest = f.Format.Rate, 0
	}
	out := r.adapter.Format().Rate
	p := part{start: r.end, kind: f.Kind, captured: f.Captured}
	r.rest += n * out
	r.end += r.rest / r.rate
	r.rest %= r.rate
	p.end = r.end
	r.parts = append(r.parts, p)
	r.queue = r.queue[:copy(r.queue, r.queue[r.head:])]
	r.head = 0
	// The format has been checked, and nothing else can be wrong.
	r.queue, _ = r.adapter.Append(r.queue, f)
}

func (r *framer) flush() { r.queue = r.adapter.Flush(r.queue) }

// pop fills f with the next frame, or reports false if there is none. At the end
// of the stream it takes what there is.
func (r *framer) pop(f *Frame, last bool) bool {
	n := r.size
	if len(r.queue)-r.head < n {
		n = len(r.queue) - r.head
		if !last || n == 0 {
			return false
		}
	}
	format := r.adapter.Format()
	f.Format = format
	f.Grow(n)
	copy(f.Samples, r.queue[r.head:])
	r.head += n
	f.Time = r.start + format.Duration(r.given*format.Channels)
	r.label(f, r.given, r.given+n/format.Channels)
	r.given += n / format.Channels
	return true
}

// label sets the kind of f to the one that most of its samples from..to are of,
// and its time of capture to that of its first sample.
func (r *framer) label(f *Frame, from, to int) {
	f.Captured, f.Kind = time.Time{}, Media
	var counts [Silence + 1]int
	gone := 0
	for i, p := range r.parts {
		if p.end <= from && i < len(r.parts)-1 {
			gone = i + 1
			continue
		}
		if i == gone && !p.captured.IsZero() {
			f.Captured = p.captured.Add(f.Format.Duration((from - p.start) * f.Format.Channels))
		}
		counts[min(p.kind, Silence)] += max(0, min(p.end, to)-max(p.start, from))
		if i == len(r.parts)-1 {
			// The output may be a sample longer than the sum of its parts.
			counts[min(p.kind, Silence)] += max(0, to-max(p.end, from))
		}
		if p.end >= to {
			break
		}
	}
	for kind, n := range counts {
		if n > counts[f.Kind] {
			f.Kind = Kind(kind)
		}
	}
	r.parts = r.parts[:copy(r.parts, r.parts[gone:])]
}
