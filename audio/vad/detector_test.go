package vad_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/audio/vad"
	"github.com/parley-media/parley/internal/speech"
)

const ms = time.Millisecond

func newDetector(t testing.TB, format audio.Format, c vad.Config) *vad.Detector {
	t.Helper()
	d, err := vad.New(format, c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// detect passes samples to a detector in frames, from a time on.
func detect(t testing.TB, d *vad.Detector, format audio.Format, samples []int16, frame, at time.Duration) []vad.Event {
	t.Helper()
	var events []vad.Event
	n := max(format.Samples(frame), format.Channels)
	for i := 0; i < len(samples); i += n {
		f := audio.Frame{Format: format, Samples: samples[i:min(i+n, len(samples))], Time: at + format.Duration(i)}
		var err error
		if events, err = d.Detect(events, &f); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func run(t testing.TB, rate int, x []float64, c vad.Config) []vad.Event {
	t.Helper()
	return detect(t, newDetector(t, mono(rate), c), mono(rate), pcm(x, 1), 20*ms, 0)
}

// A span is a word on the timeline.
type span struct{ from, to time.Duration }

func checkWords(t *testing.T, what string, events []vad.Event, words []span, hangover time.Duration) {
	t.Helper()
	if len(events) != 2*len(words) {
		t.Errorf("%s: %d events for %d words: %v", what, len(events), len(words), events)
		return
	}
	for i, w := range words {
		start, stop := events[2*i], events[2*i+1]
		if start.Kind != vad.Start || stop.Kind != vad.Stop {
			t.Errorf("%s: %v and %v", what, start.Kind, stop.Kind)
		}
		if late := start.At - w.from; late < 0 || late > 150*ms {
			t.Errorf("%s: word %d starts %v after its onset", what, i, late)
		}
		if early := w.from - start.Time; early < 50*ms || early > 150*ms {
			t.Errorf("%s: word %d is put %v before its onset", what, i, early)
		}
		if late := stop.At - w.to; (late - hangover).Abs() > 100*ms {
			t.Errorf("%s: word %d stops %v after its end, hangover %v", what, i, late, hangover)
		}
		if late := stop.Time - w.to; late.Abs() > 100*ms || stop.At-stop.Time != hangover {
			t.Errorf("%s: word %d ends at %v, is put at %v", what, i, w.to, stop.Time)
		}
	}
}

// conversation is three words of two voices.
func conversation(rate int, level float64) ([]float64, []span) {
	x := timeline(rate, 8)
	var words []span
	for _, w := range []struct {
		at, pitch float64
		word      string
	}{{1.5, 110, "aoieua"}, {4, 210, "ie"}, {5.5, 140, "uaieo"}} {
		s := speak(rate, w.word, w.pitch, level)
		add(x, s, rate, w.at)
		from := time.Duration(w.at * float64(time.Second))
		words = append(words, span{from, from + mono(rate).Duration(len(s))})
	}
	return x, words
}

func TestSpeech(t *testing.T) {
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000} {
		for channels := 1; channels <= 2; channels++ {
			x, words := conversation(rate, 0.3)
			format := audio.Format{Rate: rate, Channels: channels}
			events := detect(t, newDetector(t, format, vad.Config{}), format, pcm(x, channels), 20*ms, 0)
			checkWords(t, format.String(), events, words, 300*ms)
		}
	}
	for _, level := range []float64{0.05, 0.1, 0.99} {
		x, words := conversation(8000, level)
		checkWords(t, fmt.Sprintf("level %g", level), run(t, 8000, x, vad.Config{}), words, 300*ms)
	}
	for _, hangover := range []time.Duration{150 * ms, 200 * ms, 500 * ms, 800 * ms} {
		x, words := conversation(16000, 0.3)
		checkWords(t, fmt.Sprintf("hangover %v", hangover), run(t, 16000, x, vad.Config{Hangover: hangover}), words, hangover)
	}
}

func TestSpeechFromTheStart(t *testing.T) {
	x := add(timeline(8000, 2), speak(8000, "aie", 120, 0.3), 8000, 0)
	events := run(t, 8000, x, vad.Config{})
	if len(events) != 2 || events[0].Time != 0 || events[0].At > 150*ms {
		t.Errorf("events are %v", events)
	}
}

// A sentence begins with a syllable of 60 ms, and a pause as long follows before the
// next. It is told before that one, wherever the hops of 10 ms happen to lie.
func TestShortFirstSyllable(t *testing.T) {
	all := speech.PCM()
	loud := func(s int16) bool { return s > 410 || s < -410 }
	words := all[slices.IndexFunc(all, loud):][:speech.Rate]
	for phase := range 20 {
		lead := speech.Rate*6/5 + phase*speech.Rate/2000
		x := append(make([]int16, lead), words...)
		events := detect(t, newDetector(t, mono(speech.Rate), vad.Config{}), mono(speech.Rate), x, 20*ms, 0)
		onset := mono(speech.Rate).Duration(lead)
		if len(events) == 0 || events[0].At-onset > 150*ms {
			t.Errorf("speech from %v on: %v", onset, events)
		}
	}
}

func TestSpeechInNoise(t *testing.T) {
	x, words := conversation(8000, 0.3) // about -23 dBov
	for what, n := range map[string][]float64{
		"white, 25 dB":   noise(len(x), 0.004, 0, 1),
		"white, 15 dB":   noise(len(x), 0.013, 0, 2),
		"low, 10 dB":     noise(len(x), 0.02, 0.95, 3),
		"hum of 50 Hz":   hum(8000, len(x), 50, 1, 0.03),
		"hum of 120 Hz":  hum(8000, len(x), 120, 1, 0.005),
		"tone of 440 Hz": hum(8000, len(x), 440, 9, 0.05),
	} {
		// The first word comes when the noise is just known.
		checkWords(t, what, run(t, 8000, add(slices.Clone(x), n, 8000, 0), vad.Config{}), words, 300*ms)
	}
}

// on switches a sound on and off.
func on(x []float64, rate int, on, off float64) []float64 {
	x = slices.Clone(x)
	period := int((on + off) * float64(rate))
	for i := range x {
		if i%period >= int(on*float64(rate)) {
			x[i] = 0
		}
	}
	return x
}

// What is no voice starts nothing: not while it lasts, and not when it begins.
func TestNoFalseStarts(t *testing.T) {
	const rate, seconds = 8000, 5
	n := rate * seconds
	sounds := map[string][]float64{"digital silence": timeline(rate, seconds)}
	for _, rms := range []float64{0.00003, 0.03} {
		for _, pole := range []float64{-0.8, 0, 0.9} {
			sounds[fmt.Sprintf("noise of %g with pole %g", rms, pole)] = noise(n, rms, pole, 7)
		}
	}
	for _, f := range []float64{25, 50, 60, 100, 120, 150, 180, 400} {
		for _, tilt := range []float64{0.3, 1.5} {
			sounds[fmt.Sprintf("hum of %g Hz with tilt %g", f, tilt)] = hum(rate, n, f, tilt, 0.03)
		}
	}
	for _, f := range []float64{200, 440, 1000, 2600} {
		sounds[fmt.Sprintf("tone of %g Hz", f)] = hum(rate, n, f, 9, 0.1)
	}
	clicks := timeline(rate, seconds)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10 * seconds {
		clicks[r.IntN(n)] += r.Float64() - 0.5
	}
	sounds["clicks"] = clicks

	for what, x := range sounds {
		rising := slices.Clone(x)
		for i := range rising {
			rising[i] *= math.Pow(float64(i)/float64(n), 3)
		}
		modulated := slices.Clone(x)
		for i := range modulated {
			modulated[i] *= 0.55 + 0.45*math.Sin(2*math.Pi*float64(i)/rate/3)
		}
		for how, x := range map[string][]float64{
			"from the start": x,
			"after silence":  add(timeline(rate, seconds+2), x, rate, 2),
			"on noise":       add(noise(n, 0.001, 0.9, 5), x, rate, 3),
			"on for 500 ms":  on(x, rate, 0.5, 0.5),
			"on for 1.5 s":   on(x, rate, 1.5, 3),
			"on for 100 ms":  on(x, rate, 0.1, 0.1),
			"on for 40 ms":   on(x, rate, 0.04, 0.16),
			"rising":         rising,
			"up and down":    modulated,
		} {
			if events := run(t, rate, x, vad.Config{}); len(events) != 0 {
				t.Errorf("%s, %s: %v", what, how, events)
			}
		}
	}
}

// Noise that is louder and softer every few seconds or less.
func TestNoiseInSteps(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 9))
		x := noise(8000*30, 0.02, []float64{-0.9, -0.5, 0, 0.7, 0.95, 0.99}[seed], seed)
		gain, left := 1.0, 0
		for i := range x {
			if left == 0 {
				gain, left = math.Pow(10, 1.5*r.Float64()-0.75), 1600+r.IntN(38400)
			}
			left--
			x[i] *= gain
		}
		if events := run(t, 8000, x, vad.Config{}); len(events) != 0 {
			t.Errorf("seed %d: %v", seed, events)
		}
	}
}

