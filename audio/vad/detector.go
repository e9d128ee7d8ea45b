package vad

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/parley-media/parley/audio"
)

// Config says what counts as speech. The zero value suits a telephone call.
type Config struct {
	// Hangover is how long speech must be absent before it has stopped; pauses
	// between words are shorter. 0 means 300 ms, and less than 50 ms is 50 ms.
	Hangover time.Duration

	// MinSpeech is how much clear speech must be heard before it has started.
	// More makes starts later and false ones rarer. 0 means 50 ms, the most is
	// 1 s.
	MinSpeech time.Duration

	// PreRoll is how much earlier than the first speech it heard a detector puts
	// a start, for soft beginnings. 0 means 100 ms; negative is none.
	PreRoll time.Duration

	// MinSNR is by how many dB speech must exceed the noise, on the average over
	// the bands of hearing, in which most speech is uneven: 0 means 3, and 10 is
	// much.
	MinSNR float64

	// MinLevel in dBov is what speech must exceed, however low the noise is. 0
	// means -60.
	MinLevel float64
}

// A Kind tells an event.
type Kind uint8

const (
	Start Kind = iota + 1 // somebody begins to speak
	Stop                  // and has ceased to
)

// String returns "start" or "stop".
func (k Kind) String() string {
	switch k {
	case Start:
		return "start"
	case Stop:
		return "stop"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is the start or the end of speech.
type Event struct {
	Kind Kind

	// Time is where on the stream's timeline speech starts, pre-roll included,
	// or where it stopped. A start is not before the At of the stop before it.
	Time time.Duration

	// At is how far the stream had come when this was clear: for a start some
	// 100 ms after the onset, for a stop the hangover after Time.
	At time.Duration
}

const (
	maxOnset = 30 // hops from onset to start, at most
	minOnset = 7  // and at least: when a sound's beginning has left the window
	maxNoisy = 60 // hops of speech without voice, at most

	// Everything changes until the window is full of a sound that begins: that
	// counts for little.
	beginning, littleScore = 4, 1.5

	// A voice that moves changes its colour by more than the first, in dB, while it
	// is no softer than before; a buzz that is switched on does not, once it fills
	// the window. It counts twice. Of the evidence no more than maxSure hops come
	// from how clear it is, so that MinSpeech stays a time.
	clearColour = 1.2
	maxSure     = 3

	// falling in dB a hop is what ends, and changes only because of that.
	falling = 3

	// Noise of any colour stays below the first in 999 of 1000 windows.
	someVoice, clearVoice = 0.36, 0.44

	// In dB of change: hum has less than the first, and voices more than twice
	// that.
	steady = 0.4

	// Of the spectrum in two lines: one or two tones have more than the first,
	// vowels less than the second.
	pureTone, mixedTone = 0.97, 0.91

	// minWide is the bands that a voice has.
	minWide = 5

	// depth in dB is from the loudest of speech to the softest; what is below is
	// its echo.
	depth = 35

	// centre is how far back the middle of a window is.
	centre = 20 * time.Millisecond
)

// A Detector finds speech in a stream of audio. It is not safe for concurrent
// use.
type Detector struct {
	format    audio.Format
	hangover  int     // in hops
	minSpeech float64 // in hops
	preRoll   time.Duration
	minSNR    float64
	minLevel  float64

	e        *extractor
	base     time.Duration // timeline of sample 0
	samples  int64         // per channel, since base
	earliest time.Duration // of the next start

	active bool
	score  float64 // hops of evidence
	sure   float64 // of score, what was above the usual for its hop
	before float64 // dBov, of the last 10 ms
	onset  int     // hops since sound began; 0: there is none
	quiet  int     // hops since sound
	mute   int     // hops since voice
	peak   float64 // dBov, of the present speech, slowly falling
}

// New returns a detector for audio of a format, whose rate is 8000 Hz or more.
// The error wraps [audio.ErrFormat].
func New(format audio.Format, c Config) (*Detector, error) {
	if err := format.Check(); err != nil {
		return nil, fmt.Errorf("vad: %w", err)
	}
	if format.Rate < 8000 {
		return nil, fmt.Errorf("vad: %w: rate %d Hz is below 8000", audio.ErrFormat, format.Rate)
	}
	hops := func(d, unset, least, most time.Duration) float64 {
		return float64(min(max(cmp.Or(d, unset), least), most)) / float64(10*time.Millisecond)
	}
	return &Detector{
		format:    format,
		hangover:  int(math.Round(hops(c.Hangover, 300*time.Millisecond, 50*time.Millisecond, time.Hour))),
		minSpeech: hops(c.MinSpeech, 50*time.Millisecond, 10*time.Millisecond, time.Second),
		preRoll:   max(cmp.Or(c.PreRoll, 100*time.Millisecond), 0),
		minSNR:    cmp.Or(c.MinSNR, 3),
		minLevel:  cmp.Or(c.MinLevel, -60),
		e:         newExtractor(format),
	}, nil
}

// Active reports whether somebody speaks: whether the last event was a start.
func (d *Detector) Active() bool { return d.active }

// NoiseFloor returns the level of the background noise in dBov between 100 and
// 3700 Hz, -127 to 0. It is -127 in the first second of a stream.
func (d *Detector) NoiseFloor() float64 {
	var sum float32
	for _, n := range d.e.noise[d.e.edges[0]:d.e.edges[bands]] {
		sum += n
	}
	return max(-127, min(10*math.Log10(float64(sum)), 0))
}

// Detect takes the next frame of the stream, of any length, appends what
// happened in it to dst, and does not keep the frame. Nothing is appended for
// most frames.
//
// f.Time sets the timeline of the events. A frame that is later than the end of
// the one before it leaves a gap, which counts as silence; one that is earlier
// moves the timeline back. The error wraps [audio.ErrFormat] if the frame has
// another format than the detector.
func (d *Detector) Detect(dst []Event, f *audio.Frame) ([]Event, error) {
	if err := f.Check(); err != nil {
		return dst, fmt.Errorf("vad: %w", err)
	}
	if f.Format != d.format {
		return dst, fmt.Errorf("vad: %w: the frame is %v, the detector is for %v", audio.ErrFormat, f.Format, d.format)
	}
	dst = d.seek(dst, f.Time)
	if d.format.Channels == 1 {
		for _, s := range f.Samples {
			dst = d.push(dst, float32(s))
		}
		return dst, nil
	}
	for i := 0; i+1 < len(f.Samples); i += 2 {
		dst = d.push(dst, (float32(f.Samples[i])+float32(f.Samples[i+1]))/2)
	}
	return dst, nil
}

// seek brings the timeline to t.
func (d *Detector) seek(dst []Event, t time.Duration) []Event {
	if d.samples == 0 {
		d.base, d.earliest = t, t
		return dst
	}
	gap := t - d.now()
	if gap.Abs() < time.Millisecond { // the rounding of another's clock
		return dst
	}
	if gap > 0 {
		// As much silence as can make a difference, and then a leap.
		most := time.Duration(d.hangover+10) * 10 * time.Millisecond
		for range d.format.Samples(min(gap, most)) / d.format.Channels {
			dst = d.push(dst, 0)
		}
	} else {
		d.earliest = t
	}
	d.base, d.samples = t, 0
	return dst
}

// now returns how far the stream has come.
func (d *Detector) now() time.Duration {
	return d.base + audio.Format{Rate: d.format.Rate, Channels: 1}.Duration(int(d.samples))
}

func (d *Detector) push(dst []Event, s float32) []Event {
	d.samples++
	if !d.e.push(s) {
		return dst
	}
	f := d.e.next()
	if d.active {
		return d.follow(dst, f)
	}
	return d.listen(dst, f)
}

// listen decides on 10 ms while nobody speaks.
func (d *Detector) listen(dst []Event, f features) []Event {
	sound := f.snr > d.minSNR && f.level > d.minLevel
	if !sound {
		if d.quiet++; d.quiet > 3 {
			d.onset = 0
		}
	} else {
		d.quiet = 0
	}
	if d.onset > 0 || sound {
		d.onset = min(d.onset+1, maxOnset)
	}
	// Speech is a voice that does not stay as it is for long, with more than a
	// line or two in its spectrum. Any sound changes while it begins, and a tone
	// widens when it is cut, so that what looks like speech then does not count
	// for long.
	lively := 0.9 + 2*max(0, 0.9-f.voiced) // the less voice, the more of the change is that of noise
	switch {
	case sound && f.voiced > clearVoice && (f.change < steady || f.peaky > pureTone):
		d.score -= 3
	case sound && f.voiced > someVoice && f.peaky < mixedTone && f.wide >= minWide && f.change > lively && f.level > d.before-falling:
		evidence := min((f.voiced-someVoice)/(clearVoice-someVoice), 2)
		if f.colour > clearColour && f.level > d.before && d.onset >= beginning {
			evidence *= 2
		}
		sure := min(max(0, evidence-1.5), maxSure-d.sure)
		d.score += min(evidence, 1.5) + sure
		d.sure += sure
	default:
		d.score -= 0.3
	}
	d.before = f.level
	if d.onset < beginning {
		d.score = min(d.score, littleScore)
	}
	if d.score <= 0 {
		d.score, d.sure = 0, 0
	}
	if d.onset < minOnset || d.score < d.minSpeech {
		return dst
	}
	d.active, d.score, d.sure, d.quiet, d.mute, d.peak = true, 0, 0, 0, 0, f.level
	now := d.now()
	start := now - time.Duration(d.onset-1)*10*time.Millisecond - centre - d.preRoll
	return append(dst, Event{Start, max(start, d.earliest), now})
}

// follow decides on 10 ms while somebody speaks.
func (d *Detector) follow(dst []Event, f features) []Event {
	d.quiet++
	d.mute++
	d.peak = max(d.peak-0.05, f.level)
	if f.snr > 0.7*d.minSNR && f.level > max(d.minLevel-5, d.peak-depth) {
		if f.voiced > clearVoice && f.change > 0.5 {
			d.mute = 0
		}
		// Consonants have no voice, and neither has a rising noise.
		if d.mute < maxNoisy {
			d.quiet = 0
		}
	}
	if d.quiet < d.hangover {
		return dst
	}
	d.active, d.onset = false, 0
	now := d.now()
	d.earliest = now
	return append(dst, Event{Stop, now - time.Duration(d.quiet)*10*time.Millisecond, now})
}
