package dtmf_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parley-media/parley/audio"
	"github.com/parley-media/parley/audio/tone"
	"github.com/parley-media/parley/dtmf"
)

const keys = "123A456B789C*0#D"

var (
	rows    = [4]float64{697, 770, 852, 941}
	columns = [4]float64{1209, 1336, 1477, 1633}
)

// pair is a test signal: two tones in noise.
type pair struct {
	key       int     // in keys
	low, high float64 // dBm0
	offset    float64 // of both frequencies
	snr       float64 // dB of both tones to noise over the whole band; 0: none
}

func amplitude(level float64) float64 {
	return math.MaxInt16 * math.Pow(10, (level-tone.FullScale)/20)
}

// samples returns tones, and the pauses before, between and after, by turns.
func (p pair) samples(rng *rand.Rand, rate int, parts ...time.Duration) []int16 {
	var out []int16
	low, high := amplitude(p.low), amplitude(p.high)
	noise := 0.0
	if p.snr > 0 {
		noise = math.Sqrt((low*low + high*high) / 2 * math.Pow(10, -p.snr/10))
	}
	phase1, phase2 := rng.Float64()*2*math.Pi, rng.Float64()*2*math.Pi
	for i, part := range parts {
		for range int(part * time.Duration(rate) / time.Second) {
			v := noise * rng.NormFloat64()
			if i%2 == 1 {
				t := 2 * math.Pi * (1 + p.offset) * float64(len(out)) / float64(rate)
				v += low*math.Sin(rows[p.key/4]*t+phase1) + high*math.Sin(columns[p.key%4]*t+phase2)
			}
			out = append(out, int16(min(max(math.Round(v), math.MinInt16), math.MaxInt16)))
		}
	}
	return out
}

// detect returns the digits that end within samples.
func detect(t testing.TB, rate int, samples []int16) []dtmf.Tone {
	t.Helper()
	format := audio.Format{Rate: rate, Channels: 1}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		t.Fatal(err)
	}
	var begun, all []dtmf.Tone
	take := func() {
		for x, ok := d.Pull(); ok; x, ok = d.Pull() {
			if !x.End {
				begun = append(begun, x)
				continue
			}
			all = append(all, x)
			if len(all) != len(begun) || begun[len(all)-1].Digit != x.Digit || begun[len(all)-1].Begin != x.Begin {
				t.Fatalf("%+v ends after %+v", x, begun)
			}
		}
	}
	size := rate / 50
	for at := 0; at < len(samples); at += size {
		f := audio.Frame{Format: format, Samples: samples[at:min(at+size, len(samples))], Time: format.Duration(at)}
		if err := d.Push(&f); err != nil {
			t.Fatal(err)
		}
		take()
	}
	d.Flush()
	take()
	return all
}

var rates = []int{8000, 11025, 16000, 44100, 48000}

// What ITU-T Q.24 wants to be found.
func TestDetectorFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	for _, rate := range rates {
		for _, p := range []pair{
			{low: -10, high: -8},
			{low: -3, high: -3},
			{low: -30, high: -30},
			{low: -33, high: -33},
			{low: -26, high: -30},
			{low: -10, high: -6, offset: 0.015},
			{low: -10, high: -6, offset: -0.015},
			{low: -10, high: -18, offset: 0.015},
			{low: -10, high: -18, offset: -0.015},
			{low: -10, high: -10, snr: 15},
			{low: -10, high: -6, snr: 15},
			{low: -10, high: -18, snr: 15, offset: 0.015},
			{low: -30, high: -30, snr: 15},
		} {
			for p.key = range keys {
				for _, length := range []time.Duration{40 * ms, 70 * ms, 300 * ms} {
					lead := 40*ms + time.Duration(rng.IntN(10000))*time.Microsecond
					got := detect(t, rate, p.samples(rng, rate, lead, length, 40*ms, length, 100*ms))
					if len(got) != 2 {
						t.Errorf("%d Hz, %+v twice for %v: got %+v", rate, p, length, got)
						continue
					}
					for i, x := range got {
						begin := lead + time.Duration(i)*(length+40*ms)
						if x.Digit != dtmf.Digit(keys[p.key]) || (x.Begin-begin).Abs() > 12*ms || (x.Duration-length).Abs() > 13*ms {
							t.Errorf("%d Hz, %+v at %v for %v: got %+v", rate, p, begin, length, x)
						}
					}
				}
			}
		}
	}
}