func TestTelephoneTonesAreNoSpeech(t *testing.T) {
	signals := map[string]tone.Signal{}
	for _, c := range tone.Countries() {
		p, _ := tone.National(c)
		signals[c+" dial"], signals[c+" ringback"], signals[c+" busy"] = p.Dial, p.Ringback, p.Busy
		signals[c+" congestion"], signals[c+" information"], signals[c+" waiting"] = p.Congestion, p.Information, p.Waiting
	}
	for _, o := range []tone.DTMFOptions{{}, {Duration: 50 * ms, Gap: 50 * ms}, {Duration: 300 * ms, Gap: 60 * ms}} {
		s, err := tone.DTMF("123A456B789C*0#D5551234", &o)
		if err != nil {
			t.Fatal(err)
		}
		signals[fmt.Sprintf("digits of %v", o.Duration)] = s
	}
	for what, s := range signals {
		for _, background := range []float64{0, 0.01} {
			g, err := tone.NewGenerator(mono(8000), s)
			if err != nil {
				t.Fatal(err)
			}
			x := pcm(noise(5*8000, background, 0.5, 3), 1)
			var f audio.Frame
			for at := 4000; g.ReadFrame(&f) == nil && at+len(f.Samples) <= len(x); at += len(f.Samples) {
				for i, v := range f.Samples {
					x[at+i] += v
				}
			}
			if events := detect(t, newDetector(t, mono(8000), vad.Config{}), mono(8000), x, 20*ms, 0); len(events) != 0 {
				t.Errorf("%s on noise of %g: %v", what, background, events)
			}
		}
	}
}

