package tone_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
)

var mono8k = audio.Format{Rate: 8000, Channels: 1}

// read returns the first d of a signal, or less if it ends, made in frames of
// frame.
func read(t testing.TB, format audio.Format, s tone.Signal, d, frame time.Duration) []int16 {
	t.Helper()
	g, err := tone.NewGenerator(format, s)
	if err != nil {
		t.Fatal(err)
	}
	g.FrameDuration = frame
	var (
		f   audio.Frame
		all []int16
	)
	for len(all) < format.Samples(d) {
		if err := g.ReadFrame(&f); err == io.EOF {
			if len(f.Samples) != 0 {
				t.Fatal("samples with EOF")
			}
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if f.Format != format || f.Time != format.Duration(len(all)) || f.Kind != audio.Media || len(f.Samples) == 0 {
			t.Fatalf("frame of %v at %v, want %v at %v", f.Format, f.Time, format, format.Duration(len(all)))
		}
		all = append(all, f.Samples...)
	}
	return all[:format.Samples(d)]
}

// level returns the level in dBm0 of a sine in pcm, by a Fourier sum with a Hann
// window, whose side lobes are far below what 16 bits resolve.
func level(pcm []int16, rate int, frequency float64) float64 {
	var re, im, sum float64
	for i, s := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(len(pcm)))
		sin, cos := math.Sincos(2 * math.Pi * frequency * float64(i) / float64(rate))
		re += w * cos * float64(s)
		im += w * sin * float64(s)
		sum += w
	}
	return 20*math.Log10(2*math.Hypot(re, im)/sum/math.MaxInt16) + tone.FullScale
}

// power returns the level in dBm0 of all of pcm.
func power(pcm []int16) float64 {
	sum := 0.0
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return 10*math.Log10(2*sum/float64(len(pcm))/math.MaxInt16/math.MaxInt16) + tone.FullScale
}

// checkSines checks that pcm has these sines and nothing else.
func checkSines(t *testing.T, what string, pcm []int16, rate int, sines []tone.Sine) {
	t.Helper()
	total := 0.0
	for _, s := range sines {
		total += math.Pow(10, s.Level/10)
		if got := level(pcm, rate, s.Frequency); math.Abs(got-s.Level) > 0.05 {
			t.Errorf("%s: %g Hz has %.2f dBm0, want %.2f", what, s.Frequency, got, s.Level)
		}
		// The peak of the main lobe is where it should be, to 0.01 Hz.
		resolution := float64(rate) / float64(len(pcm))
		below, above := level(pcm, rate, s.Frequency-resolution/2), level(pcm, rate, s.Frequency+resolution/2)
		if len(sines) == 1 && math.Abs(above-below) > 0.01/resolution*6 {
			t.Errorf("%s: %g Hz is off: %.4f dBm0 below, %.4f above", what, s.Frequency, below, above)
		}
	}
	if want := 10 * math.Log10(total); len(pcm) >= rate && math.Abs(power(pcm)-want) > 0.05 {
		t.Errorf("%s: has %.2f dBm0, want %.2f", what, power(pcm), want)
	}
}

func TestSine(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 44100, 48000} {
		for _, f := range []float64{16.6, 425, 440, 941.5, 2600, 3900} {
			s := tone.Sine{Frequency: f, Level: -9}
			pcm := read(t, audio.Format{Rate: rate, Channels: 1}, tone.Signal{Segments: []tone.Segment{{Sines: []tone.Sine{s}}}}, 3*time.Second, 0)
			// From where it has risen.
			checkSines(t, "sine", pcm[rate:], rate, []tone.Sine{s})
		}
	}
	loud := tone.Sine{Frequency: 1000, Level: tone.FullScale}
	pcm := read(t, audio.Format{Rate: 48000, Channels: 1}, tone.Signal{Segments: []tone.Segment{{Sines: []tone.Sine{loud}}}}, time.Second, 0)
	if high, low := slices.Max(pcm), slices.Min(pcm); high != 32767 || low != -32767 {
		t.Errorf("full scale goes from %d to %d", low, high)
	}
	sum := 0.0
	for _, s := range pcm[4800:] {
		sum += float64(s) * float64(s)
	}
	if dBov := 10 * math.Log10(sum/43200/32767/32767); math.Abs(dBov-(tone.FullScale+tone.ZeroDBm0)) > 0.01 {
		t.Errorf("full scale is %.2f dBov", dBov)
	}
}

// The phase runs on for hours, and no error adds up.
func TestPhaseAfterHours(t *testing.T) {
	const f = 440.1
	s := tone.Signal{Segments: []tone.Segment{{nil, time.Hour}, {[]tone.Sine{{f, 0}}, 10 * time.Second}}}
	g, err := tone.NewGenerator(mono8k, s)
	if err != nil {
		t.Fatal(err)
	}
	g.FrameDuration = 10 * time.Second
	var frame audio.Frame
	for frame.Time != 8*3610*time.Second-10*time.Second { // the eighth tone
		if err := g.ReadFrame(&frame); err != nil {
			t.Fatal(err)
		}
	}
	start := int(frame.Time/time.Second) * 8000
	amplitude := 32767 * math.Pow(10, -tone.FullScale/20)
	for i := 100; i < 79900; i++ {
		want := amplitude * math.Sin(2*math.Pi*math.Mod(f*float64(start+i)/8000, 1))
		if got := frame.Samples[i]; math.Abs(float64(got)-want) > 0.51 {
			t.Fatalf("sample %d is %d, want %.2f", start+i, got, want)
		}
	}
}