// What ITU-T Q.24 wants to be passed over.
func TestDetectorPassesOver(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 23))
	for _, rate := range rates {
		for _, c := range []struct {
			pair
			length time.Duration
		}{
			{pair{low: -10, high: -8}, 23 * ms},
			{pair{low: -10, high: -10, snr: 15}, 23 * ms},
			{pair{low: 0, high: 0}, 23 * ms},
			{pair{low: -10, high: -10, offset: 0.035}, 200 * ms},
			{pair{low: -10, high: -10, offset: -0.035}, 200 * ms},
			{pair{low: -10, high: -10, offset: 0.035, snr: 15}, 200 * ms},
			{pair{low: -38, high: -38}, 200 * ms},
			{pair{low: -10, high: -100}, 200 * ms},
			{pair{low: -100, high: -10}, 200 * ms},
			{pair{low: -15, high: -5}, 200 * ms},
			{pair{low: -5, high: -18}, 200 * ms},
			{pair{low: -10, high: -10, snr: 0.1}, 200 * ms},
		} {
			for c.key = range keys {
				if got := detect(t, rate, c.samples(rng, rate, 50*ms, c.length, 100*ms)); len(got) != 0 {
					t.Errorf("%d Hz, %+v: got %+v", rate, c, got)
				}
			}
		}
	}
}

// A break of 10 ms does not end a digit (ITU-T Q.24).
func TestDetectorBridgesBreaks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 10))
	for _, rate := range rates {
		for _, length := range []time.Duration{5 * ms, 10 * ms} {
			for key := range keys {
				p := pair{key: key, low: -10, high: -8}
				got := detect(t, rate, p.samples(rng, rate, 50*ms, 60*ms, length, 60*ms, 100*ms))
				if len(got) != 1 || (got[0].Duration-120*ms-length).Abs() > 13*ms {
					t.Errorf("%d Hz, key %c, break of %v: got %+v", rate, keys[key], length, got)
				}
			}
		}
	}
}

// Digits of package tone, as others dial them, and without pauses between
// different ones.
func TestDetectorHearsDialling(t *testing.T) {
	for _, o := range []*tone.DTMFOptions{
		nil,
		{Duration: 50 * ms, Gap: 50 * ms},
		{Duration: 60 * ms, Gap: 40 * ms, Level: -25},
		{Duration: 100 * ms, Gap: time.Millisecond, Level: -5},
	} {
		for _, rate := range rates {
			s, err := tone.DTMF(keys, o)
			if err != nil {
				t.Fatal(err)
			}
			g, err := tone.NewGenerator(audio.Format{Rate: rate, Channels: 1}, s)
			if err != nil {
				t.Fatal(err)
			}
			var all []int16
			var f audio.Frame
			for g.ReadFrame(&f) == nil {
				all = append(all, f.Samples...)
			}
			var got []byte
			for _, x := range detect(t, rate, all) {
				got = append(got, byte(x.Digit))
			}
			if string(got) != keys {
				t.Errorf("%d Hz, %+v: got %s", rate, o, got)
			}
		}
	}
}

// speech is a sum of the harmonics of a wandering pitch through two wandering
// resonances, with pauses and hisses.
func speech(rng *rand.Rand, rate int, length time.Duration) []int16 {
	out := make([]int16, int(length*time.Duration(rate)/time.Second))
	var phase, pitch, glide, f1, f2, voiced, gain float64
	for i := range out {
		if i%(rate/8) == 0 {
			pitch, glide = 80+220*rng.Float64(), rng.Float64()-0.5
			f1, f2 = 300+600*rng.Float64(), 900+1400*rng.Float64()
			voiced, gain = min(1, 1.5*rng.Float64()), 6000*rng.Float64()
		}
		pitch *= 1 + glide/float64(rate)
		phase += pitch / float64(rate)
		v := (1 - voiced) * rng.NormFloat64()
		for h := 1; h < 20 && pitch*float64(h) < float64(rate)/2; h++ {
			f := pitch * float64(h)
			weight := 1/math.Hypot(1, (f-f1)/60) + 0.7/math.Hypot(1, (f-f2)/90)
			v += voiced * weight * math.Sin(2*math.Pi*phase*float64(h))
		}
		out[i] = int16(min(max(gain*v, math.MinInt16), math.MaxInt16))
	}
	return out
}

// chords are major and minor triads of tones with overtones, as of an organ.
func chords(rng *rand.Rand, rate int, length time.Duration) []int16 {
	out := make([]int16, int(length*time.Duration(rate)/time.Second))
	var notes [3]float64
	for i := range out {
		if i%(rate/4) == 0 {
			root := rng.IntN(36)
			for n, step := range []int{0, 3 + rng.IntN(2), 7} {
				notes[n] = 130.81 * math.Pow(2, float64(root+step)/12)
			}
		}
		v := 0.0
		for _, f := range notes {
			for h := 1.0; h <= 4; h++ {
				v += math.Sin(2*math.Pi*f*h*float64(i)/float64(rate)) / h
			}
		}
		out[i] = int16(4000 * v)
	}
	return out
}