func TestNoiseFloor(t *testing.T) {
	for _, rate := range []int{8000, 16000, 44100} {
		for _, rms := range []float64{0.0003, 0.01, 0.1} {
			d := newDetector(t, mono(rate), vad.Config{})
			if got := d.NoiseFloor(); got != -127 {
				t.Errorf("at first it is %.1f", got)
			}
			detect(t, d, mono(rate), pcm(noise(5*rate, rms, 0, 9), 1), 20*ms, 0)
			// White noise, of which a part is in the bands.
			want := 20*math.Log10(rms) + 10*math.Log10(3600/(float64(rate)/2))
			if got := d.NoiseFloor(); math.Abs(got-want) > 1.5 {
				t.Errorf("%d Hz: NoiseFloor is %.1f dBov, want %.1f", rate, got, want)
			}
			// It outlasts speech and lost packets.
			x, _ := conversation(rate, 0.5)
			detect(t, d, mono(rate), pcm(add(x, noise(len(x), rms, 0, 10), rate, 0), 1), 20*ms, 5*time.Second)
			detect(t, d, mono(rate), make([]int16, rate*3), 20*ms, 13*time.Second)
			if got := d.NoiseFloor(); math.Abs(got-want) > 2.5 {
				t.Errorf("%d Hz: after speech NoiseFloor is %.1f dBov, want %.1f", rate, got, want)
			}
		}
	}
}