func TestFramesAreOnePiece(t *testing.T) {
	plan, _ := tone.National("IT")
	for _, format := range []audio.Format{mono8k, {Rate: 44100, Channels: 2}} {
		whole := read(t, format, plan.Dial, 5*time.Second, 5*time.Second)
		for _, frame := range []time.Duration{1, 10 * time.Millisecond, 0, 33 * time.Millisecond, time.Second} {
			if got := read(t, format, plan.Dial, 5*time.Second, frame); !slices.Equal(got, whole) {
				t.Errorf("%v: frames of %v differ from the whole", format, frame)
			}
		}
		if format.Channels == 2 {
			for i := 0; i < len(whole); i += 2 {
				if whole[i] != whole[i+1] {
					t.Fatal("channels differ")
				}
			}
		}
	}
}

func TestCadence(t *testing.T) {
	s := tone.Signal{Count: 3, Segments: []tone.Segment{
		{[]tone.Sine{{1000, -10}}, 333 * time.Millisecond},
		{nil, 111100 * time.Microsecond},
	}}
	for _, rate := range []int{8000, 11025, 48000} {
		format := audio.Format{Rate: rate, Channels: 1}
		pcm := read(t, format, s, time.Minute, 0)
		if d, ok := s.Duration(); !ok || d != 1332300*time.Microsecond || len(pcm) != 3*format.Samples(d/3) {
			t.Errorf("%d Hz: %d samples, Duration %v, %t", rate, len(pcm), d, ok)
		}
		on, cycle := format.Samples(333*time.Millisecond), format.Samples(444100*time.Microsecond)
		for c := range 3 {
			pcm := pcm[c*cycle : (c+1)*cycle]
			if got := power(pcm[on/4 : 3*on/4]); math.Abs(got+10) > 0.1 {
				t.Errorf("%d Hz, cycle %d: tone has %.2f dBm0", rate, c, got)
			}
			if slices.IndexFunc(pcm[on:], func(s int16) bool { return s != 0 }) >= 0 {
				t.Errorf("%d Hz, cycle %d: pause is not silent", rate, c)
			}
		}
	}
	if d, ok := (tone.Signal{Segments: []tone.Segment{{nil, time.Second}}}).Duration(); ok {
		t.Errorf("an endless signal lasts %v", d)
	}
	if d, ok := (tone.Signal{Count: 1, Segments: []tone.Segment{{nil, 0}}}).Duration(); ok {
		t.Errorf("an endless segment lasts %v", d)
	}
}

// A tone comes and goes without a click: little of it is far from its
// frequency, in any 10 ms.
func TestNoClicks(t *testing.T) {
	for name, s := range map[string]tone.Signal{
		"busy":        must(tone.National("DE")).Busy,
		"information": must(tone.National("US")).Information,
		"dial":        must(tone.National("US")).Dial,
	} {
		pcm := read(t, audio.Format{Rate: 48000, Channels: 1}, s, 3*time.Second, 0)
		worst := math.Inf(-1)
		for at := 0; at+480 <= len(pcm); at += 120 {
			for _, f := range []float64{4000, 5000, 7000, 10000, 15000} {
				worst = max(worst, level(pcm[at:at+480], 48000, f))
			}
		}
		if worst > -70 { // 60 dB below the tone
			t.Errorf("%s: a click of %.1f dBm0", name, worst)
		}
	}
}

func must(p tone.Plan, ok bool) tone.Plan {
	if !ok {
		panic("no such plan")
	}
	return p
}

func TestWrongSignals(t *testing.T) {
	one := []tone.Sine{{1000, -10}}
	for _, s := range []tone.Signal{
		{},
		{Count: -1, Segments: []tone.Segment{{one, time.Second}}},
		{Segments: []tone.Segment{{one, -1}}},
		{Segments: []tone.Segment{{one, time.Hour + 1}}},
		{Segments: []tone.Segment{{one, 0}, {nil, time.Second}}},
		{Segments: []tone.Segment{{one, 1}}},
		{Segments: []tone.Segment{{[]tone.Sine{{0, -10}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{-5, -10}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{4000, -10}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{math.NaN(), -10}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{math.Inf(1), -10}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{400, 3.18}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{400, math.NaN()}}, time.Second}}},
		{Segments: []tone.Segment{{[]tone.Sine{{400, -2}, {500, -2}, {600, -20}}, time.Second}}},
	} {
		if _, err := tone.NewGenerator(mono8k, s); !errors.Is(err, tone.ErrSignal) {
			t.Errorf("%v: %v, want ErrSignal", s, err)
		}
	}
	if _, err := tone.NewGenerator(audio.Format{Rate: 8000}, tone.Signal{Segments: []tone.Segment{{one, 0}}}); !errors.Is(err, audio.ErrFormat) {
		t.Errorf("no channels: %v, want ErrFormat", err)
	}
}

func TestReadFrameDoesNotAllocate(t *testing.T) {
	g, err := tone.NewGenerator(audio.Format{Rate: 48000, Channels: 2}, must(tone.National("JP")).Ringback)
	if err != nil {
		t.Fatal(err)
	}
	var f audio.Frame
	if n := testing.AllocsPerRun(500, func() {
		if err := g.ReadFrame(&f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkReadFrame(b *testing.B) {
	g, err := tone.NewGenerator(mono8k, must(tone.National("US")).Dial)
	if err != nil {
		b.Fatal(err)
	}
	var f audio.Frame
	for b.Loop() {
		g.ReadFrame(&f)
	}
}
