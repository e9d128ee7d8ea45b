package dtmf

import (
	"fmt"
	"math"
	"time"

	"github.com/parley-media/parley/audio"
)

const (
	hopsPerSecond = 200
	windowHops    = 4 // 20 ms

	// Tones have to be heard in minHits windows, which is so from 30 to 35 ms on:
	// ITU-T Q.24 has 40 ms as the shortest digit and 23 ms as the longest that
	// is none.
	minHits = 5

	// A digit is over when maxMisses windows have passed without it: pauses of
	// 40 ms have to be found, breaks of 10 ms not (ITU-T Q.24, table A-1).
	maxMisses = 5

	// A digit may be interrupted by no more than this before it is believed.
	maxFlaws = 2

	// edge is how much longer a digit is than from its first window to its last,
	// and lead how long before the end of the first one it begins.
	edge = 14 * time.Millisecond
	lead = 17 * time.Millisecond
)

// A Tone is a digit that a [Detector] heard begin or, if End is set, end.
type Tone struct {
	Digit    Digit
	End      bool
	Begin    time.Duration // on the timeline of the frames, to some 5 ms
	Duration time.Duration // in all, to some 5 ms; zero at the begin
}

// A Detector finds the digits that were dialled by tones in PCM (ITU-T Q.23 and
// Q.24).
//
// Tones from 40 ms with pauses from 40 ms are found, at levels of -33 to 3 dBm0
// each, up to 1.5 % off their frequency, with the higher tone up to 4 dB louder or
// 8 dB weaker than the lower one, in noise 15 dB below them. Tones of up to 23 ms
// are not, nor those that are 3.5 % off, or with much else beside them, such as
// speech and music. Breaks of up to 10 ms do not end a digit. A digit is told when
// it has lasted some 40 ms, and its end 35 ms after it.
//
// The method is a bank of eight Goertzel filters over windows of 20 ms, each 5 ms
// after the last; how far the phases go from one to the next tells the exact
// frequencies. At 8 kHz it takes some 15 µs for 20 ms, and time in proportion to
// the rate beyond.
type Detector struct {
	format audio.Format
	bank   *bank

	buf    []float64 // the window; its first fill samples are there
	fill   int
	hops   int64 // windows that were analysed since start
	start  time.Duration
	begun  bool
	last   time.Duration // Time of the frame before
	expect time.Duration // where the next frame should begin

	// The digit that is being heard, or may be.
	digit    Digit // 0: none
	told     bool
	hits     int
	misses   int   // in a row
	from, to int64 // first and last window that heard it

	tones [8]Tone // ring
	first int
	count int
}

// NewDetector returns a detector for frames of format f, which has to be mono,
// at 8 to 192 kHz. The error wraps [audio.ErrFormat].
func NewDetector(f audio.Format) (*Detector, error) {
	if f.Channels != 1 || f.Rate < 8000 || f.Rate > 192000 {
		return nil, fmt.Errorf("dtmf: %w: detection in %v, want mono at 8000 to 192000 Hz", audio.ErrFormat, f)
	}
	b := newBank(f.Rate)
	return &Detector{format: f, bank: b, buf: make([]float64, len(b.window))}, nil
}

// Push takes the next frame; it does not keep it. A gap between two frames of more
// than 1 ms is a pause; a frame with the same Time as the one before follows it,
// as those of a source that has no times. The error wraps [audio.ErrFormat] if the
// frame is not of the detector's format, and [ErrFull] if too many tones wait to be
// pulled, which is after a frame of more than 200 ms at the earliest: what follows
// in it is not analysed.
func (d *Detector) Push(f *audio.Frame) error {
	if f.Format != d.format {
		return fmt.Errorf("dtmf: %w: frame is %v, the detector's %v", audio.ErrFormat, f.Format, d.format)
	}
	at := f.Time
	if at == d.last && at < d.expect { // the source has no times
		at = d.expect
	}
	if gap := at - d.expect; !d.begun || gap > time.Millisecond || gap < -time.Millisecond {
		d.restart(at)
	}
	d.last, d.expect = f.Time, at+f.Duration()
	for samples := f.Samples; len(samples) > 0; {
		n := min(len(samples), len(d.buf)-d.fill)
		for i, v := range samples[:n] {
			d.buf[d.fill+i] = float64(v)
		}
		d.fill += n
		samples = samples[n:]
		if d.fill < len(d.buf) {
			break
		}
		if len(d.tones)-d.count < 2 {
			d.begun = false // a break before the next frame
			return fmt.Errorf("%w: %d tones wait", ErrFull, d.count)
		}
		d.step(d.bank.analyse(d.buf))
		d.fill = copy(d.buf, d.buf[d.bank.hop:])
	}
	return nil
}

// restart begins another timeline.
func (d *Detector) restart(at time.Duration) {
	d.finish()
	clear(d.buf)
	// As if silence had been before.
	d.fill = len(d.buf) - d.bank.hop
	d.begun, d.start, d.hops = true, at, 0
	d.bank.reset()
}

// step takes what the next window heard: a digit, or 0.
func (d *Detector) step(heard Digit) {
	d.hops++
	if heard != 0 && heard == d.digit {
		d.hits++
		d.misses = 0
		d.to = d.hops
		if d.hits == minHits && !d.told {
			d.told = true
			d.tell(Tone{Digit: d.digit, Begin: d.begin()})
		}
		return
	}
	d.misses++
	switch {
	case d.told && d.misses < maxMisses:
		return
	case !d.told && heard == 0 && d.misses <= maxFlaws:
		return
	}
	d.finish()
	if heard != 0 {
		d.digit, d.hits, d.from, d.to = heard, 1, d.hops, d.hops
	}
}

// finish ends the digit, if there is one.
func (d *Detector) finish() {
	if d.told {
		length := d.duration(d.to-d.from) + edge
		d.tell(Tone{Digit: d.digit, End: true, Begin: d.begin(), Duration: length})
	}
	d.digit, d.told, d.hits, d.misses = 0, false, 0, 0
}

func (d *Detector) begin() time.Duration {
	return max(d.start, d.start+d.duration(d.from)-lead)
}

func (d *Detector) duration(hops int64) time.Duration {
	return d.format.Duration(int(hops) * d.bank.hop)
}

func (d *Detector) tell(t Tone) {
	if d.count == len(d.tones) { // only when frames jump and nobody pulls
		d.first = (d.first + 1) % len(d.tones)
		d.count--
	}
	d.tones[(d.first+d.count)%len(d.tones)] = t
	d.count++
}

// Pull returns the next tone, if there is one. Call it after each frame until it
// reports false.
func (d *Detector) Pull() (Tone, bool) {
	if d.count == 0 {
		return Tone{}, false
	}
	t := d.tones[d.first]
	d.first = (d.first + 1) % len(d.tones)
	d.count--
	return t, true
}

// Flush ends the digit that is being heard, at the end of the audio.
func (d *Detector) Flush() {
	d.finish()
	d.begun, d.expect = false, 0
}

// minPower is the power of the weakest tone, in squared sample values.
var minPower = math.Pow(math.MaxInt16, 2) / 2 * math.Pow(10, (-35-3.17)/10)