func TestFramesDoNotMatter(t *testing.T) {
	x, words := conversation(16000, 0.3)
	want := run(t, 16000, x, vad.Config{})
	for _, frame := range []time.Duration{1, 3 * ms, 10 * ms, 33 * ms, 128 * ms, time.Minute} {
		got := detect(t, newDetector(t, mono(16000), vad.Config{}), mono(16000), pcm(x, 1), frame, 0)
		if !slices.Equal(got, want) {
			t.Errorf("frames of %v: %v, want %v", frame, got, want)
		}
	}
	if len(want) != 2*len(words) {
		t.Errorf("%d events", len(want))
	}
}

func TestTimeline(t *testing.T) {
	format := mono(8000)
	word := pcm(speak(8000, "aie", 120, 0.3), 1)
	d := newDetector(t, format, vad.Config{})
	events := detect(t, d, format, word, 20*ms, time.Hour)
	if len(events) != 1 || events[0].Time != time.Hour || !d.Active() {
		t.Fatalf("events are %v", events)
	}
	// Nothing comes for a while; then the next frame tells that speech stopped.
	end := time.Hour + format.Duration(len(word))
	events = detect(t, d, format, make([]int16, 160), 20*ms, end+10*time.Second)
	if len(events) != 1 || events[0].Kind != vad.Stop || (events[0].At-end-300*ms).Abs() > 100*ms || d.Active() {
		t.Errorf("after a gap: %v", events)
	}
	// A start is not put before the stop.
	events = detect(t, d, format, word, 20*ms, end+10*time.Second+20*ms)
	if len(events) != 1 || (events[0].Time-end-10*time.Second).Abs() > 100*ms {
		t.Errorf("after that: %v", events)
	}
	// A timeline that goes back is taken as it comes.
	events = detect(t, d, format, make([]int16, 8000), 20*ms, time.Minute)
	if len(events) != 1 || events[0].Kind != vad.Stop || (events[0].At-time.Minute-300*ms).Abs() > 100*ms {
		t.Errorf("after going back: %v", events)
	}
}

func TestConfig(t *testing.T) {
	x, _ := conversation(8000, 0.3)
	first := func(c vad.Config) vad.Event {
		events := run(t, 8000, x, c)
		if len(events) == 0 {
			return vad.Event{}
		}
		return events[0]
	}
	zero := first(vad.Config{})
	if e := first(vad.Config{PreRoll: -1}); e.Time-zero.Time != 100*ms {
		t.Errorf("without pre-roll a start is %v later", e.Time-zero.Time)
	}
	if e := first(vad.Config{PreRoll: 500 * ms}); zero.Time-e.Time != 400*ms {
		t.Errorf("with a pre-roll of 500 ms a start is %v earlier", zero.Time-e.Time)
	}
	if e := first(vad.Config{MinSpeech: 300 * ms}); e.At < zero.At+100*ms || (e.Time-zero.Time).Abs() > 20*ms {
		t.Errorf("with 300 ms of speech: %v, otherwise %v", e, zero)
	}
	if e := first(vad.Config{MinLevel: -10}); e != (vad.Event{}) {
		t.Errorf("above -10 dBov: %v", e)
	}
	if e := first(vad.Config{MinSNR: 21}); e != (vad.Event{}) {
		t.Errorf("21 dB above the noise: %v", e)
	}
}