func TestDetectorTalkOff(t *testing.T) {
	rng := rand.New(rand.NewPCG(30, 60))
	for _, rate := range []int{8000, 16000} {
		for name, source := range map[string]func(*rand.Rand, int, time.Duration) []int16{
			"speech": speech,
			"chords": chords,
			"noise": func(rng *rand.Rand, rate int, length time.Duration) []int16 {
				return pair{low: -10, high: -10, snr: 0.1}.samples(rng, rate, length)
			},
			"sweep": func(rng *rand.Rand, rate int, length time.Duration) []int16 {
				out := make([]int16, int(length*time.Duration(rate)/time.Second))
				phase := 0.0
				for i := range out {
					phase += 200 + 3000*float64(i)/float64(len(out))
					out[i] = int16(16000 * math.Sin(2*math.Pi*phase/float64(rate)))
				}
				return out
			},
		} {
			if got := detect(t, rate, source(rng, rate, 60*time.Second)); len(got) != 0 {
				t.Errorf("%s at %d Hz: got %+v", name, rate, got)
			}
		}
	}
}

// Gaps between frames end a digit, and times are those of the frames.
func TestDetectorTimeline(t *testing.T) {
	format := audio.Format{Rate: 8000, Channels: 1}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		t.Fatal(err)
	}
	tones := pair{key: 5, low: -10, high: -10}.samples(rand.New(rand.NewPCG(1, 1)), 8000, 0, 100*ms)
	var got []string
	for _, at := range []time.Duration{5 * time.Second, 10 * time.Second, 0} {
		if err := d.Push(&audio.Frame{Format: format, Samples: tones, Time: at}); err != nil {
			t.Fatal(err)
		}
		for x, ok := d.Pull(); ok; x, ok = d.Pull() {
			got = append(got, fmt.Sprintf("%v %v at %v", x.Digit, x.End, x.Begin.Round(20*ms)))
		}
	}
	want := "[5 false at 5s 5 true at 5s 5 false at 10s 5 true at 10s 5 false at 0s]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	for _, f := range []audio.Format{{Rate: 16000, Channels: 1}, {Rate: 8000, Channels: 2}} {
		if err := d.Push(&audio.Frame{Format: f}); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
	for _, f := range []audio.Format{{}, {Rate: 8000, Channels: 2}, {Rate: 4000, Channels: 1}, {Rate: 384000, Channels: 1}} {
		if _, err := dtmf.NewDetector(f); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

// Frames that all have one time follow each other.
func TestDetectorWithoutTimes(t *testing.T) {
	format := audio.Format{Rate: 8000, Channels: 1}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		t.Fatal(err)
	}
	samples := pair{key: 5, low: -10, high: -8}.samples(rand.New(rand.NewPCG(1, 1)), 8000, 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond)
	for range 2 {
		for at := 0; at < len(samples); at += 160 {
			if err := d.Push(&audio.Frame{Format: format, Samples: samples[at : at+160]}); err != nil {
				t.Fatal(err)
			}
		}
		begin, _ := d.Pull()
		end, _ := d.Pull()
		if begin.Digit != '5' || end.Digit != '5' || !end.End {
			t.Fatalf("heard %+v and %+v, want 5", begin, end)
		}
		if off := end.Begin - 100*time.Millisecond; off < -5*time.Millisecond || off > 5*time.Millisecond {
			t.Errorf("heard at %v, want 100 ms", end.Begin)
		}
		d.Flush() // the next time begins anew
	}
}

func TestDetectorFull(t *testing.T) {
	format := audio.Format{Rate: 8000, Channels: 1}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]time.Duration, 40)
	for i := range parts {
		parts[i] = 50 * ms
	}
	samples := pair{key: 5, low: -10, high: -10}.samples(rand.New(rand.NewPCG(1, 1)), 8000, parts...)
	if err := d.Push(&audio.Frame{Format: format, Samples: samples}); !errors.Is(err, dtmf.ErrFull) {
		t.Errorf("got %v", err)
	}
	n := 0
	for _, ok := d.Pull(); ok; _, ok = d.Pull() {
		n++
	}
	if n < 6 {
		t.Errorf("%d tones before it was full", n)
	}
}

func TestDetectorDoesNotAllocate(t *testing.T) {
	format := audio.Format{Rate: 8000, Channels: 1}
	d, err := dtmf.NewDetector(format)
	if err != nil {
		t.Fatal(err)
	}
	f := audio.Frame{Format: format, Samples: pair{key: 5, low: -10, high: -10}.samples(rand.New(rand.NewPCG(1, 1)), 8000, 10*ms, 60*ms, 50*ms)}
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Push(&f); err != nil {
			t.Fatal(err)
		}
		f.Time += f.Duration()
		for _, ok := d.Pull(); ok; _, ok = d.Pull() {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDetector(b *testing.B) {
	for _, rate := range []int{8000, 48000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			format := audio.Format{Rate: rate, Channels: 1}
			d, err := dtmf.NewDetector(format)
			if err != nil {
				b.Fatal(err)
			}
			f := audio.Frame{Format: format, Samples: speech(rand.New(rand.NewPCG(1, 1)), rate, 20*ms)}
			for b.Loop() {
				if err := d.Push(&f); err != nil {
					b.Fatal(err)
				}
				f.Time += 20 * ms
			}
		})
	}
}