func TestWrongFormats(t *testing.T) {
	for _, f := range []audio.Format{{}, {Rate: 7999, Channels: 1}, {Rate: 8000, Channels: 3}} {
		if _, err := vad.New(f, vad.Config{}); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: %v, want ErrFormat", f, err)
		}
	}
	d := newDetector(t, audio.Format{Rate: 8000, Channels: 2}, vad.Config{})
	for _, f := range []audio.Frame{
		{},
		{Format: mono(8000), Samples: []int16{1}},
		{Format: audio.Format{Rate: 8000, Channels: 2}, Samples: []int16{1}},
	} {
		if _, err := d.Detect(nil, &f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v with %d samples: %v, want ErrFormat", f.Format, len(f.Samples), err)
		}
	}
}

// Whatever comes, starts and stops take turns and go forward.
func TestEventsTakeTurns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, format := range []audio.Format{mono(8000), {Rate: 15999, Channels: 2}, {Rate: 384000, Channels: 1}} {
		d := newDetector(t, format, vad.Config{Hangover: 1, MinSpeech: 1, MinSNR: 0.1})
		var (
			events []vad.Event
			at     time.Duration
		)
		for range 200 {
			f := audio.Frame{Format: format, Samples: make([]int16, r.IntN(3000)*format.Channels), Time: at}
			kind, period := r.IntN(4), 1+r.IntN(200)
			for i := range f.Samples {
				switch {
				case kind == 0:
					f.Samples[i] = int16(r.Uint32())
				case kind == 1 && i%period == 0:
					f.Samples[i] = math.MinInt16
				case kind == 2:
					f.Samples[i] = int16(i % period * 300)
				}
			}
			var err error
			if events, err = d.Detect(events, &f); err != nil {
				t.Fatal(err)
			}
			at += f.Duration() + time.Duration(r.IntN(3)/2)*time.Duration(r.IntN(1e9))
		}
		for i, e := range events {
			want := vad.Start
			if i%2 == 1 {
				want = vad.Stop
			}
			if e.Kind != want || e.Time > e.At || i > 0 && e.At <= events[i-1].At || e.Kind == vad.Start && i > 0 && e.Time < events[i-1].At {
				t.Fatalf("%v: event %d is %v after %v", format, i, e, events[max(i-1, 0)])
			}
		}
		if active := len(events)%2 == 1; d.Active() != active {
			t.Errorf("%v: Active is %t after %d events", format, d.Active(), len(events))
		}
	}
}

func TestDetectDoesNotAllocate(t *testing.T) {
	for _, format := range []audio.Format{mono(8000), {Rate: 48000, Channels: 2}} {
		d := newDetector(t, format, vad.Config{})
		f := audio.Frame{Format: format, Samples: pcm(speak(format.Rate, "aieou", 120, 0.3), format.Channels)}
		events := make([]vad.Event, 0, 8)
		if n := testing.AllocsPerRun(20, func() {
			var err error
			if events, err = d.Detect(events[:0], &f); err != nil {
				t.Fatal(err)
			}
			f.Time += f.Duration()
		}); n != 0 {
			t.Errorf("%v: %v allocations", format, n)
		}
	}
}

func BenchmarkDetect(b *testing.B) {
	for _, format := range []audio.Format{mono(8000), mono(16000), {Rate: 48000, Channels: 2}} {
		for what, x := range map[string][]float64{"noise": noise(format.Rate*2, 0.01, 0, 1), "speech": speak(format.Rate, "aieouaieou", 120, 0.3)} {
			b.Run(fmt.Sprintf("%v/%s", format, what), func(b *testing.B) {
				d, samples := newDetector(b, format, vad.Config{}), pcm(x, format.Channels)
				n := format.Samples(20 * ms)
				f := audio.Frame{Format: format}
				at := 0
				var events []vad.Event
				for b.Loop() {
					f.Samples = samples[at : at+n]
					if at += n; at+n > len(samples) {
						at = 0
					}
					events, _ = d.Detect(events[:0], &f)
					f.Time += 20 * ms
				}
			})
		}
	}
}
